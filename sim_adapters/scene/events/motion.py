"""How the ego moves: speed, standing still, end of time, time to collision, comfort.

Time to collision is CaRL's penalty: whether boxes meet soon if everybody keeps speed and heading,
at five horizons. Comfort are six metrics of the last 1.5 s, each with its own penalty window. Their
Savitzky-Golay filters are linear, so the last filtered value is a dot product of the history with
weights that depend on its length only, found once by filtering unit histories with scipy.

Source: nuPlan's comfort metrics, with CaRL's windows for 10 Hz histories of 8 to 15 samples.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import InfractionFacts, MotionFacts
from sim_adapters.scene.events.settings import ComfortSettings, MotionSettings, TtcSettings
from sim_adapters.scene.geometry import (
    forward_offset_m,
    heights_overlap,
    left_offset_m,
    turned_boxes_overlap,
    wrap_angle,
)
from sim_adapters.scene.memory import RING_SAMPLES, HoldCounters, MotionRings
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks, EgoState

_CLOCK_SLACK_S = 1e-6  # sums of 0.1 s are not exact


@range_kernel
def detect_motion_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    counters: HoldCounters,
    step_s: float,
    settings: MotionSettings,
    facts: MotionFacts,
    infractions: InfractionFacts,
) -> None:
    """Write speed, excess, blocking and time-out of drivers first to last - 1.

    The clock is compared so that a limit of 1,200 s is 12,000 steps of 0.1 s.
    """
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        speed = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        limit = ego.speed_limit_mps[agent]
        if not limit > 0.0:  # also where it is NaN
            limit = settings.unknown_limit_mps
        facts.speed_mps[agent] = speed
        facts.overspeed_mps[agent] = max(speed - limit, 0.0)
        facts.steer_change[agent] = abs(ego.steer[agent] - counters.previous_steer[agent])
        counters.previous_steer[agent] = ego.steer[agent]
        standing = speed < settings.blocked_speed_mps
        counters.standing_s[agent] = counters.standing_s[agent] + step_s if standing else 0.0
        infractions.blocked[agent] = (
            counters.standing_s[agent] > settings.blocked_s + _CLOCK_SLACK_S
        )
        infractions.timed_out[agent] = (
            clocks.elapsed_s[world] >= clocks.time_limit_s[world] - _CLOCK_SLACK_S
        )
        infractions.simulator_failed[agent] = clocks.failed[world]


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


_SMOOTH_WINDOW = 8
_YAW_WINDOW = 5


class ComfortWeights(NamedTuple):
    """Weights by history length, (RING_SAMPLES + 1, RING_SAMPLES); derivatives are per sample.

    Row n serves histories of n samples; rows below the longest window hold zeros.
    """

    smooth: NDArray[np.float64]  # acceleration, window 8, degree 2
    jerk: NDArray[np.float64]  # derivative of the smoothed acceleration, window min(15, n)
    yaw_rate: NDArray[np.float64]  # window 5, degree 2
    yaw_acceleration: NDArray[np.float64]  # window 5, degree 3


@cache
def comfort_weights() -> ComfortWeights:
    """The weights for all history lengths."""
    tables = ComfortWeights(*(np.zeros((RING_SAMPLES + 1, RING_SAMPLES)) for _ in range(4)))
    for n in range(_SMOOTH_WINDOW, RING_SAMPLES + 1):
        unit = np.eye(n)
        smoothed = savgol_filter(unit, _SMOOTH_WINDOW, 2, axis=0)
        tables.smooth[n, :n] = smoothed[-1]
        tables.jerk[n, :n] = savgol_filter(smoothed, min(15, n), 2, deriv=1, axis=0)[-1]
        tables.yaw_rate[n, :n] = savgol_filter(unit, _YAW_WINDOW, 2, deriv=1, axis=0)[-1]
        tables.yaw_acceleration[n, :n] = savgol_filter(unit, _YAW_WINDOW, 3, deriv=2, axis=0)[-1]
    return tables


@inlined_function
def last_filtered(
    weights: NDArray[np.float64], history: NDArray[np.float64], agent: int, num_samples: int
) -> float:
    """Filtered last value of `history[agent, :num_samples]`."""
    total = 0.0
    for i in range(num_samples):
        total += weights[num_samples, i] * history[agent, i]
    return total


@inlined_function
def remember_motion(
    agent: int, world: int, slot: int, motion: ActorMotion, rings: MotionRings
) -> None:
    """Append the present to the history; a full history loses its oldest sample."""
    n = rings.num_samples[agent]
    if n == RING_SAMPLES:
        n -= 1
        for i in range(n):
            rings.longitudinal_mps2[agent, i] = rings.longitudinal_mps2[agent, i + 1]
            rings.lateral_mps2[agent, i] = rings.lateral_mps2[agent, i + 1]
            rings.magnitude_mps2[agent, i] = rings.magnitude_mps2[agent, i + 1]
            rings.yaw_rad[agent, i] = rings.yaw_rad[agent, i + 1]
    ax, ay = motion.ax_mps2[world, slot], motion.ay_mps2[world, slot]
    yaw = motion.yaw_rad[world, slot]
    cos, sin = math.cos(yaw), math.sin(yaw)
    rings.longitudinal_mps2[agent, n] = forward_offset_m(ax, ay, cos, sin)
    rings.lateral_mps2[agent, n] = left_offset_m(ax, ay, cos, sin)
    rings.magnitude_mps2[agent, n] = math.hypot(ax, ay)
    # Unwrapped, so that the filters see no jump at half a turn
    old = rings.yaw_rad[agent, n - 1] if n > 0 else yaw
    rings.yaw_rad[agent, n] = old + wrap_angle(yaw - old)
    rings.num_samples[agent] = n + 1


@inlined_function
def is_uncomfortable(
    metric: int,
    agent: int,
    rings: MotionRings,
    weights: ComfortWeights,
    step_s: float,
    settings: ComfortSettings,
) -> bool:
    """Whether the last sample breaks the limit of one metric; the order is CaRL's."""
    n = rings.num_samples[agent]
    if metric == 0:
        value = last_filtered(weights.smooth, rings.longitudinal_mps2, agent, n)
        return value < settings.min_longitudinal_mps2 or value > settings.max_longitudinal_mps2
    if metric == 1:
        value = last_filtered(weights.smooth, rings.lateral_mps2, agent, n)
        return abs(value) > settings.max_lateral_mps2
    if metric == 2:
        value = last_filtered(weights.jerk, rings.magnitude_mps2, agent, n) / step_s
        return abs(value) > settings.max_jerk_mps3
    if metric == 3:
        value = last_filtered(weights.jerk, rings.longitudinal_mps2, agent, n) / step_s
        return abs(value) > settings.max_longitudinal_jerk_mps3
    if metric == 4:
        value = last_filtered(weights.yaw_rate, rings.yaw_rad, agent, n) / step_s
        return abs(value) > settings.max_yaw_rate_radps
    value = last_filtered(weights.yaw_acceleration, rings.yaw_rad, agent, n) / (step_s * step_s)
    return abs(value) > settings.max_yaw_acceleration_radps2


@range_kernel
def detect_comfort_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    rings: MotionRings,
    counters: HoldCounters,
    weights: ComfortWeights,
    step_s: float,
    settings: ComfortSettings,
    facts: MotionFacts,
) -> None:
    """Extend the histories of drivers first to last - 1 and keep their penalty windows."""
    for agent in range(first, last):
        remember_motion(agent, int(ego.world[agent]), int(ego.slot[agent]), motion, rings)
        has_history = rings.num_samples[agent] >= settings.min_samples
        num_active = 0
        for metric in range(NUM_COMFORT_METRICS):
            ticks = max(counters.comfort_ticks_left[agent, metric] - 1, 0)
            if has_history and is_uncomfortable(metric, agent, rings, weights, step_s, settings):
                ticks = settings.hold_ticks
            counters.comfort_ticks_left[agent, metric] = ticks
            num_active += ticks > 0
        facts.num_comfort_active[agent] = num_active
