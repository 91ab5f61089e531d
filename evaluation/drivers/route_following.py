"""Following the dense route: pure pursuit steering and the speed that bends allow.

Steers for the fitted car of `world/dynamics.py`: its rear point follows a circle through the
target (Coulter 1992), curvature = 2 y / L^2 in the frame of that point.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.vehicle_control import steer_for_curvature
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import forward_offset_m, left_offset_m, wrap_angle
from sim_adapters.scene.state import ActorMotion, EgoState, Routes
from sim_adapters.world.dynamics import REAR_AXLE_M

SHORTEST_LOOKAHEAD_M = 3.5
LONGEST_LOOKAHEAD_M = 15.0
LOOKAHEAD_S = 0.6
BEND_ACCELERATION_MPS2 = 2.5  # lateral, comfortable
BEND_BRAKING_MPS2 = 2.0  # towards a bend
BEND_POINTS = 3  # curvature is the turn over this many route points to either side
VIEW_POINTS = 100
SEARCH_BACK, SEARCH_AHEAD = 3, 8


@device_function
def nearest_route_point(
    routes: Routes, agent: int, first: int, last: int, x: float, y: float
) -> int:
    """The point in [first, last) nearest to (x, y); `first` if the range is empty."""
    best, best_squared = first, np.inf
    for k in range(first, last):
        dx, dy = routes.x[agent, k] - x, routes.y[agent, k] - y
        squared = dx * dx + dy * dy
        if squared < best_squared:
            best, best_squared = k, squared
    return best


@device_function
def place_on_route(routes: Routes, agent: int, passed: int, x: float, y: float) -> int:
    """Route point beside the ego, searched around the last point it has passed."""
    first = max(passed - SEARCH_BACK, 0)
    last = min(passed + SEARCH_AHEAD, routes.num_points[agent])
    return nearest_route_point(routes, agent, first, last, x, y)


@device_function
def pursuit_steer(
    routes: Routes, agent: int, start: int, x: float, y: float, yaw: float, v: float
) -> float:
    """Steer in [-1, 1] towards the route point one look-ahead distance away."""
    cos_yaw, sin_yaw = math.cos(yaw), math.sin(yaw)
    rear_x, rear_y = x - REAR_AXLE_M * cos_yaw, y - REAR_AXLE_M * sin_yaw
    lookahead = min(max(LOOKAHEAD_S * v, SHORTEST_LOOKAHEAD_M), LONGEST_LOOKAHEAD_M)
    target = start
    for k in range(start, routes.num_points[agent]):
        target = k
        if math.hypot(routes.x[agent, k] - rear_x, routes.y[agent, k] - rear_y) >= lookahead:
            break
    dx, dy = routes.x[agent, target] - rear_x, routes.y[agent, target] - rear_y
    ahead = forward_offset_m(dx, dy, cos_yaw, sin_yaw)
    left = left_offset_m(dx, dy, cos_yaw, sin_yaw)
    squared = max(dx * dx + dy * dy, 1.0)
    if ahead < 0.0:  # the route lies behind: turn as tightly as the car can
        return 1.0 if left >= 0.0 else -1.0
    return steer_for_curvature(2.0 * left / squared)


@device_function
def bend_speed_mps(routes: Routes, agent: int, start: int, v: float) -> float:
    """Largest speed now from which every bend ahead can be reached at its own speed."""
    view = v * v / (2.0 * BEND_BRAKING_MPS2) + 10.0
    allowed, s = np.inf, 0.0
    last = min(routes.num_points[agent] - 1, start + VIEW_POINTS)
    for k in range(max(start, 1), last):
        s += math.hypot(
            routes.x[agent, k] - routes.x[agent, k - 1], routes.y[agent, k] - routes.y[agent, k - 1]
        )
        if s > view:
            break
        before, behind = max(k - BEND_POINTS, 0), min(k + BEND_POINTS, routes.num_points[agent] - 1)
        length = math.hypot(
            routes.x[agent, behind] - routes.x[agent, before],
            routes.y[agent, behind] - routes.y[agent, before],
        )
        turn = abs(wrap_angle(routes.yaw_rad[agent, behind] - routes.yaw_rad[agent, before]))
        curvature = turn / max(length, 1.0)
        if curvature > 1e-3:
            bend_squared = BEND_ACCELERATION_MPS2 / curvature
            allowed = min(allowed, math.sqrt(bend_squared + 2.0 * BEND_BRAKING_MPS2 * s))
    return allowed


@range_kernel
def follow_routes_range(
    first: int,
    last: int,
    ego: EgoState,
    motion: ActorMotion,
    routes: Routes,
    passed: NDArray[np.int32],
    steer: NDArray[np.float64],
    bend_mps: NDArray[np.float64],
) -> None:
    """Steer and bend speed of drivers `first` to `last` (exclusive).

    Args:
        first: First driver.
        last: One past the last driver.
        ego: Which slots they have.
        motion: Of all actors.
        routes: Of all drivers.
        passed: (E,) last route point passed.
        steer: (E,) out, in [-1, 1], left positive.
        bend_mps: (E,) out, speed that the bends ahead allow now.
    """
    for agent in range(first, last):
        world: int = ego.world[agent]
        slot: int = ego.slot[agent]
        x, y, yaw = motion.x[world, slot], motion.y[world, slot], motion.yaw_rad[world, slot]
        v = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        start = place_on_route(routes, agent, passed[agent], x, y)
        steer[agent] = pursuit_steer(routes, agent, start, x, y, yaw, v)
        bend_mps[agent] = bend_speed_mps(routes, agent, start, v)
