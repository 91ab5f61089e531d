"""Drivable area compliance: no corner of the ego's box leaves the drivable area by 0.3 m.

A corner is outside when it is in no lane or connector and in none of the drivable layers. Outside,
it is forgiven within 0.3 m of the lanes that the ego's centre is in, or of a drivable polygon.
Source: nuPlan devkit, `drivable_area_compliance.py`, max_violation_threshold 0.3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.driven_route import DrivenRoute
from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.lane_graph import FloatArray, IntArray, LaneGraph, RoadMap
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
