"""The expert's route as a list of roadblocks, and a path's progress along it.

Source: nuPlan devkit, `ego_progress_along_expert_route.py` and `utils/route_extractor.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.nuplan_metrics.driven_route import DrivenRoute
from evaluation.nuplan_metrics.lane_graph import FloatArray, IntArray, LaneGraph, RoadMap, is_listed
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import area_contains, polyline_length_m, station_m
from sim_adapters.scene.map_areas import MapAreas, Polylines


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
