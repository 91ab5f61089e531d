"""nuPlan's six comfort checks over all states of an episode so far.

Source: the devkit's comfort metrics (filters, windows, rounding), which CaRL's comfort term
"kinematics" applies to the states since the episode began.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.scene.events.arrays import MotionFacts
from sim_adapters.scene.nuplan_events.memory import (
    ComfortBounds,
    MotionRecord,
    NuplanMemory,
    centre_ax_mps2,
)
from sim_adapters.scene.state import ActorMotion, EgoBody, EgoState, FloatArray, SceneArrays

# Savitzky-Golay filters over whole series, sample by sample, with scipy's ends


class FilterWeights(NamedTuple):
    """Weights of one filter by window length w up to W; rows and columns beyond w are zero."""

    start: FloatArray  # (W + 1, W // 2, W) of the first w samples, for the first w // 2 results
    middle: FloatArray  # (W + 1, W) of the w samples around a result
    end: FloatArray  # (W + 1, W // 2, W) of the last w samples, for the last w // 2 results


def filter_weights(degree: int, derivative: int, longest: int) -> FilterWeights:
    """Weights for all windows from degree + 1 to `longest` samples; derivatives are per sample."""
    half = longest // 2
    weights = FilterWeights(
        np.zeros((longest + 1, half, longest)),
        np.zeros((longest + 1, longest)),
        np.zeros((longest + 1, half, longest)),
    )
    for window in range(degree + 1, longest + 1):
        ends = savgol_filter(np.eye(window), window, degree, deriv=derivative, axis=0)
        side = window // 2
        weights.start[window, :side, :window] = ends[:side]
        weights.end[window, :side, :window] = ends[window - side :]
        long = savgol_filter(np.eye(3 * window), window, degree, deriv=derivative, axis=0)
        centre = window + side
        first = centre - samples_before(window)
        weights.middle[window, :window] = long[centre, first : first + window]
    return weights


@device_function
def samples_before(window: int) -> int:
    """How many samples before its own a result in the middle uses."""
    return (window - 1) // 2


@device_function
def filtered(
    series: FloatArray, num_samples: int, i: int, window: int, weights: FilterWeights
) -> float:
    """Result `i` of filtering the first `num_samples` of a series, at least `window` of them."""
    side, total = window // 2, 0.0
    if i < side:
        for k in range(window):
            total += weights.start[window, i, k] * series[k]
    elif i >= num_samples - side:
        row, first = i - num_samples + side, num_samples - window
        for k in range(window):
            total += weights.end[window, row, k] * series[first + k]
    else:
        first = i - samples_before(window)
        for k in range(window):
            total += weights.middle[window, k] * series[first + k]
    return total


SMOOTH_WINDOW, JERK_WINDOW, YAW_WINDOW = 8, 15, 5
_TURN_RAD = 2.0 * math.pi
_DECIMALS = 1e8  # the devkit rounds every filtered value to eight decimals


class ComfortFilters(NamedTuple):
    """The filters of the checks."""

    smooth: FilterWeights  # accelerations
    jerk: FilterWeights  # their derivative
    yaw_rate: FilterWeights
    yaw_acceleration: FilterWeights


@cache
def comfort_filters() -> ComfortFilters:
    """The filters, made once."""
    return ComfortFilters(
        filter_weights(2, 0, SMOOTH_WINDOW),
        filter_weights(2, 1, JERK_WINDOW),
        filter_weights(2, 1, YAW_WINDOW),
        filter_weights(3, 2, YAW_WINDOW),
    )


@device_function
def record_motion(
    agent: int,
    sample: int,
    motion: ActorMotion,
    ego: EgoState,
    body: EgoBody,
    record: MotionRecord,
) -> None:
    """Write the present as one sample of the record."""
    ax, ay = body.ax_mps2[agent], body.ay_mps2[agent]
    record.longitudinal_mps2[agent, sample] = centre_ax_mps2(agent, body)
    record.lateral_mps2[agent, sample] = ay
    record.magnitude_mps2[agent, sample] = math.hypot(ax, ay)
    yaw = motion.yaw_rad[int(ego.world[agent]), int(ego.slot[agent])]
    if sample > 0:
        yaw -= _TURN_RAD * round((yaw - record.yaw_rad[agent, sample - 1]) / _TURN_RAD)
    record.yaw_rad[agent, sample] = yaw


@range_kernel
def start_records(
    agents: NDArray[np.int64],
    motion: ActorMotion,
    ego: EgoState,
    body: EgoBody,
    record: MotionRecord,
) -> None:
    """Begin the records of drivers with their present state."""
    for agent in agents:
        record_motion(agent, 0, motion, ego, body, record)


@device_function
def smooth_series(
    series: FloatArray, count: int, smooth: FilterWeights, smoothed: FloatArray
) -> tuple[float, float]:
    """Smooth a series of accelerations; returns its least and greatest value."""
    least, greatest = math.inf, -math.inf
    window = min(SMOOTH_WINDOW, count)
    for i in range(count):
        value = round(filtered(series, count, i, window, smooth) * _DECIMALS) / _DECIMALS
        smoothed[i] = value
        least, greatest = min(least, value), max(greatest, value)
    return least, greatest


@device_function
def largest_derivative(
    series: FloatArray, count: int, longest: int, weights: FilterWeights, per_sample: float
) -> float:
    """Greatest magnitude of a filtered derivative; `per_sample` is dt to the derivative's order."""
    window, greatest = min(longest, count), 0.0
    for i in range(count):
        value = filtered(series, count, i, window, weights) / per_sample
        greatest = max(greatest, abs(round(value * _DECIMALS) / _DECIMALS))
    return greatest


@inlined_function
def judge_comfort(
    agent: int,
    scene: SceneArrays,
    memory: NuplanMemory,
    filters: ComfortFilters,
    bounds: ComfortBounds,
    smoothed: FloatArray,
    facts: MotionFacts,
) -> None:
    """Add the present to a driver's record and count failed checks; `smoothed` is room, (T,)."""
    record, tracker = memory.record, memory.tracker
    count = tracker.frame[agent] + 1
    record_motion(agent, count - 1, scene.motion, scene.ego, scene.body, record)
    failed = 0
    if count >= bounds.min_samples:
        smooth, jerk = filters.smooth, filters.jerk
        dt = scene.clocks.elapsed_s[int(scene.ego.world[agent])] / (count - 1)
        low, high = smooth_series(record.magnitude_mps2[agent], count, smooth, smoothed)
        failed += not largest_derivative(smoothed, count, JERK_WINDOW, jerk, dt) < (
            bounds.max_jerk_mps3
        )
        low, high = smooth_series(record.lateral_mps2[agent], count, smooth, smoothed)
        failed += not max(-low, high) < bounds.max_lateral_mps2
        low, high = smooth_series(record.longitudinal_mps2[agent], count, smooth, smoothed)
        failed += not (low > bounds.min_longitudinal_mps2 and high < bounds.max_longitudinal_mps2)
        failed += not largest_derivative(smoothed, count, JERK_WINDOW, jerk, dt) < (
            bounds.max_longitudinal_jerk_mps3
        )
        yaw, twice = record.yaw_rad[agent], filters.yaw_acceleration
        failed += not largest_derivative(yaw, count, YAW_WINDOW, twice, dt * dt) < (
            bounds.max_yaw_acceleration_radps2
        )
        failed += not largest_derivative(yaw, count, YAW_WINDOW, filters.yaw_rate, dt) < (
            bounds.max_yaw_rate_radps
        )
    tracker.num_uncomfortable[agent] = failed
    facts.num_comfort_active[agent] = failed
