"""NuplanMemory: what nuPlan's detectors remember of an episode, and how comfortable it was."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from sim_adapters.array_types import IntArray
from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.scene.events.arrays import MotionFacts
from sim_adapters.scene.state import (
    ActorMotion,
    EgoBody,
    EgoState,
    FloatArray,
    SceneArrays,
    SceneBatch,
)

MAX_REMEMBERED_TRACKS = 32
MAX_REMEMBERED_CONNECTORS = 8


class NuplanTracker(NamedTuple):
    """Place in the log and what has happened since its first frame, (E,)."""

    frame: IntArray  # of the log: steps since the episode began
    num_frames: IntArray  # N of the log
    completion: FloatArray  # furthest place on the human's path so far, in [0, 1]
    num_uncomfortable: IntArray  # comfort checks that fail over the episode so far
    ttc_failed: NDArray[np.bool_]  # a time-to-collision test has failed
    edge: IntArray  # lane or connector under the ego, row of RoadEdges, -1 none
    num_hit: IntArray  # tracks hit so far
    hit_id: NDArray[np.int64]  # (E, 32) actor ids of those tracks, the latest overwrite the oldest
    num_human_reds: IntArray  # connectors the human was in while they were red
    human_red: IntArray  # (E, 8) rows of RoadEdges, likewise


class MotionRecord(NamedTuple):
    """The ego's states since the episode began, (E, T); `tracker.frame` says how many."""

    longitudinal_mps2: FloatArray  # of the centre
    lateral_mps2: FloatArray  # of the centre
    magnitude_mps2: FloatArray  # of the rear axle
    yaw_rad: FloatArray  # unwrapped


class NuplanMemory(NamedTuple):
    """All of the above for E drivers."""

    tracker: NuplanTracker
    record: MotionRecord


def empty_tracker(num_agents: int) -> NuplanTracker:
    """A tracker of drivers whose episode has not begun."""
    return NuplanTracker(
        frame=np.zeros(num_agents, np.int32),
        num_frames=np.ones(num_agents, np.int32),
        completion=np.zeros(num_agents),
        num_uncomfortable=np.zeros(num_agents, np.int32),
        ttc_failed=np.zeros(num_agents, np.bool_),
        edge=np.full(num_agents, -1, np.int32),
        num_hit=np.zeros(num_agents, np.int32),
        hit_id=np.zeros((num_agents, MAX_REMEMBERED_TRACKS), np.int64),
        num_human_reds=np.zeros(num_agents, np.int32),
        human_red=np.full((num_agents, MAX_REMEMBERED_CONNECTORS), -1, np.int32),
    )


def empty_nuplan_memory(scene: SceneBatch) -> NuplanMemory:
    """Memory of the scene's drivers; a route point, one of each frame, is room for a sample."""
    shape = scene.num_agents, scene.routes.x.shape[1]
    record = MotionRecord(*(np.zeros(shape) for _ in MotionRecord._fields))
    return NuplanMemory(empty_tracker(scene.num_agents), record)


# The devkit's car as nuPlan's facts see it: its centre, from what EgoBody has of the rear axle.

REAR_AXLE_TO_CENTRE_M = 1.461  # Pacifica


@inlined_function
def centre_vy_mps(driver: int, body: EgoBody) -> float:
    """Velocity of the centre to the left; forward it is that of the rear axle."""
    return body.vy_mps[driver] + REAR_AXLE_TO_CENTRE_M * body.yaw_rate_radps[driver]


@inlined_function
def centre_ax_mps2(driver: int, body: EgoBody) -> float:
    """Forward acceleration of the centre; to the left it is that of the rear axle.

    The devkit adds both the centripetal part, with this sign, and that of the yaw acceleration to
    the forward component (`get_acceleration_shifted`).
    """
    rate = body.yaw_rate_radps[driver]
    turning = rate * rate + body.yaw_acceleration_radps2[driver]
    return body.ax_mps2[driver] + REAR_AXLE_TO_CENTRE_M * turning


@inlined_function
def centre_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the centre's velocity."""
    return math.hypot(body.vx_mps[driver], centre_vy_mps(driver, body))


@inlined_function
def rear_axle_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the rear axle's velocity: the devkit's `speed`."""
    return math.hypot(body.vx_mps[driver], body.vy_mps[driver])


# Thresholds of nuPlan's detectors, CaRL's training values by default.


class NuplanSettings(NamedTuple):
    """What counts as a collision, as leaving road or route, and as a coming collision."""

    stopped_mps: float = 0.05  # a slower ego is not to blame for a contact or a red light
    off_road_tolerance_m: float = 0.0  # how far a corner may be off a polygon that holds another
    route_by_lanes: int = 0  # 1: off the route is off its lanes ("v2"), 0: off its roadblocks
    first_horizon_s: float = 0.2  # time to collision: boxes are moved on by so much ...
    horizon_step_s: float = 0.2
    num_horizons: int = 5  # 0.2, 0.4, 0.6, 0.8, 1.0 s
    min_ttc_speed_mps: float = 0.005  # a slower ego meets nobody
    # 1: as in nuPlan's metric, a track counts only if it was not hit before and is ahead, or beside
    # an ego between lanes, off the road or in an intersection. CaRL finds out who does, and then
    # tests all tracks
    ttc_relevant_only: int = 0


class ComfortBounds(NamedTuple):
    """Bounds of the six comfort checks; a value on a bound fails."""

    min_longitudinal_mps2: float = -4.05
    max_longitudinal_mps2: float = 2.40
    max_lateral_mps2: float = 4.89
    max_jerk_mps3: float = 8.37
    max_longitudinal_jerk_mps3: float = 4.13
    max_yaw_acceleration_radps2: float = 1.93
    max_yaw_rate_radps: float = 0.95
    min_samples: int = 4  # with fewer, all checks pass


# nuPlan's six comfort checks over all states of an episode so far, from filtered series

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
