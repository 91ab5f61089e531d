"""The driven route: at every sample the lane, or the lane connectors, that a path is in.

Source: nuPlan devkit, `metrics/utils/route_extractor.py` (its rules, quirks included): a path
stays in what it was in before while that contains it, passes to the one lane's successors, else
the map is searched; several connectors are narrowed afterwards to the one that the path ends in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.nuplan_metrics.lane_graph import (
    LOOKUP_FAILURES,
    MAX_LANES,
    FloatArray,
    IntArray,
    LaneGraph,
    RoadMap,
    is_listed,
    lanes_at,
    lanes_onward,
)
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import area_distance_m, is_in_area
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas

_INTERSECTION = int(AreaKind.INTERSECTION)
_KEPT_WITHIN_M = 5.0  # a path this near to its last connector has not left it for another


class DrivenRoute(NamedTuple):
    """Lanes of a path at T samples."""

    lane: IntArray  # (T, MAX_LANES) edges; the first one is what single-lane metrics take
    count: IntArray  # (T,) zero where the path is in none


class MapLookupError(ValueError):
    """The map does not say which lane a point is in."""


def driven_route(x: FloatArray, y: FloatArray, road: RoadMap) -> DrivenRoute:
    """The route of a path.

    Args:
        x: Points, (T,) [m].
        y: Likewise.
        road: The map below it.

    Raises:
        MapLookupError: see LOOKUP_FAILURES.
    """
    route = DrivenRoute(np.zeros((len(x), MAX_LANES), np.int32), np.zeros(len(x), np.int32))
    status = _follow(
        x, y, road.map_index, road.areas, road.grid, road.graph, route.lane, route.count
    )
    if status < 0:
        raise MapLookupError(LOOKUP_FAILURES[status])
    _narrow(road.graph, route.lane, route.count, np.zeros(MAX_LANES, np.int32))
    return route


@range_kernel
def _follow(
    x: FloatArray,
    y: FloatArray,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    graph: LaneGraph,
    lane: IntArray,
    count: IntArray,
) -> int:
    for k in range(len(x)):
        found = 0
        if k > 0 and count[k - 1] > 0:
            found = lanes_onward(x[k], y[k], lane[k - 1], count[k - 1], areas, graph, lane[k])
        if found == 0:
            found = lanes_at(x[k], y[k], map_index, areas, grid, graph, lane[k])
            if found < 0:
                return found
            if found > 0:
                may_stay = graph.is_connector[lane[k, 0]]
            else:
                may_stay = is_in_area(x[k], y[k], map_index, _INTERSECTION, areas, grid)
            if may_stay and k > 1 and count[k - 1] > 0 and graph.is_connector[lane[k - 1, 0]]:
                kept = _near_connectors(
                    x[k], y[k], lane[k - 1], count[k - 1], areas, graph, lane[k]
                )
                found = kept if kept > 0 else found
        count[k] = found
    return 0


@device_function
def _near_connectors(
    x: float,
    y: float,
    previous: IntArray,
    num_previous: int,
    areas: MapAreas,
    graph: LaneGraph,
    kept: IntArray,
) -> int:
    """Writes the previous connectors that are still near; leaves `kept` alone if there is none."""
    count = 0
    for i in range(num_previous):
        if area_distance_m(int(graph.area[previous[i]]), x, y, areas) < _KEPT_WITHIN_M:
            kept[count] = previous[i]
            count += 1
    return count


@range_kernel
def _narrow(graph: LaneGraph, lane: IntArray, count: IntArray, before: IntArray) -> None:
    """Replaces several connectors by those of the next sample, or by those that lead to its lane.

    Several connectors before a sample without any become none, as in the devkit. `before` is
    room for MAX_LANES.
    """
    for k in range(len(count) - 2, -1, -1):
        num_before, num_next = count[k], count[k + 1]
        if num_before <= 1:
            continue
        for i in range(num_before):
            before[i] = lane[k, i]
        listed = 0
        for i in range(num_next):
            listed += is_listed(lane[k + 1, i], before, num_before)
        if num_before > num_next and listed == num_next:
            for i in range(num_next):
                lane[k, i] = lane[k + 1, i]
            count[k] = num_next
        if num_next == 0 or graph.is_connector[lane[k + 1, 0]]:
            continue
        goal = lane[k + 1, 0]
        first, last = int(graph.first_predecessor[goal]), int(graph.first_predecessor[goal + 1])
        kept = 0
        for i in range(num_before):
            if is_listed(before[i], graph.predecessor[first:last], last - first):
                lane[k, kept] = before[i]
                kept += 1
        if kept > 0:
            count[k] = kept
