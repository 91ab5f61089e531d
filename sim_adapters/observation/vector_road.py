"""Blocks of the vector observation about the driver and its road: lane, route, edges, rules."""

from __future__ import annotations

import math

from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.route_window import EgoRoute, project_on_window, window_point_at
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.lane_lookup import lateral_offset_m, nearest_lane_point
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneKind,
    LanePoints,
    Lanes,
    MapRanges,
    Signals,
    Signs,
    StopLines,
)
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.memory import HoldCounters, LaneTracker, SignTracker
from sim_adapters.scene.state import ActorMotion, EgoState, Lights, LightState

CLIP = 2.0  # features are about [-1, 1] and never leave [-CLIP, CLIP]

SPEED_SCALE_MPS = 15.0
OVERSPEED_SCALE_MPS = 5.0
LATERAL_SPEED_SCALE_MPS = 2.0
YAW_RATE_SCALE_RADPS = 1.0
ACCELERATION_SCALE_MPS2 = 8.0
OFFSET_SCALE_M = 3.0
REMAINING_SCALE_M = 100.0
STANDING_SCALE_S = 30.0
CURVATURE_SCALE_PER_M = 0.1
EDGE_REACH_M = 10.0
_EDGE_STEP_M = 0.5
_ROAD_BITS = int(LayerBit.DRIVING) | int(LayerBit.PARKING)
_DRIVING = int(LaneKind.DRIVING)
LIGHT_SIGHT_M = 80.0
DISTANCE_SCALE_M = 50.0
REMAINING_SCALE_S = 3.0  # CARLA's yellow lasts three seconds
_PASSED_M = 4.0  # the rear may still run the light until the ego's centre is this far past the line
_SAME_LEVEL_M = 4.0
_ALIGNED_COS = 0.5  # a stop line of the route points within 60 degrees of it
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)

EGO_FEATURES = (
    "speed",
    "speed_limit",
    "overspeed",
    "lateral_speed",
    "yaw_rate",
    "longitudinal_acceleration",
    "lateral_acceleration",
    "steer",
    "throttle",
    "brake",
)
LANE_FEATURES = ("lane_found", "lane_offset", "lane_sin", "lane_cos", "lane_junction", "wrong_way")
ROUTE_FEATURES = ("route_offset", "route_sin", "route_cos", "route_remaining")
ROUTE_POINT_FEATURES = ("forward", "left", "sin", "curvature")
EDGE_FEATURES = ("left", "right")
LIGHT_FEATURES = (
    "light_found",
    "light_distance",
    "light_red",
    "light_yellow",
    "light_green",
    "light_remaining",
)
STOP_FEATURES = ("stop_found", "stop_distance")
STANDING_FEATURES = ("standing",)  # order "approach" alone


@inlined_function
def put(row: NDArray, index: int, value: float) -> int:
    """Write one clipped feature; returns the next index."""
    row[index] = min(max(value, -CLIP), CLIP)
    return index + 1


@device_function
def write_ego(driver: int, motion: ActorMotion, ego: EgoState, row: NDArray, k: int) -> int:
    """EGO_FEATURES; signs are right-handed, left is positive."""
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    cos, sin = math.cos(motion.yaw_rad[world, slot]), math.sin(motion.yaw_rad[world, slot])
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    ax, ay = motion.ax_mps2[world, slot], motion.ay_mps2[world, slot]
    speed, limit = cos * vx + sin * vy, ego.speed_limit_mps[driver]
    k = put(row, k, speed / SPEED_SCALE_MPS)
    k = put(row, k, limit / SPEED_SCALE_MPS)
    k = put(row, k, (speed - limit) / OVERSPEED_SCALE_MPS)
    k = put(row, k, (cos * vy - sin * vx) / LATERAL_SPEED_SCALE_MPS)
    k = put(row, k, motion.yaw_rate_radps[world, slot] / YAW_RATE_SCALE_RADPS)
    k = put(row, k, (cos * ax + sin * ay) / ACCELERATION_SCALE_MPS2)
    k = put(row, k, (cos * ay - sin * ax) / ACCELERATION_SCALE_MPS2)
    k = put(row, k, ego.steer[driver])
    k = put(row, k, ego.throttle[driver])
    return put(row, k, ego.brake[driver])


