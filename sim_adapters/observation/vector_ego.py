"""Blocks of the vector observation about the driver itself: motion, lane, route, road edges."""

from __future__ import annotations

import math

from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.route_window import window_point_at
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.lane_lookup import lateral_offset_m, nearest_lane_point
from sim_adapters.scene.map_bank import LaneGrid, LaneKind, LanePoints, Lanes
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.memory import LaneTracker
from sim_adapters.scene.state import ActorMotion, EgoState

CLIP = 2.0  # features are about [-1, 1] and never leave [-CLIP, CLIP]

SPEED_SCALE_MPS = 15.0
OVERSPEED_SCALE_MPS = 5.0
LATERAL_SPEED_SCALE_MPS = 2.0
YAW_RATE_SCALE_RADPS = 1.0
ACCELERATION_SCALE_MPS2 = 8.0
OFFSET_SCALE_M = 3.0
REMAINING_SCALE_M = 100.0
CURVATURE_SCALE_PER_M = 0.1
EDGE_REACH_M = 10.0
_EDGE_STEP_M = 0.5
_ROAD_BITS = int(LayerBit.DRIVING) | int(LayerBit.PARKING)
_DRIVING = int(LaneKind.DRIVING)

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
def write_route(
    window: NDArray,
    count: int,
    ego_s: float,
    ego_offset: float,
    ego_row: int,
    distances_m: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """ROUTE_FEATURES, then ROUTE_POINT_FEATURES of each distance ahead.

    A point's position is divided by its distance, so that straight ahead is (1, 0) at any of them.
    """
    k = put(row, k, ego_offset / OFFSET_SCALE_M)
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
    window: NDArray,
    count: int,
    ego_s: float,
    ego_row: int,
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
    at = ego_row
    for i in range(distances_m.shape[0]):
        x, y, yaw = 0.0, 0.0, 0.0
        if distances_m[i] > 0.0:
            x, y, yaw, at = window_point_at(window, count, ego_s + distances_m[i], at)
        world_x, world_y = ego_x + cos * x - sin * y, ego_y + sin * x + cos * y
        left_x, left_y = -math.sin(ego_yaw + yaw), math.cos(ego_yaw + yaw)
        left = _edge_distance_m(layers, map_index, world_x, world_y, left_x, left_y)
        right = _edge_distance_m(layers, map_index, world_x, world_y, -left_x, -left_y)
        k = put(row, k, left / EDGE_REACH_M)
        k = put(row, k, right / EDGE_REACH_M)
    return k
