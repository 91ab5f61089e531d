"""Whether the ego's corners are on the road, its centre on the route, and red lights respected."""

from __future__ import annotations

import math

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.scene.area_lookup import area_cell, area_contains, is_in_area
from sim_adapters.scene.ego_car import ego_car
from sim_adapters.scene.events.arrays import InfractionFacts, LaneFacts
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas
from sim_adapters.scene.nuplan_events.area_index import AreaIndex, AreaTables, NuplanMaps
from sim_adapters.scene.nuplan_events.memory import (
    MAX_REMEMBERED_CONNECTORS,
    NuplanSettings,
    NuplanTracker,
    rear_axle_speed_mps,
)
from sim_adapters.scene.nuplan_events.places import is_near_polygon_of, is_on_route_area, on_route
from sim_adapters.scene.state import ByteArray, LightState, SceneArrays

_INTERSECTION = int(AreaKind.INTERSECTION)
_RED = int(LightState.RED)
_NUM_CORNERS = 4


@device_function
def write_corners(
    x: float,
    y: float,
    yaw_rad: float,
    half_length_m: float,
    half_width_m: float,
    corners: FloatArray,
) -> None:
    """Fill (4, 2) with a box's corners: front left, rear left, rear right, front right."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    for corner in range(_NUM_CORNERS):
        ahead = half_length_m if corner in (0, 3) else -half_length_m
        left = half_width_m if corner < 2 else -half_width_m
        corners[corner, 0] = x + cos * ahead - sin * left
        corners[corner, 1] = y + sin * ahead + cos * left


@device_function
def corners_off_road(
    x: float,
    y: float,
    map_index: int,
    tolerance_m: float,
    corners: FloatArray,
    areas: MapAreas,
    grid: AreaGrid,
    index: AreaIndex,
) -> tuple[int, bool]:
    """How many corners are off the road, and whether the corners lie in several road polygons.

    The road is roadblocks, car parks and intersections: stricter than the drivable area of nuPlan's
    metric. With a tolerance, a corner near a polygon that holds another corner, or near a lane
    under the centre (x, y), is on the road.
    """
    num_off, polygon, several = 0, -1, False
    for corner in range(_NUM_CORNERS):
        corner_x, corner_y = corners[corner, 0], corners[corner, 1]
        cell = area_cell(corner_x, corner_y, map_index, grid)
        inside = False
        if cell >= 0:
            for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
                area = grid.area[entry]
                if index.is_road[area] and area_contains(area, corner_x, corner_y, areas):
                    inside = True
                    several = several or (polygon >= 0 and area != polygon)
                    polygon = area if polygon < 0 else polygon
        if inside:
            continue
        if tolerance_m > 0.0:
            here = area_cell(x, y, map_index, grid)
            inside = is_near_polygon_of(
                corner_x, corner_y, x, y, here, True, tolerance_m, areas, grid, index
            )
            for other in range(_NUM_CORNERS):
                other_x, other_y = corners[other, 0], corners[other, 1]
                there = area_cell(other_x, other_y, map_index, grid)
                inside = inside or is_near_polygon_of(
                    corner_x,
                    corner_y,
                    other_x,
                    other_y,
                    there,
                    False,
                    tolerance_m,
                    areas,
                    grid,
                    index,
                )
        num_off += 0 if inside else 1
    return num_off, several


@device_function
def red_connector_at(
    x: float,
    y: float,
    map_index: int,
    route: IntArray,
    lights: ByteArray,
    signal: IntArray,
    first_signal: int,
    allowed: IntArray,
    tables: AreaTables,
) -> int:
    """A red connector of the route that holds the point and is not allowed, -1 if there is none."""
    areas, grid, index, edges = tables
    cell = area_cell(x, y, map_index, grid)
    if cell < 0:
        return -1
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        area = grid.area[entry]
        edge = index.edge[area]
        if edge < 0 or signal[edge] < 0 or lights[signal[edge] - first_signal] != _RED:
            continue
        if not on_route(route, int(edges.roadblock[edge])) or not area_contains(area, x, y, areas):
            continue
        known = False
        for connector in allowed:
            known = known or connector == edge
        if not known:
            return int(edge)
    return -1


@inlined_function
def judge_road(
    agent: int,
    scene: SceneArrays,
    tables: AreaTables,
    tracker: NuplanTracker,
    settings: NuplanSettings,
    corners: FloatArray,
    facts: LaneFacts,
) -> bool:
    """Write a driver's off-road and off-route facts.

    Off the route is only who leaves it where the human, in the same frame, was on it.

    Args:
        agent: Driver.
        scene: The present.
        tables: Of the maps.
        tracker: Of the drivers; its `edge` must be that of this step.
        settings: Thresholds.
        corners: Room for the corners of the car, (4, 2).
        facts: Where the result goes.

    Returns:
        Whether the ego is in several lanes, off the road or in an intersection.
    """
    areas, grid, index, edges = tables
    routes, by_lanes = scene.routes, settings.route_by_lanes != 0
    car = ego_car(agent, scene.motion, scene.traits, scene.ego)
    map_index = int(scene.clocks.map_index[car.world])
    x, y = car.x, car.y
    write_corners(x, y, car.yaw_rad, car.half_length_m, car.half_width_m, corners)
    tolerance = settings.off_road_tolerance_m
    num_off, several = corners_off_road(x, y, map_index, tolerance, corners, areas, grid, index)
    facts.off_road_fraction[agent] = num_off / _NUM_CORNERS
    edge = tracker.edge[agent]
    between_lanes = several or num_off > 0 or (edge >= 0 and bool(edges.is_connector[edge]))
    if settings.ttc_relevant_only and not between_lanes:
        between_lanes = is_in_area(x, y, map_index, _INTERSECTION, areas, grid)
    passed, blocks = scene.route_areas.area[agent], edges.roadblock
    cell = area_cell(x, y, map_index, grid)
    facts.outside_route_lanes[agent] = False
    if not is_on_route_area(x, y, cell, by_lanes, passed, areas, grid, index, blocks):
        frame = min(tracker.frame[agent], routes.num_points[agent] - 1)
        human_x, human_y = routes.x[agent, frame], routes.y[agent, frame]
        cell = area_cell(human_x, human_y, map_index, grid)
        facts.outside_route_lanes[agent] = is_on_route_area(
            human_x, human_y, cell, by_lanes, passed, areas, grid, index, blocks
        )
    return between_lanes


@inlined_function
def judge_red_lights(
    agent: int,
    scene: SceneArrays,
    maps: NuplanMaps,
    tracker: NuplanTracker,
    settings: NuplanSettings,
    facts: InfractionFacts,
) -> None:
    """Write whether a driver is in a red connector of its route that the human was never in red.

    `tracker.edge` must be that of this step; the scene's route is the human's path, a point a
    frame.
    """
    world, slot = int(scene.ego.world[agent]), int(scene.ego.slot[agent])
    map_index = int(scene.clocks.map_index[world])
    passed, states, start = (
        scene.route_areas.area[agent],
        scene.lights.state[world],
        maps.first_signal[map_index],
    )
    reds, most = tracker.human_red[agent], MAX_REMEMBERED_CONNECTORS
    frame = min(tracker.frame[agent], scene.routes.num_points[agent] - 1)
    human = red_connector_at(
        *(scene.routes.x[agent, frame], scene.routes.y[agent, frame], map_index, passed, states),
        *(maps.signal, start, reds[: min(tracker.num_human_reds[agent], most)], maps.tables),
    )
    if human >= 0:
        reds[tracker.num_human_reds[agent] % most] = human
        tracker.num_human_reds[agent] += 1
    edge = tracker.edge[agent]
    facts.ran_red_light[agent] = False
    if edge < 0 or not maps.tables.edges.is_connector[edge]:
        return
    if rear_axle_speed_mps(agent, scene.body) >= settings.stopped_mps:
        x, y = scene.motion.x[world, slot], scene.motion.y[world, slot]
        entered = red_connector_at(
            *(x, y, map_index, passed, states, maps.signal, start),
            *(reds[: min(tracker.num_human_reds[agent], most)], maps.tables),
        )
        facts.ran_red_light[agent] = entered >= 0
