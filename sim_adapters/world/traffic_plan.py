"""Plans one step of one driver from the old state, and carries it out."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, LaneRules, Lanes
from sim_adapters.scene.scenario import RouteCommand
from sim_adapters.scene.state import ActorMotion, ActorTraits, LightBit, Lights, LightState
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.traffic_map import TrafficMap
from sim_adapters.world.traffic_path import extend_path, shift_path, vehicle_pose
from sim_adapters.world.traffic_settings import EMERGENCY_BRAKING_MPS2, STOP_MARGIN_M
from sim_adapters.world.traffic_state import (
    CURRENT,
    PATH_LANES,
    Drivers,
    Overrides,
    Places,
    Progress,
    Sight,
    Tally,
)

STANDING_MPS = 0.1
CHANGE_DURATION_S = 3.0  # of the lateral move of a lane change
FORCED_BRAKING_MPS2 = 7.0  # HardBreak scenarios
_BRAKE, _LEFT, _RIGHT = (
    int(LightBit.BRAKE),
    int(LightBit.LEFT_BLINKER),
    int(LightBit.RIGHT_BLINKER),
)
_TURNS_LEFT, _TURNS_RIGHT = int(RouteCommand.LEFT), int(RouteCommand.RIGHT)
_RED = int(LightState.RED)
BRAKE_LIGHT_MPS2 = 0.6  # braking that shows
BLINKER_M = 30.0  # before a turn


@njit(cache=True)
def plan_acceleration(
    drivers: Drivers,
    overrides: Overrides,
    places: Places,
    sight: Sight,
    half_length_m: float,
    world: int,
    slot: int,
    now_s: float,
    dt: float,
) -> float:
    """IDM behind the leader and before the junction it may not enter, bounded to stay safe."""
    speed = places.speed_mps[world, slot]
    brake = drivers.comfortable_braking_mps2[world, slot]
    limit = drivers.max_acceleration_mps2[world, slot]
    headway, min_gap = drivers.headway_s[world, slot], drivers.min_gap_m[world, slot]
    desired = sight.desired_mps[world, slot]
    gap, lead_speed = sight.gap_m[world, slot], sight.lead_speed_mps[world, slot]
    acceleration = idm_acceleration(speed, desired, gap, lead_speed, limit, brake, headway, min_gap)
    safe = safe_speed_mps(gap - 0.5 * min_gap, lead_speed, EMERGENCY_BRAKING_MPS2, dt)
    # Slowing for a limit or a curve is comfortable; for somebody ahead it may be hard
    if np.isinf(gap):
        acceleration = max(acceleration, -brake)
    if sight.entry_index[world, slot] > 0 and not overrides.ignores_junctions[world, slot]:
        line = sight.entry_m[world, slot] - half_length_m
        stop = idm_acceleration(
            speed, desired, line - STOP_MARGIN_M + min_gap, 0.0, limit, brake, 0.5, min_gap
        )
        acceleration = min(acceleration, stop)
        safe = min(safe, safe_speed_mps(line - 0.2, 0.0, EMERGENCY_BRAKING_MPS2, dt))
    if now_s < overrides.brake_until_s[world, slot]:
        acceleration = -FORCED_BRAKING_MPS2
    acceleration = min(acceleration, (safe - speed) / dt)
    return max(acceleration, -EMERGENCY_BRAKING_MPS2, -speed / dt)


@njit(cache=True)
def advance(
    lanes: Lanes,
    links: LaneLinks,
    rules: LaneRules,
    table: TrafficMap,
    traits: ActorTraits,
    lights: Lights,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    world: int,
    slot: int,
    first_signal: int,
    seed: np.uint64,
    dt: float,
) -> bool:
    """Move a vehicle along its path by its planned acceleration; False at the path's end."""
    old = places.speed_mps[world, slot]
    speed = max(0.0, old + places.acceleration_mps2[world, slot] * dt)
    moved = 0.5 * (old + speed) * dt
    places.speed_mps[world, slot] = speed
    tally.distance_m[world] += moved
    if speed < STANDING_MPS:
        progress.standing_s[world, slot] += dt
    else:
        progress.standing_s[world, slot] = 0.0
    count_red_entry(lanes, rules, lights, traits, places, tally, world, slot, first_signal, moved)
    places.s_m[world, slot] += moved
    path = places.path[world, slot]
    while places.s_m[world, slot] >= lanes.length_m[path[CURRENT]]:
        if path[CURRENT + 1] < 0:
            return False
        places.s_m[world, slot] -= lanes.length_m[path[CURRENT]]
        left = lanes.junction[path[CURRENT]]
        shift_path(places, progress, world, slot)
        places.change_from[world, slot] = -1
        if left >= 0 and lanes.junction[path[CURRENT]] != left:
            tally.crossings[world] += 1
        if not overrides.keeps_path[world, slot]:
            extend_path(links, table, places, progress, world, slot, seed)
    return True


@njit(cache=True)
def count_red_entry(
    lanes: Lanes,
    rules: LaneRules,
    lights: Lights,
    traits: ActorTraits,
    places: Places,
    tally: Tally,
    world: int,
    slot: int,
    first_signal: int,
    moved_m: float,
) -> None:
    """Tally a front bumper that crosses into a junction whose light is red."""
    path = places.path[world, slot]
    front = places.s_m[world, slot] + traits.half_length_m[world, slot]
    index = CURRENT
    while index < PATH_LANES - 1 and path[index + 1] >= 0:
        length = lanes.length_m[path[index]]
        if front > length:
            front -= length
            index += 1
            continue
        if front + moved_m <= length:
            return
        entered = path[index + 1]
        signal = rules.signal[entered]
        if (
            lanes.junction[entered] >= 0
            and lanes.junction[entered] != lanes.junction[path[index]]
            and signal >= 0
            and lights.state[world, signal - first_signal] == _RED
        ):
            tally.red_entries[world] += 1
        return


@njit(cache=True)
def blend_lane_change(places: Places, world: int, slot: int, dt: float) -> None:
    """Let the lateral offset of a lane change go smoothly to zero."""
    if places.offset_start_m[world, slot] == 0.0:
        return
    places.change_s[world, slot] += dt
    t = places.change_s[world, slot] / CHANGE_DURATION_S
    if t >= 1.0:
        places.offset_m[world, slot] = places.offset_start_m[world, slot] = 0.0
        places.change_from[world, slot] = -1
        return
    # Quintic blend: no jump in lateral speed or acceleration at either end
    blend = t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
    places.offset_m[world, slot] = places.offset_start_m[world, slot] * (1.0 - blend)


@njit(cache=True)
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


@njit(cache=True)
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