@device_function
def write_lane(
    driver: int,
    map_index: int,
    motion: ActorMotion,
    ego: EgoState,
    tracker: LaneTracker,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    row: NDArray,
    k: int,
) -> int:
    """LANE_FEATURES: place in the nearest driving lane; offset 1 is half a lane to the left."""
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    x, y, z = motion.x[world, slot], motion.y[world, slot], motion.z[world, slot]
    point = nearest_lane_point(grid, points, lanes, map_index, x, y, z, _DRIVING)
    if point < 0:
        row[k : k + 5] = 0.0
        return put(row, k + 5, 1.0 if tracker.wrong_way[driver] else 0.0)
    offset = lateral_offset_m(points, point, x, y) / max(0.5 * points.width_m[point], 0.5)
    angle = points.yaw_rad[point] - motion.yaw_rad[world, slot]
    k = put(row, k, 1.0)
    k = put(row, k, offset)
    k = put(row, k, math.sin(angle))
    k = put(row, k, math.cos(angle))
    k = put(row, k, 1.0 if lanes.junction[points.lane[point]] >= 0 else 0.0)
    return put(row, k, 1.0 if tracker.wrong_way[driver] else 0.0)


@device_function
def write_route(path: EgoRoute, distances_m: NDArray, row: NDArray, k: int) -> int:
    """ROUTE_FEATURES, then ROUTE_POINT_FEATURES of each distance ahead.

    A point's position is divided by its distance, so that straight ahead is (1, 0) at any of them.
    """
    window, count, ego_s, ego_row = path.window, path.count, path.ego_s, path.ego_row
    k = put(row, k, path.ego_offset / OFFSET_SCALE_M)
    k = put(row, k, math.sin(window[ego_row, 3]))
    k = put(row, k, math.cos(window[ego_row, 3]))
    k = put(row, k, (window[count - 1, 2] - ego_s) / REMAINING_SCALE_M)
    at, last_s, last_yaw = ego_row, ego_s, window[ego_row, 3]
    for i in range(distances_m.shape[0]):
        distance = distances_m[i]
        x, y, yaw, at = window_point_at(window, count, ego_s + distance, at)
        turn = wrap_angle(yaw - last_yaw)
        curvature = turn / max(ego_s + distance - last_s, 0.5)
        k = put(row, k, x / distance)
        k = put(row, k, y / distance)
        k = put(row, k, math.sin(yaw))
        k = put(row, k, curvature / CURVATURE_SCALE_PER_M)
        last_s, last_yaw = ego_s + distance, yaw
    return k


@device_function
def _edge_distance_m(
    layers: MapLayers, map_index: int, x: float, y: float, dir_x: float, dir_y: float
) -> float:
    """How far road or parking reaches from a world point in a direction, at most EDGE_REACH_M."""
    ppm = layers.pixels_per_meter[map_index]
    column = (x - layers.origin_x[map_index]) * ppm + 0.5
    line = (y - layers.origin_y[map_index]) * ppm + 0.5
    distance = 0.0
    while distance < EDGE_REACH_M:
        i = math.floor(column + ppm * distance * dir_x)
        j = math.floor(line + ppm * distance * dir_y)
        if layer_pixel(layers, map_index, i, j) & _ROAD_BITS == 0:
            return max(distance - 0.5 * _EDGE_STEP_M, 0.0)
        distance += _EDGE_STEP_M
    return EDGE_REACH_M


