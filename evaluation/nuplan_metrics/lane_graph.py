"""LaneGraph: lanes and connectors as the metrics walk them, and the route that a path drives.

"Lanes" in this package's names means both: nuPlan's lanes and lane connectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import area_contains, area_distance_m, areas_at, is_in_area
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas, Polylines
from sim_adapters.scene.map_bank import MapBank

MAX_LANES = 32  # most connectors over one point; lookups that find more fail by name
SEVERAL_LANES = -1  # lookups return these instead of a count
TOO_MANY_CONNECTORS = -2
LOOKUP_FAILURES = {
    SEVERAL_LANES: "two lanes of the map overlap where the ego drives: the devkit refuses, too",
    TOO_MANY_CONNECTORS: f"more than {MAX_LANES} connectors of the map overlap at one point",
}

_LANE = int(AreaKind.LANE)
_CONNECTOR = int(AreaKind.LANE_CONNECTOR)


class LaneGraph(NamedTuple):
    """Lanes and lane connectors, (K,): row i is edge i of `VectorMap.edges`."""

    area: IntArray  # polygon, row of MapAreas
    roadblock: IntArray  # of roadblock or roadblock connector, row of MapAreas
    is_connector: NDArray[np.bool_]
    speed_limit_mps: FloatArray  # NaN where the map has none
    first_successor: IntArray  # (K + 1,) CSR
    successor: IntArray
    first_predecessor: IntArray
    predecessor: IntArray
    lane_of_area: IntArray  # (N,) inverse of `area`, -1 for other areas


class RoadMap(NamedTuple):
    """One map of a bank, as this package's functions take it; its kernels take the parts."""

    map_index: int
    areas: MapAreas
    grid: AreaGrid
    graph: LaneGraph
    baselines: Polylines  # of the graph's lanes


def road_maps(maps: MapBank) -> list[RoadMap]:
    """The maps of a bank, by their index.

    Raises:
        ValueError: the bank has no vector map.
    """
    if maps.vector is None:
        raise ValueError("these maps have no polygons: load them with load_nuplan_maps")
    edges = maps.vector.edges
    lane_of_area = np.full(len(maps.vector.areas.kind), -1, np.int32)
    lane_of_area[edges.area] = np.arange(len(edges.area), dtype=np.int32)
    graph = LaneGraph(
        edges.area,
        edges.roadblock,
        edges.is_connector,
        edges.speed_limit_mps,
        maps.links.successor_first,
        maps.links.successor,
        maps.links.predecessor_first,
        maps.links.predecessor,
        lane_of_area,
    )
    vector = maps.vector
    return [
        RoadMap(index, vector.areas, vector.area_grid, graph, vector.baselines)
        for index in range(len(maps.towns))
    ]


@device_function
def lanes_at(
    x: float,
    y: float,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    graph: LaneGraph,
    found: IntArray,
) -> int:
    """Writes the lane that contains a point, or else all connectors that do.

    Returns:
        How many, or a negative key of LOOKUP_FAILURES.
    """
    count = areas_at(x, y, map_index, _LANE, areas, grid, found)
    if count > 1:
        return SEVERAL_LANES
    if count == 0:
        count = areas_at(x, y, map_index, _CONNECTOR, areas, grid, found)
        if count > len(found):
            return TOO_MANY_CONNECTORS
    for i in range(count):
        found[i] = graph.lane_of_area[found[i]]
    return count


@device_function
def lanes_onward(
    x: float,
    y: float,
    candidates: IntArray,
    num_candidates: int,
    areas: MapAreas,
    graph: LaneGraph,
    found: IntArray,
) -> int:
    """Writes which of the candidates contain a point; a sole candidate may pass to its successors.

    Returns:
        How many were found.
    """
    count = 0
    for i in range(num_candidates):
        lane = int(candidates[i])
        if count < len(found) and area_contains(graph.area[lane], x, y, areas):
            found[count] = lane
            count += 1
    if count > 0 or num_candidates != 1:
        return count
    only = candidates[0]
    for i in range(graph.first_successor[only], graph.first_successor[only + 1]):
        lane = int(graph.successor[i])
        if count < len(found) and area_contains(graph.area[lane], x, y, areas):
            found[count] = lane
            count += 1
    return count


@device_function
def is_listed(lane: int, lanes: IntArray, count: int) -> bool:
    """Whether `lane` is among the first `count` of `lanes`."""
    listed = False
    for i in range(count):
        listed = listed or lanes[i] == lane
    return listed


# The driven route: at every sample the lane, or the lane connectors, that a path is in.
#
# Source: nuPlan devkit, `metrics/utils/route_extractor.py` (its rules, quirks included): a path
# stays in what it was in before while that contains it, passes to the one lane's successors, else
# the map is searched; several connectors are narrowed afterwards to the one that the path ends in.

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
