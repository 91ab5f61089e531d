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
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, EgoState, Routes
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


# Who is, or soon will be, in the ego's way along its route

VIEW_M = 80.0
MARGIN_M = 0.35  # beside the ego's box
WALKER_MARGIN_M = 0.8
FORECAST_S, FORECAST_STEP_S = 3.0, 0.3
PASS_BEFORE_S = 1.0  # the ego may go first if it is through this long before the other comes
PASS_BEHIND_S = 2.5  # and need not wait for one who will have been there this long before it
CROSSING_SINE = 0.35  # a flatter angle to the route than 20 degrees is traffic alongside
PATIENCE_S = 15.0  # after standing this long only what is in the corridor itself counts
MAX_ACCELERATION_MPS2 = 3.0
# PDM-Lite: gap [m] and headway [s] to vehicles; pedestrians and cyclists have the same.
LEADER_GAP_M, LEADER_HEADWAY_S = 4.0, 0.25
_CAR, _LAST_WALKER = int(ActorKind.CAR), int(ActorKind.PEDESTRIAN)
_WALKER, _DEBRIS = int(ActorKind.PEDESTRIAN), int(ActorKind.DEBRIS)


@device_function
def comfortable_braking_mps2(speed_mps: float) -> float:
    """PDM-Lite's two values: a slow car may brake harder."""
    return 8.7 if speed_mps < 6.02 else 3.72


@device_function
def idm_towards(
    v: float, gap: float, lead_mps: float, desired: float, headway: float, min_gap: float
) -> float:
    """IDM acceleration [m/s^2] with PDM-Lite's braking; a gap of +inf gives the free road.

    Source: Treiber, Hennecke, Helbing 2000. The gap is not clamped at its minimum as traffic's is:
    a driver who is too near brakes in full.
    """
    braking = comfortable_braking_mps2(v)
    closing = v * (v - lead_mps) / (2.0 * math.sqrt(MAX_ACCELERATION_MPS2 * braking))
    ratio = (min_gap + max(0.0, v * headway + closing)) / max(gap, 0.1)
    return MAX_ACCELERATION_MPS2 * (1.0 - (v / desired) ** 4 - ratio * ratio)


@device_function
def corridor_gap_m(
    routes: Routes,
    agent: int,
    start: int,
    end: int,
    x: float,
    y: float,
    yaw: float,
    half_length: float,
    half_width: float,
    reach: float,
) -> tuple[float, float, int]:
    """Route metres from point `start` to a box's near side and centre, and the point beside it.

    Returns:
        +inf, +inf and -1 if the box is not within `reach` of the route line between the two points.
    """
    k = nearest_route_point(routes, agent, start, end, x, y)
    direction = routes.yaw_rad[agent, k]
    cos_route, sin_route = math.cos(direction), math.sin(direction)
    dx, dy = x - routes.x[agent, k], y - routes.y[agent, k]
    turn = yaw - direction
    along = abs(half_length * math.cos(turn)) + abs(half_width * math.sin(turn))
    across = abs(half_length * math.sin(turn)) + abs(half_width * math.cos(turn))
    forward = forward_offset_m(dx, dy, cos_route, sin_route)
    beyond = (k == start and forward < -along) or (k == end - 1 and forward > along)
    if beyond or abs(left_offset_m(dx, dy, cos_route, sin_route)) > across + reach:
        return np.inf, np.inf, -1
    centre = float(k - start) + forward
    return centre - along, centre, k


@device_function
def is_beside(gap: float, centre: float, half_length: float, patience: float) -> bool:
    """Whether a box reaches into the corridor from the side, without being ahead of the ego.

    Who touches the ego's flank after a collision or a tight lane change is not followed; without
    patience left neither is who is a little ahead but still more beside the ego than before it.
    """
    far_side = 2.0 * centre - gap
    return far_side < half_length or (patience == 0.0 and centre < half_length)


