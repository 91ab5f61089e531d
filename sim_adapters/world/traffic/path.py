"""Paths on the lane graph: where a vehicle is, which lanes come next, what the scene shows of it.

Both axles of a vehicle follow the centre lines, so its body turns and cuts corners as a real one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, LaneRules, Lanes
from sim_adapters.scene.scenario import RouteCommand
from sim_adapters.scene.state import ActorMotion, LightBit
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.state import CURRENT, PATH_LANES, Places, Progress

PURPOSE_TURN = 3001  # random draw: which way at a junction


@inlined_function
def lane_position(
    points: LanePoints, lanes: Lanes, lane: int, s_m: float
) -> tuple[float, float, float]:
    """World (x, y, z) on a centre line; beyond the lane's ends its end segments go on."""
    first, last = lanes.first_point[lane], lanes.first_point[lane + 1] - 1
    i = first + min(max(int(s_m), 0), last - first - 1)
    while i < last - 1 and points.s_m[i + 1] < s_m:
        i += 1
    t = (s_m - points.s_m[i]) / max(points.s_m[i + 1] - points.s_m[i], 1e-6)
    return (
        float(points.x[i] + t * (points.x[i + 1] - points.x[i])),
        float(points.y[i] + t * (points.y[i + 1] - points.y[i])),
        float(points.z[i] + t * (points.z[i + 1] - points.z[i])),
    )


@inlined_function
def path_position(
    points: LanePoints, lanes: Lanes, path: NDArray[np.int32], s_m: float
) -> tuple[float, float, float]:
    """World (x, y, z) at arc length `s_m` from the start of the current lane of a path."""
    index = CURRENT
    while s_m < 0.0 and index > 0 and path[index - 1] >= 0:
        index -= 1
        s_m += float(lanes.length_m[path[index]])
    while index < PATH_LANES - 1 and path[index + 1] >= 0 and s_m > lanes.length_m[path[index]]:
        s_m -= float(lanes.length_m[path[index]])
        index += 1
    return lane_position(points, lanes, path[index], s_m)


@inlined_function
def vehicle_pose(
    points: LanePoints, lanes: Lanes, places: Places, world: int, slot: int
) -> tuple[float, float, float, float]:
    """World (x, y, z, yaw) of a vehicle's centre from its two axles on the path."""
    path, s = places.path[world, slot], places.s_m[world, slot]
    half = places.half_wheelbase_m[world, slot]
    front_x, front_y, front_z = path_position(points, lanes, path, s + half)
    rear_x, rear_y, rear_z = path_position(points, lanes, path, s - half)
    yaw = math.atan2(front_y - rear_y, front_x - rear_x)
    offset = places.offset_m[world, slot]
    if offset != 0.0:
        # The blend of a lane change, 1 - t^3 (10 - 15 t + 6 t^2), turns the body by its slope
        t = places.change_m[world, slot] / places.change_length_m[world, slot]
        slope = 30.0 * t * t * (1.0 - t) * (1.0 - t) / places.change_length_m[world, slot]
        yaw -= math.atan(slope * places.offset_start_m[world, slot])
    return (
        0.5 * (front_x + rear_x) - offset * math.sin(yaw),
        0.5 * (front_y + rear_y) + offset * math.cos(yaw),
        0.5 * (front_z + rear_z),
        yaw,
    )


@inlined_function
def choose_successor(links: LaneLinks, table: TrafficMap, lane: int, draw: float) -> int:
    """One of the lanes that follow `lane` and lead on, by a draw in [0, 1); -1 if none does."""
    first, last = links.successor_first[lane], links.successor_first[lane + 1]
    count = 0
    for row in range(first, last):
        if table.leads_on[links.successor[row]]:
            count += 1
    chosen = int(draw * count)
    for row in range(first, last):
        if table.leads_on[links.successor[row]]:
            if chosen == 0:
                return links.successor[row]
            chosen -= 1
    return -1


