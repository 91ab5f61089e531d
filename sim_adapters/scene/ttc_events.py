"""Time to collision: whether boxes meet soon if everybody keeps speed and heading.

Source: CaRL's time-to-collision penalty, with its five horizons and its penalty window.
"""

from __future__ import annotations

import math

from numba import njit

from sim_adapters.scene.event_arrays import MotionFacts
from sim_adapters.scene.event_settings import TtcSettings
from sim_adapters.scene.geometry import heights_overlap, turned_boxes_overlap
from sim_adapters.scene.memory import HoldCounters
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, EgoState

_STATIC = int(ActorKind.STATIC)


@njit(cache=True)
def meets_soon(
    world: int,
    slot: int,
    other: int,
    speed_mps: float,
    motion: ActorMotion,
    traits: ActorTraits,
    settings: TtcSettings,
) -> bool:
    """Whether the boxes of two actors overlap at one of the horizons."""
    dx = motion.x[world, other] - motion.x[world, slot]
    dy = motion.y[world, other] - motion.y[world, slot]
    half_length_a, half_width_a = (
        traits.half_length_m[world, slot],
        traits.half_width_m[world, slot],
    )
    half_length_b = traits.half_length_m[world, other]
    half_width_b = traits.half_width_m[world, other]
    other_speed = math.hypot(motion.vx_mps[world, other], motion.vy_mps[world, other])
    reach = math.hypot(half_length_a, half_width_a) + math.hypot(half_length_b, half_width_b)
    last_horizon = settings.first_horizon_s + settings.horizon_step_s * (settings.num_horizons - 1)
    span = reach + (speed_mps + other_speed) * last_horizon
    if dx * dx + dy * dy > span * span:  # cannot meet whatever the headings
        return False
    if not heights_overlap(
        motion.z[world, slot],
        traits.half_height_m[world, slot],
        motion.z[world, other],
        traits.half_height_m[world, other],
    ):
        return False
    cos_a, sin_a = math.cos(motion.yaw_rad[world, slot]), math.sin(motion.yaw_rad[world, slot])
    cos_b, sin_b = math.cos(motion.yaw_rad[world, other]), math.sin(motion.yaw_rad[world, other])
    closing_x = other_speed * cos_b - speed_mps * cos_a
    closing_y = other_speed * sin_b - speed_mps * sin_a
    for k in range(settings.num_horizons):
        horizon = settings.first_horizon_s + settings.horizon_step_s * k
        x, y = dx + closing_x * horizon, dy + closing_y * horizon
        if x * x + y * y > reach * reach:
            continue
        if turned_boxes_overlap(
            x,
            y,
            cos_a,
            sin_a,
            half_length_a,
            half_width_a,
            cos_b,
            sin_b,
            half_length_b,
            half_width_b,
        ):
            return True
    return False


@njit(cache=True)
def will_collide_soon(
    world: int, slot: int, motion: ActorMotion, traits: ActorTraits, settings: TtcSettings
) -> bool:
    """Whether a moving ego meets any vehicle, pedestrian or prop at one of the horizons."""
    speed = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
    if speed < settings.min_speed_mps:
        return False
    for other in range(traits.valid.shape[1]):
        if other == slot or not traits.valid[world, other] or traits.kind[world, other] > _STATIC:
            continue
        if meets_soon(world, slot, other, speed, motion, traits, settings):
            return True
    return False


@njit(cache=True, nogil=True)
def detect_ttc_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    counters: HoldCounters,
    settings: TtcSettings,
    facts: MotionFacts,
) -> None:
    """Keep the penalty windows of drivers first to last - 1; a violation opens one afresh."""
    for agent in range(first, last):
        ticks = max(counters.ttc_ticks_left[agent] - 1, 0)
        if will_collide_soon(int(ego.world[agent]), int(ego.slot[agent]), motion, traits, settings):
            ticks = settings.hold_ticks
        counters.ttc_ticks_left[agent] = ticks
        facts.ttc_active[agent] = ticks > 0
