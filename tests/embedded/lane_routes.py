"""Routes for tests: follow the lane graph from a lane, no planner needed."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, RouteCommand, Scenario, ScenarioTrigger
from sim_adapters.scene.state import SceneBatch


def route_along_lanes(maps: MapBank, town: str, length_m: float, choice: int = 0) -> Route:
    """Every lane point from a driving lane outside junctions on; `choice` picks start and way."""
    map_index = maps.map_index(town)
    first, last = maps.ranges.lane[map_index], maps.ranges.lane[map_index + 1]
    lanes, links = maps.lanes, maps.links
    starts = [
        lane
        for lane in range(first, last)
        if lanes.kind[lane] == LaneKind.DRIVING
        and lanes.junction[lane] < 0
        and lanes.length_m[lane] > 30.0
    ]
    lane, points, length = starts[choice % len(starts)], [], 0.0
    while length < length_m:
        points.extend(range(lanes.first_point[lane], lanes.first_point[lane + 1] - 1))
        length += lanes.length_m[lane]
        ways = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        if ways.size == 0:
            break
        lane = int(ways[choice % ways.size])
    rows = np.array(points)[: round(length_m)]  # points are a metre apart
    lane_of_row = maps.points.lane[rows]
    return Route(
        x=maps.points.x[rows],
        y=maps.points.y[rows],
        z=maps.points.z[rows],
        yaw_rad=maps.points.yaw_rad[rows],
        lane=lane_of_row.astype(np.int32),
        in_junction=lanes.junction[lane_of_row] >= 0,
        command=np.full(rows.size, RouteCommand.LANE_FOLLOW, np.uint8),
    )


def scenario_along_lanes(
    maps: MapBank,
    town: str = "Town02",
    *,
    seed: int = 1,
    length_m: float = 300.0,
    choice: int = 0,
    triggers: tuple[ScenarioTrigger, ...] = (),
) -> Scenario:
    """A scenario on such a route."""
    route = route_along_lanes(maps, town, length_m, choice)
    return Scenario(f"{town}_{choice}_{seed}", town, route, seed, triggers)


def follow(route: Route, scene: SceneBatch, cruise_mps: float) -> tuple[np.ndarray, np.ndarray]:
    """Actions of a lone ego that steers for a point six metres ahead at a steady speed."""
    motion = scene.motion
    x, y, yaw = motion.x[0, 0], motion.y[0, 0], motion.yaw_rad[0, 0]
    nearest = int(np.argmin((route.x - x) ** 2 + (route.y - y) ** 2))
    target = min(nearest + 6, route.x.size - 1)
    bearing = math.atan2(route.y[target] - y, route.x[target] - x) - yaw
    bearing = math.remainder(bearing, 2.0 * math.pi)
    pedal = 0.7 if math.hypot(motion.vx_mps[0, 0], motion.vy_mps[0, 0]) < cruise_mps else 0.0
    return np.array([np.clip(1.5 * bearing, -1.0, 1.0)]), np.array([pedal])
