"""Progress along the route, and whether the driver is still on it.

Source: route completion, in-route and end-of-route tests of CARLA's leaderboard as CaRL trains
with them; the lateral test is Roach's.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import ProgressFacts
from sim_adapters.scene.events.settings import RouteSettings
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.memory import RouteTracker
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState, Routes

_SAME_PLACE_M = 0.1  # route points nearer than this give no direction
_LINE_SLACK_M = 0.01


@inlined_function
def last_passed_point(
    routes: Routes, agent: int, index: int, window_points: int, x: float, y: float
) -> int:
    """Furthest of the next points (`index` included) that lies behind (x, y), else `index`."""
    passed = index
    for point in range(index, min(index + window_points + 1, routes.num_points[agent])):
        yaw = routes.yaw_rad[agent, point]
        dx, dy = x - routes.x[agent, point], y - routes.y[agent, point]
        if math.cos(yaw) * dx + math.sin(yaw) * dy > 0.0:
            passed = point
    return passed


@inlined_function
def route_direction_rad(routes: Routes, agent: int, index: int) -> float:
    """Heading from a route point to the next one."""
    if index + 1 < routes.num_points[agent]:
        dx = routes.x[agent, index + 1] - routes.x[agent, index]
        dy = routes.y[agent, index + 1] - routes.y[agent, index]
        if dx * dx + dy * dy > _SAME_PLACE_M * _SAME_PLACE_M:
            return math.atan2(dy, dx)
    return routes.yaw_rad[agent, index]


@inlined_function
def route_lateral_m(routes: Routes, agent: int, index: int, x: float, y: float) -> float:
    """Offset of (x, y) from the route line at a point, left is positive."""
    yaw = route_direction_rad(routes, agent, index)
    dx, dy = x - routes.x[agent, index], y - routes.y[agent, index]
    return math.cos(yaw) * dy - math.sin(yaw) * dx


@inlined_function
def is_off_route(
    agent: int, x: float, y: float, routes: Routes, tracker: RouteTracker, settings: RouteSettings
) -> bool:
    """The in-route test: too far from the next points, or beside them for too long."""
    old = tracker.deviation_index[agent]
    nearest, nearest_squared = old, math.inf
    for point in range(old, min(old + settings.nearby_points + 1, routes.num_points[agent])):
        dx, dy = x - routes.x[agent, point], y - routes.y[agent, point]
        if dx * dx + dy * dy <= nearest_squared:
            nearest, nearest_squared = point, dx * dx + dy * dy
    distance = math.sqrt(nearest_squared)
    if nearest != old and distance >= settings.safe_m:
        gained = routes.percent[agent, nearest] - routes.percent[agent, old]
        tracker.deviation_percent[agent] += gained
    tracker.deviation_index[agent] = nearest
    beside = tracker.deviation_percent[agent]
    return distance >= settings.max_distance_m or beside > settings.max_beside_percent


@inlined_function
def has_left_route_line(lateral_m: float, old_lateral_m: float, settings: RouteSettings) -> bool:
    """Roach's lateral test: a jump of the route's frame never counts, drifting away does."""
    lateral, old = abs(lateral_m), abs(old_lateral_m)
    if lateral - old > settings.line_jump_m:
        return False
    return lateral > max(settings.line_m, old) + _LINE_SLACK_M


@inlined_function
def detect_route_events(
    agent: int,
    car: EgoCar,
    routes: Routes,
    tracker: RouteTracker,
    settings: RouteSettings,
    facts: ProgressFacts,
) -> None:
    """Move one driver's route index on and write its facts."""
    x, y = car.x, car.y
    index = last_passed_point(routes, agent, tracker.index[agent], settings.window_points, x, y)
    # Two decimals as in the leaderboard: progress is paid in steps of 0.01 percent
    percent = math.floor(routes.percent[agent, index] * 100.0 + 0.5) / 100.0
    lateral = route_lateral_m(routes, agent, index, x, y)
    facts.route_percent_gained[agent] = percent - tracker.percent[agent]
    facts.route_percent[agent] = percent
    facts.route_finished[agent] = routes.num_points[agent] - index < 2
    facts.off_route[agent] = is_off_route(agent, x, y, routes, tracker, settings)
    facts.route_lateral_m[agent] = lateral
    facts.left_route_line[agent] = has_left_route_line(lateral, tracker.lateral_m[agent], settings)
    direction = route_direction_rad(routes, agent, index)
    facts.route_heading_error_rad[agent] = wrap_angle(car.yaw_rad - direction)
    tracker.index[agent], tracker.percent[agent] = index, percent
    tracker.lateral_m[agent] = lateral


@range_kernel
def detect_route_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    routes: Routes,
    tracker: RouteTracker,
    settings: RouteSettings,
    facts: ProgressFacts,
) -> None:
    """`detect_route_events` for drivers first to last - 1."""
    for agent in range(first, last):
        car = ego_car(agent, motion, traits, ego)
        detect_route_events(agent, car, routes, tracker, settings, facts)
