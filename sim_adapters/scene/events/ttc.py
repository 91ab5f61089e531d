"""Time to collision: whether boxes meet soon if everybody keeps speed and heading.

Source: CaRL's time-to-collision penalty, with its five horizons and its penalty window.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import MotionFacts
from sim_adapters.scene.events.settings import TtcSettings
from sim_adapters.scene.geometry import heights_overlap, turned_boxes_overlap
from sim_adapters.scene.memory import HoldCounters
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState


@inlined_function
def meets_soon(
    car: EgoCar,
    other: int,
    other_speed_mps: float,
    motion: ActorMotion,
    traits: ActorTraits,
    settings: TtcSettings,
) -> bool:
    """Whether the boxes of the car and another actor overlap at one of the horizons."""
    here, there = (car.world, car.slot), (car.world, other)
    if not heights_overlap(
        car.z, traits.half_height_m[here], motion.z[there], traits.half_height_m[there]
    ):
        return False
    half_length, half_width = traits.half_length_m[there], traits.half_width_m[there]
    dx, dy = motion.x[there] - car.x, motion.y[there] - car.y
    cos_a, sin_a = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
    cos_b, sin_b = math.cos(motion.yaw_rad[there]), math.sin(motion.yaw_rad[there])
    closing_x = other_speed_mps * cos_b - car.speed_mps * cos_a
    closing_y = other_speed_mps * sin_b - car.speed_mps * sin_a
    for k in range(settings.num_horizons):
        horizon = settings.first_horizon_s + settings.horizon_step_s * k
        if turned_boxes_overlap(
            dx + closing_x * horizon,
            dy + closing_y * horizon,
            cos_a,
            sin_a,
            car.half_length_m,
            car.half_width_m,
            cos_b,
            sin_b,
            half_length,
            half_width,
        ):
            return True
    return False


@inlined_function
def will_collide_soon(
    car: EgoCar, motion: ActorMotion, traits: ActorTraits, settings: TtcSettings
) -> bool:
    """Whether a moving ego meets any other actor at one of the horizons.

    Props count whatever they are: dirt on the road is left out of the picture only.
    """
    if car.speed_mps < settings.min_speed_mps:
        return False
    last_horizon = settings.first_horizon_s + settings.horizon_step_s * (settings.num_horizons - 1)
    world = car.world
    for other in range(traits.valid.shape[1]):
        if not traits.valid[world, other]:
            continue
        dx, dy = motion.x[world, other] - car.x, motion.y[world, other] - car.y
        vx, vy = motion.vx_mps[world, other], motion.vy_mps[world, other]
        speed = math.sqrt(vx * vx + vy * vy)
        # Out of reach whatever the headings: half length + half width bounds the half diagonal
        reach = car.half_length_m + car.half_width_m + (car.speed_mps + speed) * last_horizon
        reach += traits.half_length_m[world, other] + traits.half_width_m[world, other]
        if dx * dx + dy * dy > reach * reach or other == car.slot:
            continue
        if meets_soon(car, other, speed, motion, traits, settings):
            return True
    return False


@range_kernel
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
        car = ego_car(agent, motion, traits, ego)
        ticks = max(counters.ttc_ticks_left[agent] - 1, 0)
        if will_collide_soon(car, motion, traits, settings):
            ticks = settings.hold_ticks
        counters.ttc_ticks_left[agent] = ticks
        facts.ttc_active[agent] = ticks > 0
