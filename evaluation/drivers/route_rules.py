"""Where lights and signs make the ego stop on its route."""

from __future__ import annotations

import math

import numpy as np

from evaluation.drivers.route_following import VIEW_POINTS, nearest_route_point, place_on_route
from evaluation.drivers.route_hazards import comfortable_braking_mps2, idm_towards
from sim_adapters.kernels import device_function
from sim_adapters.scene.geometry import forward_offset_m, left_offset_m, wrap_angle
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import MapRanges, Signals, SignKind, Signs, StopLines
from sim_adapters.scene.state import LightState, Routes, SceneArrays

VIEW_M = 80.0
BESIDE_M = 2.0  # a stop line or sign this far beside the route line still concerns the ego
ALIGNED_RAD = math.radians(60.0)
# PDM-Lite: gap [m] of the ego's centre, and headway [s]
LIGHT_GAP_M, STOP_GAP_M, RULE_HEADWAY_S = 6.0, 2.0, 0.1
# The leaderboard sees a red light run while what lies behind 0.8 of the rear half crosses the line
TAIL_SHARE = 0.8
POINTS_BEHIND = 4  # of the route, in which a line under the ego is looked for
SERVED_M, SERVED_MPS = 4.0, 0.1  # leaderboard: standing this near counts as having stopped
_STOP = int(SignKind.STOP)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)


@device_function
def place_ahead_m(
    routes: Routes,
    agent: int,
    start: int,
    ego_x: float,
    ego_y: float,
    x: float,
    y: float,
    z: float,
    yaw: float,
) -> float:
    """Route metres from the ego's centre to a place on its route, +inf if it is not on it.

    Places under the ego's rear half have a negative distance; what lies farther back is not found.
    """
    first = max(start - POINTS_BEHIND, 0)
    end = min(start + VIEW_POINTS, routes.num_points[agent])
    k = nearest_route_point(routes, agent, first, end, x, y)
    direction = routes.yaw_rad[agent, k]
    cos_route, sin_route = math.cos(direction), math.sin(direction)
    dx, dy = x - routes.x[agent, k], y - routes.y[agent, k]
    off_level = abs(z - routes.z[agent, k]) > SAME_LEVEL_M
    if off_level or abs(left_offset_m(dx, dy, cos_route, sin_route)) > BESIDE_M:
        return np.inf
    forward = forward_offset_m(dx, dy, cos_route, sin_route)
    if abs(wrap_angle(yaw - direction)) > ALIGNED_RAD or abs(forward) > BESIDE_M:
        return np.inf
    direction = routes.yaw_rad[agent, start]
    own = forward_offset_m(
        ego_x - routes.x[agent, start],
        ego_y - routes.y[agent, start],
        math.cos(direction),
        math.sin(direction),
    )
    return float(k - start) + forward - own


@device_function
def stop_for_lights(
    agent: int,
    scene: SceneArrays,
    ranges: MapRanges,
    signals: Signals,
    stop_lines: StopLines,
    passed: int,
    desired_mps: float,
) -> float:
    """Least IDM acceleration [m/s^2] towards red lights, and yellow ones it can still stop for.

    An ego that has waited on the line, for others to cross, stays there if the light turns.
    """
    motion, routes = scene.motion, scene.routes
    world: int = scene.ego.world[agent]
    own: int = scene.ego.slot[agent]
    map_index: int = scene.clocks.map_index[world]
    x, y = motion.x[world, own], motion.y[world, own]
    v = math.hypot(motion.vx_mps[world, own], motion.vy_mps[world, own])
    needed = v * v / (2.0 * comfortable_braking_mps2(v))
    tail = TAIL_SHARE * scene.traits.half_length_m[world, own]
    start = place_on_route(routes, agent, passed, x, y)
    first_signal, least = ranges.signal[map_index], np.inf
    for signal in range(first_signal, ranges.signal[map_index + 1]):
        state = scene.lights.state[world, signal - first_signal]
        if state != _RED and state != _YELLOW:
            continue
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            line_x, line_y = stop_lines.x[line], stop_lines.y[line]
            if math.hypot(line_x - x, line_y - y) > VIEW_M:
                continue
            z, yaw = stop_lines.z[line], stop_lines.yaw_rad[line]
            gap = place_ahead_m(routes, agent, start, x, y, line_x, line_y, z, yaw)
            if gap == np.inf or (gap < 0.0 and needed > gap + tail):
                continue
            if gap >= 0.0 and state == _YELLOW and needed > gap:
                continue
            least = min(least, idm_towards(v, gap, 0.0, desired_mps, RULE_HEADWAY_S, LIGHT_GAP_M))
    return least


@device_function
def stop_at_signs(
    agent: int,
    scene: SceneArrays,
    ranges: MapRanges,
    signs: Signs,
    passed: int,
    served_sign: int,
    desired_mps: float,
) -> tuple[float, int]:
    """Least IDM acceleration [m/s^2] towards stop signs, and the sign stopped at last."""
    motion, routes = scene.motion, scene.routes
    world: int = scene.ego.world[agent]
    own: int = scene.ego.slot[agent]
    map_index: int = scene.clocks.map_index[world]
    x, y = motion.x[world, own], motion.y[world, own]
    v = math.hypot(motion.vx_mps[world, own], motion.vy_mps[world, own])
    start = place_on_route(routes, agent, passed, x, y)
    least = np.inf
    for sign in range(ranges.sign[map_index], ranges.sign[map_index + 1]):
        if signs.kind[sign] != _STOP or sign == served_sign:
            continue
        sign_x, sign_y = signs.x[sign], signs.y[sign]
        if math.hypot(sign_x - x, sign_y - y) > VIEW_M:
            continue
        z, yaw = signs.z[sign], signs.yaw_rad[sign]
        gap = place_ahead_m(routes, agent, start, x, y, sign_x, sign_y, z, yaw)
        if gap < 0.0 or gap == np.inf:
            continue
        if gap < SERVED_M and v < SERVED_MPS:
            served_sign = sign
            continue
        least = min(least, idm_towards(v, gap, 0.0, desired_mps, RULE_HEADWAY_S, STOP_GAP_M))
    return least, served_sign
