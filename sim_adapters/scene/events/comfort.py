"""Comfort: six metrics of the last 1.5 s of motion, each with its own penalty window."""

from __future__ import annotations

import math

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.events.arrays import MotionFacts
from sim_adapters.scene.events.comfort_filters import ComfortWeights, last_filtered
from sim_adapters.scene.events.settings import ComfortSettings
from sim_adapters.scene.geometry import forward_offset_m, left_offset_m, wrap_angle
from sim_adapters.scene.memory import RING_SAMPLES, HoldCounters, MotionRings
from sim_adapters.scene.state import ActorMotion, EgoState


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