@device_function
def write_edges(
    driver: int,
    map_index: int,
    motion: ActorMotion,
    ego: EgoState,
    layers: MapLayers,
    path: EgoRoute,
    distances_m: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """EDGE_FEATURES at each place along the route: road edge to the left and right / reach.

    Distance zero means the ego itself, across its own heading.
    """
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_yaw = (
        motion.x[world, slot],
        motion.y[world, slot],
        motion.yaw_rad[world, slot],
    )
    cos, sin = math.cos(ego_yaw), math.sin(ego_yaw)
    at = path.ego_row
    for i in range(distances_m.shape[0]):
        x, y, yaw = 0.0, 0.0, 0.0
        if distances_m[i] > 0.0:
            x, y, yaw, at = window_point_at(
                path.window, path.count, path.ego_s + distances_m[i], at
            )
        world_x, world_y = ego_x + cos * x - sin * y, ego_y + sin * x + cos * y
        left_x, left_y = -math.sin(ego_yaw + yaw), math.cos(ego_yaw + yaw)
        left = _edge_distance_m(layers, map_index, world_x, world_y, left_x, left_y)
        right = _edge_distance_m(layers, map_index, world_x, world_y, -left_x, -left_y)
        k = put(row, k, left / EDGE_REACH_M)
        k = put(row, k, right / EDGE_REACH_M)
    return k


@device_function
def next_stop_line(
    driver: int,
    map_index: int,
    motion: ActorMotion,
    ego: EgoState,
    ranges: MapRanges,
    signals: Signals,
    stop_lines: StopLines,
    path: EgoRoute,
) -> tuple[int, float]:
    """The nearest stop line of a light on the route, and its distance [m] along it; (-1, inf)."""
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_z = motion.x[world, slot], motion.y[world, slot], motion.z[world, slot]
    yaw = motion.yaw_rad[world, slot]
    cos, sin = math.cos(yaw), math.sin(yaw)
    window = path.window
    first = signals.first_stop_line[ranges.signal[map_index]]
    last = signals.first_stop_line[ranges.signal[map_index + 1]]
    best, best_distance = -1, math.inf
    for line in range(first, last):
        dx, dy = stop_lines.x[line] - ego_x, stop_lines.y[line] - ego_y
        if dx * dx + dy * dy > LIGHT_SIGHT_M * LIGHT_SIGHT_M:
            continue
        if abs(stop_lines.z[line] - ego_z) > _SAME_LEVEL_M:
            continue
        s, offset, row = project_on_window(
            window, path.count, cos * dx + sin * dy, cos * dy - sin * dx
        )
        if abs(offset) > 0.6 * stop_lines.lane_width_m[line]:
            continue
        if math.cos(stop_lines.yaw_rad[line] - yaw - window[row, 3]) < _ALIGNED_COS:
            continue
        distance = s - path.ego_s
        if -_PASSED_M < distance < best_distance:
            best, best_distance = line, distance
    return best, best_distance


@device_function
def write_light(
    world: int,
    map_index: int,
    line: int,
    distance_m: float,
    ranges: MapRanges,
    stop_lines: StopLines,
    lights: Lights,
    row: NDArray,
    k: int,
) -> int:
    """LIGHT_FEATURES of the light at a stop line; no light reads like one far away."""
    if line < 0:
        row[k : k + 6] = 0.0
        row[k + 1] = LIGHT_SIGHT_M / DISTANCE_SCALE_M
        return k + 6
    light = stop_lines.signal[line] - ranges.signal[map_index]
    state = lights.state[world, light]
    remaining = min(max(lights.remaining_s[world, light], 0.0), REMAINING_SCALE_S)
    k = put(row, k, 1.0)
    k = put(row, k, distance_m / DISTANCE_SCALE_M)
    k = put(row, k, 1.0 if state == _RED else 0.0)
    k = put(row, k, 1.0 if state == _YELLOW else 0.0)
    k = put(row, k, 1.0 if state == _GREEN else 0.0)
    return put(row, k, remaining / REMAINING_SCALE_S)


@device_function
def write_stop_sign(
    driver: int,
    motion: ActorMotion,
    ego: EgoState,
    tracker: SignTracker,
    signs: Signs,
    path: EgoRoute,
    row: NDArray,
    k: int,
) -> int:
    """STOP_FEATURES of the nearest sign on the way: ahead and not yet stopped at."""
    sign = int(tracker.vector_shown_stop[driver])
    if sign < 0:
        row[k], row[k + 1] = 0.0, LIGHT_SIGHT_M / DISTANCE_SCALE_M
        return k + 2
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    cos, sin = math.cos(motion.yaw_rad[world, slot]), math.sin(motion.yaw_rad[world, slot])
    dx, dy = signs.x[sign] - motion.x[world, slot], signs.y[sign] - motion.y[world, slot]
    x, y = cos * dx + sin * dy, cos * dy - sin * dx
    s, _, _ = project_on_window(path.window, path.count, x, y)
    k = put(row, k, 1.0)
    return put(row, k, (s - path.ego_s) / DISTANCE_SCALE_M)


@inlined_function
def write_standing(driver: int, counters: HoldCounters, row: NDArray, k: int) -> int:
    """STANDING_FEATURES: time since the ego last moved."""
    return put(row, k, counters.standing_s[driver] / STANDING_SCALE_S)
