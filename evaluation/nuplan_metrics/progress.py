"""Where the ego got to: driving direction, the expert's route, the speed limit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.driven_route import DrivenRoute
from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.expert_route import ExpertRoute, progress_along
from evaluation.nuplan_metrics.lane_graph import FloatArray, IntArray, LaneGraph, RoadMap
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import station_m
from sim_adapters.scene.map_areas import Polylines

# Driving direction compliance: the ego does not drive against the traffic.
#
# Progress along the baseline of the lane that the ego's centre is in, summed over the last second;
# 1 where it is never below -2 m, 0.5 down to -6 m, else 0.
# Source: nuPlan devkit, `driving_direction_compliance.py`.

COMPLIANCE_M = 2.0
VIOLATION_M = 6.0
HORIZON_S = 1.0


def progress_over_horizon(
    ego: EgoPath, time_us: NDArray[np.int64], route: DrivenRoute, road: RoadMap
) -> FloatArray:
    """Progress in driving direction over the last second, (T,) [m].

    Args:
        ego: The path.
        time_us: (T,).
        route: Of the ego's centre.
        road: The map below it.
    """
    progress = np.zeros(len(ego.x))
    _progress(ego.x, ego.y, route.lane, route.count, road.baselines, progress)
    num_before = int(HORIZON_S * 1e6 / np.mean(np.diff(time_us)))
    return np.array([progress[max(0, k - num_before) : k + 1].sum() for k in range(len(progress))])


def direction_score(progress_m: FloatArray) -> float:
    """Score 0, 0.5 or 1 of the progress over the horizon."""
    against_m = abs(float(progress_m.min()))
    if against_m < COMPLIANCE_M:
        return 1.0
    return 0.5 if against_m < VIOLATION_M else 0.0


@range_kernel
def _progress(
    x: FloatArray,
    y: FloatArray,
    lane: IntArray,
    count: IntArray,
    baselines: Polylines,
    progress: FloatArray,
) -> None:
    """Progress since the sample before, zero where the lane is another or there is none.

    Samples without a lane keep the last station, and a station of exactly zero counts as no
    progress: quirks of the devkit.
    """
    current = lane[0, 0] if count[0] > 0 else -1
    station, is_known = 0.0, False
    for k in range(len(x)):
        if count[k] == 0:
            continue
        if lane[k, 0] != current:
            current, is_known = lane[k, 0], False
            continue
        now = station_m(current, x[k], y[k], baselines)
        if is_known and now != 0.0:
            progress[k] = now - station
        station, is_known = now, True


# Progress along the expert's route, and whether the ego makes progress at all.
#
# The ratio of the ego's progress to the expert's, both at least 2 m, at most 1; 0 for an ego that
# drove back more than 2 m, 1 where the expert was in no lane. Making progress means a ratio of 0.2.
# The expert's progress is taken over all N frames of the log, the ego's over its N - 1 samples.
# Source: nuPlan devkit, `ego_progress_along_expert_route.py` and `ego_is_making_progress.py`.

LEAST_PROGRESS_M = 2.0
LEAST_RATIO = 0.2


class RouteProgress(NamedTuple):
    """Progress of ego and expert along the expert's route."""

    ego_m: float
    expert_m: float
    ratio: float  # in [0, 1]: the score


def route_progress(
    route: ExpertRoute,
    ego_xy: tuple[FloatArray, FloatArray],
    expert_xy: tuple[FloatArray, FloatArray],
    road: RoadMap,
) -> RouteProgress:
    """Progress of a path.

    Args:
        route: Roadblocks of the expert.
        ego_xy: Box centres, x and y, (T,) each [m].
        expert_xy: The same of the expert, (N,) each [m].
        road: The map below them.
    """
    if len(route.lane) == 0:
        return RouteProgress(ego_m=0.0, expert_m=0.0, ratio=1.0)
    ego_m = float(progress_along(route, *ego_xy, road).sum())
    expert_m = float(progress_along(route, *expert_xy, road).sum())
    if ego_m < -LEAST_PROGRESS_M:
        return RouteProgress(ego_m, expert_m, 0.0)
    ratio = max(ego_m, LEAST_PROGRESS_M) / max(expert_m, LEAST_PROGRESS_M)
    return RouteProgress(ego_m, expert_m, min(1.0, ratio))


def making_progress_score(ratio: float) -> float:
    """1 if the ratio of progress is at least 0.2, else 0."""
    return float(ratio >= LEAST_RATIO)


# Speed limit compliance: how much and how long the ego is faster than allowed.
#
# On a lane its own limit holds; on connectors the highest limit of all lanes that lead to or from
# them. Where any of these is missing or zero there is no limit. The score is
# max(0, 1 - mean overspeed / 2.23 m/s), with the devkit's sum and durations.
# Source: nuPlan devkit, `speed_limit_compliance.py`, max_overspeed_value_threshold 2.23.

MAX_OVERSPEED_MPS = 2.23


def overspeed_mps(speed_mps: FloatArray, route: DrivenRoute, road: RoadMap) -> FloatArray:
    """Speed above the limit at each sample, zero below it, (T,) [m/s]."""
    excess = np.zeros(len(speed_mps))
    _fill(speed_mps, route.lane, route.count, road.graph, excess)
    return excess


def speed_score(excess_mps: FloatArray, time_us: NDArray[np.int64]) -> float:
    """Score in [0, 1] of the overspeed at each sample."""
    duration_s = float(time_us[-1] - time_us[0]) * 1e-6
    if duration_s <= 0.0:
        return 1.0
    step_s = float(np.mean(np.diff(time_us))) * 1e-6
    loss = float(excess_mps.sum()) * step_s / (MAX_OVERSPEED_MPS * duration_s)
    return max(0.0, 1.0 - loss)


@range_kernel
def _fill(
    speed_mps: FloatArray, lane: IntArray, count: IntArray, graph: LaneGraph, excess: FloatArray
) -> None:
    for k in range(len(speed_mps)):
        if count[k] > 0:
            excess[k] = max(0.0, speed_mps[k] - _limit_mps(lane[k], count[k], graph))


@device_function
def _limit_mps(lanes: IntArray, count: int, graph: LaneGraph) -> float:
    """The limit on these lanes, infinite if there is none."""
    if not graph.is_connector[lanes[0]]:
        own = float(graph.speed_limit_mps[lanes[0]])
        return own if own > 0.0 else np.inf
    highest = 0.0
    for i in range(count):
        connector = lanes[i]
        for j in range(graph.first_successor[connector], graph.first_successor[connector + 1]):
            limit = float(graph.speed_limit_mps[graph.successor[j]])
            if not limit > 0.0:
                return np.inf
            highest = max(highest, limit)
        for j in range(graph.first_predecessor[connector], graph.first_predecessor[connector + 1]):
            limit = float(graph.speed_limit_mps[graph.predecessor[j]])
            if not limit > 0.0:
                return np.inf
            highest = max(highest, limit)
    return highest if highest > 0.0 else np.inf
