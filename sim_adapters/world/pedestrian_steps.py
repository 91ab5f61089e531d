"""How one pedestrian moves: along a sidewalk, waiting at the kerb, straight across.

Rules after CARLA's walker AI (`WalkerManager`, `Navigation`): before stepping onto the road people
wait, at most 60 s, while the light for vehicles is green or yellow and while a vehicle is near;
then they walk straight across. Unlike CARLA's they also look at what drives towards them, stop
before a vehicle in their way, and follow sidewalk lanes instead of a navigation mesh.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.geometry import point_in_box
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LanePoints, Lanes
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorMotion,
    ActorTraits,
    Clocks,
    Lights,
    LightState,
)
from sim_adapters.world.pedestrian_state import (
    GO_STRAIGHT,
    WAIT,
    WALK,
    PedestrianSettings,
    Walkers,
    lane_place,
)
from sim_adapters.world.sidewalks import Crossings, Sidewalks

MAX_WAIT_S = 60.0
NEAR_VEHICLE_M = 6.0  # a moving vehicle this near to the crossing is waited for
STANDING_MPS = 0.5  # slower vehicles only matter where they stand
CLEARING_MARGIN_S = 1.0
LOOK_AHEAD_M, LOOK_AHEAD_S = 0.8, 0.3  # nobody walks into a vehicle before it
BODY_MARGIN_M = 0.3
LIGHT_MARGIN = 0.8  # share of the way that must be done when the light turns green
_DRAW_WAY, _DRAW_CROSS = 2204, 2205
_GREEN, _YELLOW = int(LightState.GREEN), int(LightState.YELLOW)


@device_function
def move_to(
    motion: ActorMotion, world: int, slot: int, x: float, y: float, z: float, dt: float
) -> None:
    """Move a pedestrian; velocity and yaw follow from the way it went."""
    dx, dy = x - motion.x[world, slot], y - motion.y[world, slot]
    motion.x[world, slot], motion.y[world, slot], motion.z[world, slot] = x, y, z
    motion.vx_mps[world, slot], motion.vy_mps[world, slot] = dx / dt, dy / dt
    if abs(dx) + abs(dy) > 1e-6:
        motion.yaw_rad[world, slot] = math.atan2(dy, dx)


@device_function
def is_road_clear(
    motion: ActorMotion,
    traits: ActorTraits,
    world: int,
    x: float,
    y: float,
    z: float,
    to_x: float,
    to_y: float,
    speed_mps: float,
) -> bool:
    """Whether nobody drives where a pedestrian would cross from (x, y) to (to_x, to_y).

    A vehicle is in the way if it stands there, is near and moving, or would arrive, going straight
    on, before the pedestrian is across.
    """
    length = math.hypot(to_x - x, to_y - y)
    if length < 1e-6:
        return True
    ux, uy = (to_x - x) / length, (to_y - y) / length
    clear_s = length / speed_mps + CLEARING_MARGIN_S
    for slot in range(traits.valid.shape[1]):
        if not traits.valid[world, slot] or traits.kind[world, slot] > LAST_VEHICLE_KIND:
            continue
        if abs(motion.z[world, slot] - z) >= SAME_LEVEL_M:
            continue
        dx, dy = motion.x[world, slot] - x, motion.y[world, slot] - y
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        half = traits.half_length_m[world, slot]
        along, beside = ux * dx + uy * dy, ux * dy - uy * dx
        gap = abs(beside) - half
        if math.hypot(vx, vy) < STANDING_MPS:
            if -half < along < length + half and gap < 1.0:
                return False
            continue
        closing = (ux * vy - uy * vx) * (-1.0 if beside > 0.0 else 1.0)
        arrival_s = max(gap, 0.0) / closing if closing > 0.1 else np.inf
        then_along = along + (ux * vx + uy * vy) * min(arrival_s, clear_s)
        is_here = -2.0 < along < length + 2.0 or -2.0 < then_along < length + 2.0
        if is_here and (arrival_s < clear_s or (gap < NEAR_VEHICLE_M and closing > -0.1)):
            return False
    return True


@device_function
def light_allows(lights: Lights, world: int, light: int, length_m: float, speed_mps: float) -> bool:
    """Whether vehicles have red for long enough; without a light always."""
    if light < 0:
        return True
    state = lights.state[world, light]
    if state in (_GREEN, _YELLOW):
        return False
    return lights.remaining_s[world, light] > LIGHT_MARGIN * length_m / speed_mps


@device_function
def wait(
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    walkers: Walkers,
    crossings: Crossings,
    world: int,
    slot: int,
    first_signal: int,
    dt: float,
) -> None:
    """Stand at the kerb until it is safe to go or patience ends."""
    crossing, other = int(walkers.crossing[world, slot]), 1 - int(walkers.side[world, slot])
    x, y, z = motion.x[world, slot], motion.y[world, slot], motion.z[world, slot]
    to_x, to_y = float(crossings.x[crossing, other]), float(crossings.y[crossing, other])
    speed = walkers.speed_mps[world, slot]
    motion.vx_mps[world, slot] = motion.vy_mps[world, slot] = 0.0
    motion.yaw_rad[world, slot] = math.atan2(to_y - y, to_x - x)
    walkers.waited_s[world, slot] += dt
    signal = int(crossings.signal[crossing])
    light = signal - first_signal if signal >= 0 else -1
    length = math.hypot(to_x - x, to_y - y)
    if light_allows(lights, world, light, length, speed) and is_road_clear(
        motion, traits, world, x, y, z, to_x, to_y, speed
    ):
        walkers.mode[world, slot] = GO_STRAIGHT
        walkers.lane[world, slot] = crossings.lane[crossing, other]
        walkers.s_m[world, slot] = crossings.s_m[crossing, other]
        walkers.offset_m[world, slot] = 0.0
    elif walkers.waited_s[world, slot] > MAX_WAIT_S:
        walkers.mode[world, slot], walkers.crossing[world, slot] = WALK, -1


@device_function
def is_vehicle_in_the_way(
    motion: ActorMotion, traits: ActorTraits, world: int, slot: int, dx: float, dy: float
) -> bool:
    """Whether a vehicle is, or is about to be, a step before somebody who walks along (dx, dy)."""
    length = max(math.hypot(dx, dy), 1e-9)
    x = motion.x[world, slot] + LOOK_AHEAD_M * dx / length
    y = motion.y[world, slot] + LOOK_AHEAD_M * dy / length
    for other in range(traits.valid.shape[1]):
        if not traits.valid[world, other] or traits.kind[world, other] > LAST_VEHICLE_KIND:
            continue
        if abs(motion.z[world, other] - motion.z[world, slot]) >= SAME_LEVEL_M:
            continue
        soon_x = motion.x[world, other] + LOOK_AHEAD_S * motion.vx_mps[world, other]
        soon_y = motion.y[world, other] + LOOK_AHEAD_S * motion.vy_mps[world, other]
        half_length = traits.half_length_m[world, other] + BODY_MARGIN_M
        half_width = traits.half_width_m[world, other] + BODY_MARGIN_M
        yaw = motion.yaw_rad[world, other]
        if point_in_box(x, y, soon_x, soon_y, yaw, half_length, half_width):
            return True
    return False


@device_function
def go_straight(
    points: LanePoints,
    lanes: Lanes,
    motion: ActorMotion,
    traits: ActorTraits,
    walkers: Walkers,
    world: int,
    slot: int,
    dt: float,
) -> None:
    """Walk straight to the place on the lane that was chosen, then go on along it."""
    x, y, z, _ = lane_place(
        points,
        lanes,
        walkers.lane[world, slot],
        walkers.s_m[world, slot],
        walkers.offset_m[world, slot],
    )
    dx, dy = x - motion.x[world, slot], y - motion.y[world, slot]
    left_m, step_m = math.hypot(dx, dy), walkers.speed_mps[world, slot] * dt
    is_crossing = walkers.crossing[world, slot] >= 0
    if is_crossing and is_vehicle_in_the_way(motion, traits, world, slot, dx, dy):
        motion.vx_mps[world, slot] = motion.vy_mps[world, slot] = 0.0
        return
    if left_m <= step_m:
        move_to(motion, world, slot, x, y, z, dt)
        walkers.mode[world, slot], walkers.crossing[world, slot] = WALK, -1
        # A hair past the crossing's end, so that it is not walked past at once
        walkers.s_m[world, slot] += 1e-6 * walkers.direction[world, slot]
        return
    share = step_m / left_m
    height = motion.z[world, slot] + share * (z - motion.z[world, slot])
    to_x, to_y = motion.x[world, slot] + share * dx, motion.y[world, slot] + share * dy
    move_to(motion, world, slot, to_x, to_y, height, dt)


@device_function
def take_next_lane(
    lanes: Lanes,
    sidewalks: Sidewalks,
    walkers: Walkers,
    world: int,
    slot: int,
    seed: np.uint64,
    tick: int,
) -> None:
    """At a lane's end: walk over to a joined one, drawn at random, or turn round."""
    lane = walkers.lane[world, slot]
    row = 2 * lane + (1 if walkers.direction[world, slot] > 0 else 0)
    first, last = sidewalks.link_first[row], sidewalks.link_first[row + 1]
    if first == last:
        walkers.direction[world, slot] = -walkers.direction[world, slot]
        return
    link = first + int(uniform(seed, tick, slot, _DRAW_WAY) * (last - first))
    following, end = sidewalks.link_lane[link], sidewalks.link_end[link]
    walkers.mode[world, slot] = GO_STRAIGHT
    walkers.lane[world, slot] = following
    walkers.s_m[world, slot] = 0.0 if end == 0 else lanes.length_m[following]
    walkers.direction[world, slot] = 1 if end == 0 else -1


