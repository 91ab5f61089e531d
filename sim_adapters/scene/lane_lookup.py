"""Nearest lane to a point, the kernel behind lane keeping, wrong-way tests and placing traffic."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.scene.map_bank import LANE_GRID_CELL_M, LaneGrid, LanePoints, Lanes

SAME_LEVEL_M = 2.5  # two things further apart in z are on different levels (bridges)


@inlined_function
def nearest_lane_point(
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    map_index: int,
    x: float,
    y: float,
    z: float,
    kind: int,
) -> int:
    """Index of the lane point of `kind` nearest to (x, y) on the same level, or -1.

    Exact within LANE_GRID_REACH_M; -1 means that no such lane is that near. Use
    `lateral_offset_m` for the perpendicular offset to the centre line.
    """
    return nearest_lane_point_within(grid, points, lanes, map_index, x, y, z, kind, np.inf)


@inlined_function
def nearest_lane_point_within(
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    map_index: int,
    x: float,
    y: float,
    z: float,
    kind: int,
    range_m: float,
) -> int:
    """As `nearest_lane_point` among the points nearer than `range_m`; a short range is faster."""
    column = math.floor((x - grid.origin_x[map_index]) / LANE_GRID_CELL_M)
    row = math.floor((y - grid.origin_y[map_index]) / LANE_GRID_CELL_M)
    if column < 0 or row < 0 or column >= grid.num_x[map_index] or row >= grid.num_y[map_index]:
        return -1
    cell = grid.first_cell[map_index] + row * grid.num_x[map_index] + column
    best, best_squared = -1, range_m * range_m
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        point = grid.point[entry]
        dx, dy = points.x[point] - x, points.y[point] - y
        squared = dx * dx + dy * dy
        if squared >= best_squared or abs(points.z[point] - z) >= SAME_LEVEL_M:
            continue
        if lanes.kind[points.lane[point]] == kind:  # last, because it is two loads far away
            best, best_squared = point, squared
    return best


@device_function
def lateral_offset_m(points: LanePoints, point: int, x: float, y: float) -> float:
    """Signed offset of (x, y) from the lane's tangent at `point`, left is positive."""
    dx, dy = x - points.x[point], y - points.y[point]
    yaw = points.yaw_rad[point]
    return -math.sin(yaw) * dx + math.cos(yaw) * dy
