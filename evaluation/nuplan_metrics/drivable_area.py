"""Drivable area compliance: no corner of the ego's box leaves the drivable area by 0.3 m.

A corner is outside when it is in no lane or connector and in none of the drivable layers. Outside,
it is forgiven within 0.3 m of the lanes that the ego's centre is in, or of a drivable polygon.
Source: nuPlan devkit, `drivable_area_compliance.py`, max_violation_threshold 0.3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.lane_graph import (
    LOOKUP_FAILURES,
    MAX_LANES,
    DrivenRoute,
    FloatArray,
    IntArray,
    LaneGraph,
    MapLookupError,
    RoadMap,
    is_listed,
    lanes_at,
    lanes_onward,
)
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.area_lookup import area_distance_m, is_in_area
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas

MAX_VIOLATION_M = 0.3
_DRIVABLE_KINDS = np.array(
    [
        AreaKind.ROAD_SEGMENT,
        AreaKind.INTERSECTION,
        AreaKind.GENERIC_DRIVABLE,
        AreaKind.CARPARK,
    ]
)


def stays_on_drivable_area(
    ego: EgoPath, is_on_lane: NDArray[np.bool_], route: DrivenRoute, road: RoadMap
) -> bool:
    """Whether the ego complies.

    Args:
        ego: The path.
        is_on_lane: (T, 4) see CornerLanes.
        route: Of the ego's centre.
        road: The map below it.
    """
    is_off_lane = np.logical_not(is_on_lane)
    place = (road.map_index, road.areas, road.grid, road.graph)
    return _complies(ego.corner_x, ego.corner_y, is_off_lane, route.lane, route.count, *place)


@range_kernel
def _complies(
    corner_x: FloatArray,
    corner_y: FloatArray,
    is_off_lane: NDArray[np.bool_],
    lane: IntArray,
    count: IntArray,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    graph: LaneGraph,
) -> bool:
    """Whether corners in no lane (`is_off_lane`) are on or near the drivable area, all of them."""
    complies = True
    for k in range(len(count)):
        for c in range(4):
            x, y = corner_x[k, c], corner_y[k, c]
            if not is_off_lane[k, c]:
                continue
            if _is_drivable(x, y, map_index, areas, grid):
                continue
            near = False
            for i in range(count[k]):
                area = int(graph.area[lane[k, i]])
                near = near or area_distance_m(area, x, y, areas) < MAX_VIOLATION_M
            if not near and not _is_near_drivable(x, y, map_index, areas, grid):
                complies = False
    return complies


@device_function
def _is_drivable(x: float, y: float, map_index: int, areas: MapAreas, grid: AreaGrid) -> bool:
    for i in range(len(_DRIVABLE_KINDS)):
        if is_in_area(x, y, map_index, _DRIVABLE_KINDS[i], areas, grid):
            return True
    return False


@device_function
def _is_near_drivable(x: float, y: float, map_index: int, areas: MapAreas, grid: AreaGrid) -> bool:
    """Whether a drivable polygon is within tolerance, in any of the cells that near ones touch."""
    cell_m = grid.cell_m[map_index]
    column, row = x - grid.origin_x[map_index], y - grid.origin_y[map_index]
    num_x, num_y = grid.num_x[map_index], grid.num_y[map_index]
    first_row = max(math.floor((row - MAX_VIOLATION_M) / cell_m), 0)
    last_row = min(math.floor((row + MAX_VIOLATION_M) / cell_m), num_y - 1)
    first_column = max(math.floor((column - MAX_VIOLATION_M) / cell_m), 0)
    last_column = min(math.floor((column + MAX_VIOLATION_M) / cell_m), num_x - 1)
    for j in range(first_row, last_row + 1):
        for i in range(first_column, last_column + 1):
            cell = grid.first_cell[map_index] + j * num_x + i
            for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
                area = grid.area[entry]
                if not _is_listed_kind(int(areas.kind[area])):
                    continue
                if area_distance_m(area, x, y, areas) < MAX_VIOLATION_M:
                    return True
    return False


@device_function
def _is_listed_kind(kind: int) -> bool:
    drivable = False
    for i in range(len(_DRIVABLE_KINDS)):
        drivable = drivable or kind == _DRIVABLE_KINDS[i]
    return drivable


# Which lanes the corners of the ego's box are in, and whether all four share one.
#
# A sample at which they don't is "in multiple lanes or off the road": collisions from the side are
# then the ego's fault, and tracks beside it count for time to collision.
# Source: nuPlan devkit, `metrics/utils/route_extractor.py` (corners' route, common or connected).

_FRONT_LEFT, _REAR_LEFT, _REAR_RIGHT, _FRONT_RIGHT = range(4)


class CornerLanes(NamedTuple):
    """Corners at T samples, in the order of EgoPath."""

    is_on_lane: NDArray[np.bool_]  # (T, 4)
    is_in_common: NDArray[np.bool_]  # (T,) all four in one lane, or in connected ones


class _Room(NamedTuple):
    """What the kernel works in."""

    lane: IntArray  # lanes of each corner at one sample
    count: IntArray
    candidates: IntArray  # lanes of all corners at the sample before
    upcoming: IntArray  # and at this one


_ROOM_SHAPES = ((4, MAX_LANES), (4,), (4 * MAX_LANES,), (4 * MAX_LANES,))


def corner_lanes(x: FloatArray, y: FloatArray, road: RoadMap) -> CornerLanes:
    """Lanes under the corners of a path.

    Args:
        x: Corners, (T, 4) [m].
        y: Likewise.
        road: The map below them.

    Raises:
        MapLookupError: see LOOKUP_FAILURES.
    """
    lanes = CornerLanes(np.zeros(x.shape, np.bool_), np.zeros(len(x), np.bool_))
    place = (road.map_index, road.areas, road.grid, road.graph)
    room = _Room(*(np.zeros(shape, np.int32) for shape in _ROOM_SHAPES))
    status = _follow_corners(x, y, *place, room, lanes.is_on_lane, lanes.is_in_common)
    if status < 0:
        raise MapLookupError(LOOKUP_FAILURES[status])
    return lanes


@range_kernel
def _follow_corners(
    x: FloatArray,
    y: FloatArray,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    graph: LaneGraph,
    room: _Room,
    is_on_lane: NDArray[np.bool_],
    is_in_common: NDArray[np.bool_],
) -> int:
    lane, count, candidates, upcoming = room.lane, room.count, room.candidates, room.upcoming
    num_candidates = 0
    for k in range(len(x)):
        num_upcoming = 0
        for c in range(4):
            found = 0
            if num_candidates > 0:
                found = lanes_onward(
                    x[k, c], y[k, c], candidates, num_candidates, areas, graph, lane[c]
                )
            if found == 0:
                found = lanes_at(x[k, c], y[k, c], map_index, areas, grid, graph, lane[c])
                if found < 0:
                    return found
                if k == 1:  # the devkit lets the later corners of its second sample know, too
                    num_candidates = _add(lane[c], found, candidates, num_candidates)
            num_upcoming = _add(lane[c], found, upcoming, num_upcoming)
            count[c] = found
            is_on_lane[k, c] = found > 0
        is_in_common[k] = _share_lanes(lane, count, graph)
        candidates, upcoming, num_candidates = upcoming, candidates, num_upcoming
    return 0


@device_function
def _add(lanes: IntArray, count: int, known: IntArray, num_known: int) -> int:
    """Appends lanes that are not known yet; returns how many are then."""
    for i in range(count):
        if not is_listed(lanes[i], known, num_known) and num_known < len(known):
            known[num_known] = lanes[i]
            num_known += 1
    return num_known


@device_function
def _share_lanes(lane: IntArray, count: IntArray, graph: LaneGraph) -> bool:
    """Whether the four corners are in one lane, or in lanes that lead into one another."""
    for c in range(4):
        if count[c] == 0:
            return False
    for i in range(count[_FRONT_LEFT]):
        shared = True
        for c in range(1, 4):
            shared = shared and is_listed(lane[_FRONT_LEFT, i], lane[c], count[c])
        if shared:
            return True
    return _rear_corners_connect(lane, count, graph) and _diagonals_connect(lane, count, graph)


@device_function
def _rear_corners_connect(lane: IntArray, count: IntArray, graph: LaneGraph) -> bool:
    """Whether one rear corner is in a lane of the other or in a successor of it."""
    for i in range(count[_REAR_LEFT]):
        if _is_in_or_after(lane[_REAR_LEFT, i], lane[_REAR_RIGHT], count[_REAR_RIGHT], graph):
            return True
    for i in range(count[_REAR_RIGHT]):
        if _is_in_or_after(lane[_REAR_RIGHT, i], lane[_REAR_LEFT], count[_REAR_LEFT], graph):
            return True
    return False


@device_function
def _diagonals_connect(lane: IntArray, count: IntArray, graph: LaneGraph) -> bool:
    """Whether some lane lies on both ways from a rear corner to the opposite front corner."""
    for i in range(count[_FRONT_LEFT]):
        own = lane[_FRONT_LEFT, i]
        if _lies_between(own, lane, count, graph):
            return True
        for j in range(graph.first_predecessor[own], graph.first_predecessor[own + 1]):
            if _lies_between(graph.predecessor[j], lane, count, graph):
                return True
    return False


@device_function
def _lies_between(one: int, lane: IntArray, count: IntArray, graph: LaneGraph) -> bool:
    """For a lane at, or before, the front left corner: whether the other three are with it."""
    return (
        _is_in_or_after(one, lane[_REAR_RIGHT], count[_REAR_RIGHT], graph)
        and _is_in_or_after(one, lane[_REAR_LEFT], count[_REAR_LEFT], graph)
        and _is_in_or_before(one, lane[_FRONT_RIGHT], count[_FRONT_RIGHT], graph)
    )


@device_function
def _is_in_or_after(one: int, lanes: IntArray, count: int, graph: LaneGraph) -> bool:
    """Whether a lane is among `lanes` or a successor of one of them."""
    if is_listed(one, lanes, count):
        return True
    for i in range(graph.first_predecessor[one], graph.first_predecessor[one + 1]):
        if is_listed(graph.predecessor[i], lanes, count):
            return True
    return False


@device_function
def _is_in_or_before(one: int, lanes: IntArray, count: int, graph: LaneGraph) -> bool:
    """Whether a lane is among `lanes` or a predecessor of one of them."""
    if is_listed(one, lanes, count):
        return True
    for i in range(graph.first_successor[one], graph.first_successor[one + 1]):
        if is_listed(graph.successor[i], lanes, count):
            return True
    return False
