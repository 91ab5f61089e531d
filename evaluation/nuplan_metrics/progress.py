"""Where the ego got to: driving direction, the expert's route, the speed limit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.lane_graph import (
    DrivenRoute,
    FloatArray,
    IntArray,
    LaneGraph,
    RoadMap,
    is_listed,
)
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import area_contains, polyline_length_m, station_m
from sim_adapters.scene.map_areas import MapAreas, Polylines

# The expert's route as a list of roadblocks, and a path's progress along it.
#
# Source: nuPlan devkit, `ego_progress_along_expert_route.py` and `utils/route_extractor.py`.


class ExpertRoute(NamedTuple):
    """Roadblocks in the order in which the expert enters them, (R,); empty off all lanes."""

    roadblock: IntArray  # row of MapAreas
    lane: IntArray  # whose baseline measures progress there, row of LaneGraph


def expert_route(driven: DrivenRoute, road: RoadMap) -> ExpertRoute:
    """The roadblocks of a driven route, without repeats of the one before."""
    roadblock, lane = np.zeros(len(driven.count), np.int32), np.zeros(len(driven.count), np.int32)
    length = _simplify(driven.lane, driven.count, road.areas, road.graph, roadblock, lane)
    return ExpertRoute(roadblock[:length], lane[:length])


@range_kernel
def _simplify(
    driven: IntArray,
    count: IntArray,
    areas: MapAreas,
    graph: LaneGraph,
    roadblock: IntArray,
    lane: IntArray,
) -> int:
    length, last = 0, -1
    for k in range(len(count)):
        repeated = False
        for i in range(count[k]):
            repeated = repeated or (
                last >= 0 and is_listed(driven[k, i], driven[last], count[last])
            )
        if count[k] == 0 or repeated:
            continue
        last = k
        block = graph.roadblock[driven[k, 0]]
        # By feature id, as the devkit compares them
        if length == 0 or areas.fid[block] != areas.fid[roadblock[length - 1]]:
            roadblock[length], lane[length] = block, driven[k, 0]
            length += 1
    return length


def progress_along(route: ExpertRoute, x: FloatArray, y: FloatArray, road: RoadMap) -> FloatArray:
    """Progress at each sample since the one before, (T,) [m]; the first is zero.

    Args:
        route: Not empty.
        x: Box centres of a path, (T,) [m].
        y: Likewise.
        road: The map below it.
    """
    progress = np.zeros(len(x))
    _advance(route.roadblock, route.lane, x, y, road.areas, road.baselines, progress)
    return progress


@range_kernel
def _advance(
    roadblock: IntArray,
    lane: IntArray,
    x: FloatArray,
    y: FloatArray,
    areas: MapAreas,
    baselines: Polylines,
    progress: FloatArray,
) -> None:
    here = 0
    station = station_m(lane[0], x[0], y[0], baselines)
    for k in range(1, len(x)):
        if area_contains(roadblock[here], x[k], y[k], areas):
            now = station_m(lane[here], x[k], y[k], baselines)
            progress[k] = now - station
            station = now
            continue
        # Left the roadblock: the next one of the route that contains the point, if any does
        skipped_m, ahead = 0.0, here + 1
        while ahead < len(lane) and not area_contains(roadblock[ahead], x[k], y[k], areas):
            if ahead + 1 < len(lane):
                skipped_m += _crossing_m(lane[ahead - 1], lane[ahead], lane[ahead + 1], baselines)
            ahead += 1
        if ahead < len(lane):
            now = station_m(lane[ahead], x[k], y[k], baselines)
            entry = _end_station_m(lane[here], lane[ahead], baselines)
            rest = polyline_length_m(lane[here], baselines) - station
            progress[k] = rest + (now - entry) + skipped_m
            here, station = ahead, now


@device_function
def _crossing_m(before: int, skipped: int, after: int, baselines: Polylines) -> float:
    """Length of a skipped lane between the end of the lane before it and the start of the next."""
    start = baselines.first_point[after]
    x, y = float(baselines.x[start]), float(baselines.y[start])
    return station_m(skipped, x, y, baselines) - _end_station_m(before, skipped, baselines)


@device_function
def _end_station_m(before: int, lane: int, baselines: Polylines) -> float:
    """Station on `lane` nearest to the end of the lane before it."""
    end = baselines.first_point[before + 1] - 1
    return station_m(lane, float(baselines.x[end]), float(baselines.y[end]), baselines)


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
