"""What the scene shows of a vehicle of ours: its motion, its lights, or nothing any more."""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import LanePoints, LaneRules, Lanes
from sim_adapters.scene.scenario import RouteCommand
from sim_adapters.scene.state import ActorMotion, LightBit
from sim_adapters.world.traffic.path import vehicle_pose
from sim_adapters.world.traffic.state import CURRENT, PATH_LANES, Places

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
