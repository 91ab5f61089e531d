"""What of a vector map lies under a driver: lanes, route and road, looked up in polygons.

A point on a polygon's edge is outside it. Source: CaRL's reward helpers for nuPlan.
"""

from __future__ import annotations

import math

from sim_adapters.array_types import IntArray
from sim_adapters.kernels import device_function
from sim_adapters.scene.area_lookup import area_contains, area_distance_m
from sim_adapters.scene.geometry import closest_fraction, wrap_angle
from sim_adapters.scene.map_areas import AreaGrid, MapAreas, Polylines
from sim_adapters.scene.nuplan_events.area_index import AreaIndex


@device_function
def on_route(route: IntArray, area: int) -> bool:
    """Whether a route passes a roadblock."""
    for passed in route:
        if passed == area:
            return True
        if passed < 0:
            return False
    return False


@device_function
def polyline_distance_m(row: int, x: float, y: float, lines: Polylines) -> float:
    """Distance from a point to a polyline."""
    nearest = math.inf
    for i in range(lines.first_point[row], lines.first_point[row + 1] - 1):
        ax, ay = lines.x[i], lines.y[i]
        bx, by = lines.x[i + 1], lines.y[i + 1]
        fraction = closest_fraction(x, y, ax, ay, bx, by)
        dx, dy = ax + fraction * (bx - ax) - x, ay + fraction * (by - ay) - y
        nearest = min(nearest, dx * dx + dy * dy)
    return math.sqrt(nearest)


@device_function
def heading_error_rad(row: int, x: float, y: float, yaw_rad: float, lines: Polylines) -> float:
    """Angle between a heading and a baseline at its vertex nearest to the point."""
    nearest, error = math.inf, 0.0
    for i in range(lines.first_point[row], lines.first_point[row + 1]):
        dx, dy = lines.x[i] - x, lines.y[i] - y
        squared = dx * dx + dy * dy
        if squared < nearest:
            nearest, error = squared, abs(wrap_angle(lines.yaw_rad[i] - yaw_rad))
    return error


@device_function
def current_edge(
    x: float,
    y: float,
    yaw_rad: float,
    cell: int,
    route: IntArray,
    areas: MapAreas,
    grid: AreaGrid,
    index: AreaIndex,
    edge_block: IntArray,
    baselines: Polylines,
) -> int:
    """The lane or connector under a point that fits the heading best, those of the route first."""
    best, least, best_on_route = -1, math.inf, False
    if cell < 0:
        return best
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        edge = int(index.edge[area])
        if edge < 0 or not area_contains(area, x, y, areas):
            continue
        passed = on_route(route, int(edge_block[edge]))
        if best_on_route and not passed:
            continue
        error = heading_error_rad(edge, x, y, yaw_rad, baselines)
        if error < least or (passed and not best_on_route):
            best, least, best_on_route = edge, error, passed
    return best


@device_function
def is_on_route_area(
    x: float,
    y: float,
    cell: int,
    by_lanes: bool,
    route: IntArray,
    areas: MapAreas,
    grid: AreaGrid,
    index: AreaIndex,
    edge_block: IntArray,
) -> bool:
    """Whether a point lies in a roadblock of the route or, by lanes, in one of its lanes."""
    if cell < 0:
        return False
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        edge = index.edge[area]
        if by_lanes and edge < 0:
            continue
        block = edge_block[edge] if by_lanes else area
        if on_route(route, int(block)) and area_contains(area, x, y, areas):
            return True
    return False


@device_function
def is_near_polygon_of(
    corner_x: float,
    corner_y: float,
    x: float,
    y: float,
    cell: int,
    lanes: bool,
    tolerance_m: float,
    areas: MapAreas,
    grid: AreaGrid,
    index: AreaIndex,
) -> bool:
    """Whether a corner is within the tolerance of a polygon of the road, or lane, at (x, y)."""
    if cell < 0:
        return False
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        wanted = index.edge[area] >= 0 if lanes else index.is_road[area]
        if not wanted or not area_contains(area, x, y, areas):
            continue
        if area_distance_m(area, corner_x, corner_y, areas) < tolerance_m:
            return True
    return False