@device_function
def walk(
    points: LanePoints,
    lanes: Lanes,
    motion: ActorMotion,
    clocks: Clocks,
    walkers: Walkers,
    sidewalks: Sidewalks,
    settings: PedestrianSettings,
    world: int,
    slot: int,
    dt: float,
) -> None:
    """Walk along the sidewalk; at a crossing decide whether to cross."""
    seed, tick = clocks.seed[world], round(clocks.elapsed_s[world] / dt)
    lane, before = walkers.lane[world, slot], walkers.s_m[world, slot]
    after = before + walkers.direction[world, slot] * walkers.speed_mps[world, slot] * dt
    for anchor in range(sidewalks.anchor_first[lane], sidewalks.anchor_first[lane + 1]):
        at = sidewalks.anchor_m[anchor]
        if (before < at) == (after < at):
            continue
        if uniform(seed, tick, slot, _DRAW_CROSS) < settings.crossing_share:
            walkers.mode[world, slot], walkers.waited_s[world, slot] = WAIT, 0.0
            walkers.crossing[world, slot] = sidewalks.anchor_crossing[anchor]
            walkers.side[world, slot] = sidewalks.anchor_side[anchor]
    length = lanes.length_m[lane]
    walkers.s_m[world, slot] = min(max(after, 0.0), length)
    x, y, z, _ = lane_place(
        points, lanes, lane, walkers.s_m[world, slot], walkers.offset_m[world, slot]
    )
    move_to(motion, world, slot, x, y, z, dt)
    if (after <= 0.0 or after >= length) and walkers.mode[world, slot] == WALK:
        take_next_lane(lanes, sidewalks, walkers, world, slot, seed, tick)