@device_function
def forecast_gap_m(
    routes: Routes,
    agent: int,
    start: int,
    end: int,
    motion: ActorMotion,
    traits: ActorTraits,
    world: int,
    slot: int,
    ego_mps: float,
    reach: float,
) -> float:
    """Route metres to where a crossing actor will meet the ego's corridor in time, else +inf."""
    x, y, yaw = motion.x[world, slot], motion.y[world, slot], motion.yaw_rad[world, slot]
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    v = math.hypot(vx, vy)
    if v < 0.3:
        return np.inf
    heading = math.atan2(vy, vx)
    slowing = min((motion.ax_mps2[world, slot] * vx + motion.ay_mps2[world, slot] * vy) / v, 0.0)
    rate = motion.yaw_rate_radps[world, slot]
    t = 0.0
    while t < FORECAST_S and v > 0.0:
        t += FORECAST_STEP_S
        x += v * math.cos(heading) * FORECAST_STEP_S
        y += v * math.sin(heading) * FORECAST_STEP_S
        heading += rate * FORECAST_STEP_S
        yaw += rate * FORECAST_STEP_S
        v = max(v + slowing * FORECAST_STEP_S, 0.0)
        gap, _, k = corridor_gap_m(
            routes,
            agent,
            start,
            end,
            x,
            y,
            yaw,
            traits.half_length_m[world, slot],
            traits.half_width_m[world, slot],
            reach,
        )
        if k < 0 or abs(math.sin(wrap_angle(heading - routes.yaw_rad[agent, k]))) < CROSSING_SINE:
            continue
        arrival_s = gap / max(ego_mps, 1.0)
        if t - PASS_BEFORE_S < arrival_s < t + PASS_BEHIND_S:
            return gap
    return np.inf


@device_function
def follow_actors(
    agent: int,
    ego: EgoState,
    motion: ActorMotion,
    traits: ActorTraits,
    routes: Routes,
    passed: int,
    standing_s: float,
    desired_mps: float,
) -> float:
    """Least IDM acceleration [m/s^2] towards everyone on, or coming into, the ego's corridor."""
    world: int = ego.world[agent]
    own: int = ego.slot[agent]
    x, y, z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    v = math.hypot(motion.vx_mps[world, own], motion.vy_mps[world, own])
    start = place_on_route(routes, agent, passed, x, y)
    end = min(start + VIEW_POINTS, routes.num_points[agent])
    patience = max(0.0, 1.0 - standing_s / PATIENCE_S)
    least = idm_towards(v, np.inf, v, desired_mps, LEADER_HEADWAY_S, LEADER_GAP_M)
    for slot in range(traits.valid.shape[1]):
        if slot == own or not traits.valid[world, slot] or traits.kind[world, slot] == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - x, motion.y[world, slot] - y
        if dx * dx + dy * dy > VIEW_M * VIEW_M or abs(motion.z[world, slot] - z) > SAME_LEVEL_M:
            continue
        kind = traits.kind[world, slot]
        margin = WALKER_MARGIN_M if kind == _WALKER else MARGIN_M
        reach = traits.half_width_m[world, own] + margin * patience
        gap, centre, k = corridor_gap_m(
            routes,
            agent,
            start,
            end,
            motion.x[world, slot],
            motion.y[world, slot],
            motion.yaw_rad[world, slot],
            traits.half_length_m[world, slot],
            traits.half_width_m[world, slot],
            reach,
        )
        if k >= 0 and is_beside(gap, centre, traits.half_length_m[world, own], patience):
            continue
        lead_mps = 0.0
        if k >= 0:
            direction = routes.yaw_rad[agent, k]
            along = motion.vx_mps[world, slot] * math.cos(direction)
            lead_mps = max(along + motion.vy_mps[world, slot] * math.sin(direction), 0.0)
        elif patience > 0.0 and _CAR <= kind <= _LAST_WALKER:
            gap = forecast_gap_m(routes, agent, start, end, motion, traits, world, slot, v, reach)
        gap -= traits.half_length_m[world, own]
        if gap < VIEW_M:
            least = min(
                least,
                idm_towards(v, gap, lead_mps, desired_mps, LEADER_HEADWAY_S, LEADER_GAP_M),
            )
    return least
