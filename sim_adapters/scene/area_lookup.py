"""What of a vector map lies at a point: kernels over MapAreas, their grid and exact polylines.

A point on a polygon's edge is outside it, and a point inside has no distance to it: the rules of
shapely's `contains` and `distance`, by which nuPlan's metrics are defined.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.array_types import IntArray
from sim_adapters.kernels import device_function
from sim_adapters.scene.geometry import closest_fraction
from sim_adapters.scene.map_areas import AreaGrid, MapAreas, Polylines


@device_function
def area_contains(area: int, x: float, y: float, areas: MapAreas) -> bool:
    """Whether the point lies strictly inside the polygon and in none of its holes."""
    bounds = areas.bounds
    if x < bounds[area, 0] or y < bounds[area, 1] or x > bounds[area, 2] or y > bounds[area, 3]:
        return False
    inside = False
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        for i in range(areas.first_corner[ring], areas.first_corner[ring + 1] - 1):
            ax, ay = areas.x[i] - x, areas.y[i] - y
            bx, by = areas.x[i + 1] - x, areas.y[i + 1] - y
            if (ay > 0.0) == (by > 0.0):
                if (ay == 0.0 and by == 0.0 and ax * bx <= 0.0) or (ax == 0.0 and ay == 0.0):
                    return False  # on a level edge, or on a corner whose edges lie below
                continue
            side = ax * by - bx * ay
            if side == 0.0:
                return False
            # The edge meets the ray to the east of the point
            if (side > 0.0) == (by > ay):
                inside = not inside
    return inside


@device_function
def area_distance_m(area: int, x: float, y: float, areas: MapAreas) -> float:
    """Distance from the point to the polygon, zero inside."""
    if area_contains(area, x, y, areas):
        return 0.0
    nearest = np.inf
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        for i in range(areas.first_corner[ring], areas.first_corner[ring + 1] - 1):
            ax, ay = areas.x[i], areas.y[i]
            bx, by = areas.x[i + 1], areas.y[i + 1]
            fraction = closest_fraction(x, y, ax, ay, bx, by)
            dx, dy = ax + fraction * (bx - ax) - x, ay + fraction * (by - ay) - y
            nearest = min(nearest, dx * dx + dy * dy)
    return math.sqrt(nearest)


@device_function
def area_cell(x: float, y: float, map_index: int, grid: AreaGrid) -> int:
    """Row of `AreaGrid.first_entry` for the cell around a point, -1 outside the map."""
    cell_m = grid.cell_m[map_index]
    column = math.floor((x - grid.origin_x[map_index]) / cell_m)
    row = math.floor((y - grid.origin_y[map_index]) / cell_m)
    if column < 0 or row < 0 or column >= grid.num_x[map_index] or row >= grid.num_y[map_index]:
        return -1
    return grid.first_cell[map_index] + row * grid.num_x[map_index] + column


@device_function
def areas_at(
    x: float,
    y: float,
    map_index: int,
    kind: int,
    areas: MapAreas,
    grid: AreaGrid,
    found: IntArray,
) -> int:
    """Writes the areas of one kind around a point, in the map's order; returns how many.

    More than `found` has room for are counted, but not written.
    """
    cell = area_cell(x, y, map_index, grid)
    if cell < 0:
        return 0
    count = 0
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        if areas.kind[area] == kind and area_contains(area, x, y, areas):
            if count < len(found):
                found[count] = area
            count += 1
    return count


@device_function
def is_in_area(
    x: float, y: float, map_index: int, kind: int, areas: MapAreas, grid: AreaGrid
) -> bool:
    """Whether any area of that kind contains the point."""
    cell = area_cell(x, y, map_index, grid)
    if cell < 0:
        return False
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        if areas.kind[area] == kind and area_contains(area, x, y, areas):
            return True
    return False


@device_function
def station_m(row: int, x: float, y: float, lines: Polylines) -> float:
    """Arc length at the point of a polyline that is nearest to (x, y); the first of equals."""
    nearest, station = np.inf, 0.0
    for i in range(lines.first_point[row], lines.first_point[row + 1] - 1):
        ax, ay = lines.x[i], lines.y[i]
        bx, by = lines.x[i + 1], lines.y[i + 1]
        fraction = closest_fraction(x, y, ax, ay, bx, by)
        dx, dy = ax + fraction * (bx - ax) - x, ay + fraction * (by - ay) - y
        squared = dx * dx + dy * dy
        if squared < nearest:
            nearest = squared
            station = lines.s_m[i] + fraction * math.hypot(bx - ax, by - ay)
    return station


@device_function
def polyline_length_m(row: int, lines: Polylines) -> float:
    """Length of a polyline."""
    return float(lines.s_m[lines.first_point[row + 1] - 1])