@inlined_function
def extend_path(
    links: LaneLinks,
    table: TrafficMap,
    places: Places,
    progress: Progress,
    world: int,
    slot: int,
    seed: np.uint64,
) -> None:
    """Choose lanes at random until the path is full or cannot go on."""
    path = places.path[world, slot]
    for index in range(CURRENT + 1, PATH_LANES):
        if path[index] >= 0:
            continue
        draws = progress.num_draws[world, slot]
        draw = uniform(seed, draws, slot, PURPOSE_TURN)
        progress.num_draws[world, slot] = draws + 1
        path[index] = choose_successor(links, table, path[index - 1], draw)
        if path[index] < 0:
            return


@inlined_function
def start_path(
    links: LaneLinks,
    table: TrafficMap,
    places: Places,
    progress: Progress,
    world: int,
    slot: int,
    lane: int,
    seed: np.uint64,
) -> None:
    """A new path from `lane`: its first predecessors behind, random successors ahead."""
    path = places.path[world, slot]
    path[:] = -1
    path[CURRENT] = lane
    for index in range(CURRENT - 1, -1, -1):
        first = links.predecessor_first[path[index + 1]]
        if first == links.predecessor_first[path[index + 1] + 1]:
            break
        path[index] = links.predecessor[first]
    extend_path(links, table, places, progress, world, slot, seed)


@inlined_function
def shift_path(places: Places, progress: Progress, world: int, slot: int) -> None:
    """Make the next lane the current one."""
    path = places.path[world, slot]
    for index in range(PATH_LANES - 1):
        path[index] = path[index + 1]
    path[PATH_LANES - 1] = -1
    progress.reserved_to[world, slot] = max(progress.reserved_to[world, slot] - 1, 0)


STANDING_MPS = 0.1
BRAKE_LIGHT_MPS2 = 0.6  # braking that shows
BLINKER_M = 30.0  # before a turn

_BRAKE = int(LightBit.BRAKE)
_LEFT, _RIGHT = int(LightBit.LEFT_BLINKER), int(LightBit.RIGHT_BLINKER)
_TURNS_LEFT, _TURNS_RIGHT = int(RouteCommand.LEFT), int(RouteCommand.RIGHT)


@inlined_function
def write_motion(
    points: LanePoints,
    lanes: Lanes,
    motion: ActorMotion,
    places: Places,
    world: int,
    slot: int,
    dt: float,
) -> None:
    """Write the pose and its rates; `dt` 0 means that the vehicle has just appeared."""
    x, y, z, yaw = vehicle_pose(points, lanes, places, world, slot)
    speed = places.speed_mps[world, slot]
    vx, vy = speed * math.cos(yaw), speed * math.sin(yaw)
    if dt > 0.0:
        motion.ax_mps2[world, slot] = (vx - motion.vx_mps[world, slot]) / dt
        motion.ay_mps2[world, slot] = (vy - motion.vy_mps[world, slot]) / dt
        motion.yaw_rate_radps[world, slot] = wrap_angle(yaw - motion.yaw_rad[world, slot]) / dt
    else:
        motion.ax_mps2[world, slot] = motion.ay_mps2[world, slot] = 0.0
        motion.yaw_rate_radps[world, slot] = 0.0
    motion.x[world, slot], motion.y[world, slot], motion.z[world, slot] = x, y, z
    motion.yaw_rad[world, slot] = yaw
    motion.vx_mps[world, slot], motion.vy_mps[world, slot] = vx, vy


@inlined_function
def vehicle_lights(lanes: Lanes, rules: LaneRules, places: Places, world: int, slot: int) -> int:
    """Brake and blinker bits: braking or standing, changing lanes, turning ahead."""
    flags = 0
    braking = places.acceleration_mps2[world, slot] < -BRAKE_LIGHT_MPS2
    if braking or places.speed_mps[world, slot] < STANDING_MPS:
        flags |= _BRAKE
    if places.offset_m[world, slot] < 0.0:
        flags |= _LEFT
    elif places.offset_m[world, slot] > 0.0:
        flags |= _RIGHT
    base, path = -places.s_m[world, slot], places.path[world, slot]
    for index in range(CURRENT, PATH_LANES):
        if path[index] < 0 or base > BLINKER_M:
            break
        turn = rules.turn[path[index]]
        if turn == _TURNS_LEFT:
            return flags | _LEFT
        if turn == _TURNS_RIGHT:
            return flags | _RIGHT
        base += lanes.length_m[path[index]]
    return flags
