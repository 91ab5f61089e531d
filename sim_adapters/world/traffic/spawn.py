"""Vehicles appear and vanish: the town's traffic at a reset, and traffic around the ego."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.geometry import left_offset_m
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneGrid, LaneKind, LaneLinks, LanePoints, Lanes
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.slots import new_actor_id
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.path import start_path, write_motion
from sim_adapters.world.traffic.settings import SPEED_CAP_MPS, TrafficSettings
from sim_adapters.world.traffic.state import (
    CURRENT,
    Drivers,
    Overrides,
    Places,
    Progress,
)
from sim_adapters.world.vehicle_catalogue import (
    FIRST_VEHICLE_OF_KIND,
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
    VEHICLE_KIND,
)

PURPOSE_KIND, PURPOSE_MODEL, PURPOSE_DRIVER, PURPOSE_PLACE, PURPOSE_AROUND = (
    3101,
    3102,
    3103,
    3104,
    3105,
)
# Limit: longer bodies (lorry, fire engine, bus) sweep over the next lane in tight junctions; the
# conflict table would have to know each body's swept area
LONGEST_HALF_LENGTH_M = 3.3
SPAWN_GAP_M = 10.0  # free lane on both sides of a new vehicle (BackgroundActivity places at 15 m)
BESIDE_M, BESIDE_GAP_M = 2.7, 1.5  # bodies off the axis (next lane, kerb) need less
SPAWN_BRAKING_MPS2 = 4.0  # nobody must brake harder for a new vehicle, nor it for others
SLOW_START_MPS = 4.0  # second try where the road is too full for full speed
WHEELBASE_SHARE = 0.58  # of the length; 2.85 of 4.9 m for a saloon

_CAR, _VAN, _TRUCK = int(ActorKind.CAR), int(ActorKind.VAN), int(ActorKind.TRUCK)
_MOTORCYCLE, _BICYCLE = int(ActorKind.MOTORCYCLE), int(ActorKind.BICYCLE)
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
_DRIVING = int(LaneKind.DRIVING)

# By ActorKind: top speed [m/s], acceleration, comfortable braking [m/s2], headway [s], gap [m]
_KIND_NUMBERS = np.array(
    [
        [0.0, 1.0, 2.0, 1.5, 2.0],  # NONE
        [SPEED_CAP_MPS, 2.0, 2.5, 1.2, 2.0],  # CAR
        [SPEED_CAP_MPS, 1.6, 2.5, 1.3, 2.2],  # VAN
        [22.0, 1.0, 2.0, 1.6, 2.5],  # TRUCK
        [SPEED_CAP_MPS, 2.5, 2.5, 1.1, 1.8],  # MOTORCYCLE
        [5.5, 1.0, 2.0, 1.0, 1.5],  # BICYCLE
    ]
)


@inlined_function
def free_slot(traits: ActorTraits, world: int, first: int, last: int) -> int:
    """The first empty slot of [first, last), or -1."""
    for slot in range(first, last):
        if not traits.valid[world, slot]:
            return slot
    return -1


@inlined_function
def draw_model(settings: TrafficSettings, seed: np.uint64, slot: int, generation: int) -> int:
    """Row of the vehicle catalogue for a new vehicle, by the shares of the settings."""
    share = uniform(seed, generation, slot, PURPOSE_KIND)
    kind = _CAR
    if share < settings.truck_share:
        kind = _TRUCK if share < 0.5 * settings.truck_share else _VAN
    elif share < settings.truck_share + settings.two_wheeler_share:
        half = settings.truck_share + 0.5 * settings.two_wheeler_share
        kind = _MOTORCYCLE if share < half else _BICYCLE
    first, last = FIRST_VEHICLE_OF_KIND[kind], FIRST_VEHICLE_OF_KIND[kind + 1]
    model = first + int(uniform(seed, generation, slot, PURPOSE_MODEL) * (last - first))
    while VEHICLE_HALF_LENGTH_M[model] > LONGEST_HALF_LENGTH_M:
        model = first + (model - first + 1) % (last - first)
    return int(model)


@inlined_function
def assign_driver(drivers: Drivers, world: int, slot: int, kind: int, temper: float) -> None:
    """Give a vehicle the numbers of its kind and a temper in [0, 1) for the limit."""
    drivers.desired_factor[world, slot] = 0.85 + 0.2 * temper
    drivers.top_speed_mps[world, slot] = _KIND_NUMBERS[kind, 0]
    drivers.max_acceleration_mps2[world, slot] = _KIND_NUMBERS[kind, 1]
    drivers.comfortable_braking_mps2[world, slot] = _KIND_NUMBERS[kind, 2]
    drivers.headway_s[world, slot] = _KIND_NUMBERS[kind, 3]
    drivers.min_gap_m[world, slot] = _KIND_NUMBERS[kind, 4]


class Cast(NamedTuple):
    """What a vehicle consists of, (B, A), and the lanes it appears on."""

    motion: ActorMotion
    traits: ActorTraits
    places: Places
    drivers: Drivers
    progress: Progress
    overrides: Overrides
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    table: TrafficMap


@inlined_function
def spawn_vehicle(
    cast: Cast,
    world: int,
    slot: int,
    seed: np.uint64,
    model: int,
    lane: int,
    s_m: float,
    speed_mps: float,
) -> None:
    """Put a vehicle of catalogue row `model` on a lane; the caller has made sure of the place."""
    lanes, traits, places = cast.lanes, cast.traits, cast.places
    progress, overrides = cast.progress, cast.overrides
    progress.generation[world, slot] += 1
    generation = progress.generation[world, slot]
    kind = VEHICLE_KIND[model]
    traits.valid[world, slot] = True
    traits.kind[world, slot] = kind
    traits.half_length_m[world, slot] = VEHICLE_HALF_LENGTH_M[model]
    traits.half_width_m[world, slot] = VEHICLE_HALF_WIDTH_M[model]
    traits.half_height_m[world, slot] = VEHICLE_HALF_HEIGHT_M[model]
    traits.lights[world, slot] = 0
    traits.actor_id[world, slot] = new_actor_id(generation, slot, traits.valid.shape[1])
    places.s_m[world, slot], places.speed_mps[world, slot] = s_m, speed_mps
    places.acceleration_mps2[world, slot] = 0.0
    places.half_wheelbase_m[world, slot] = WHEELBASE_SHARE * VEHICLE_HALF_LENGTH_M[model]
    places.offset_m[world, slot] = places.offset_start_m[world, slot] = 0.0
    places.change_m[world, slot], places.change_from[world, slot] = 0.0, -1
    temper = uniform(seed, generation, slot, PURPOSE_DRIVER)
    assign_driver(cast.drivers, world, slot, kind, temper)
    progress.reserved_to[world, slot] = 0
    progress.standing_s[world, slot] = 0.0
    progress.arrived_s[world, slot] = np.inf
    progress.stopped_for[world, slot] = -1
    progress.changed_at_s[world, slot] = 0.0
    progress.num_draws[world, slot] = generation * 100_000
    overrides.brake_until_s[world, slot] = -1.0
    overrides.ignores_lights[world, slot] = False
    overrides.ignores_junctions[world, slot] = False
    overrides.scripted_speed_mps[world, slot] = -1.0
    overrides.keeps_path[world, slot] = overrides.heeds_nobody[world, slot] = False
    overrides.script[world, slot] = -1
    start_path(cast.links, cast.table, places, progress, world, slot, lane, seed)
    if lanes.junction[lane] >= 0:  # started inside: it holds its way
        reserved = CURRENT
        path = places.path[world, slot]
        while path[reserved + 1] >= 0 and lanes.junction[path[reserved + 1]] >= 0:
            reserved += 1
        progress.reserved_to[world, slot] = reserved
    write_motion(cast.points, lanes, cast.motion, places, world, slot, 0.0)


class Room(NamedTuple):
    """Between the bodies of a new vehicle and others [m]."""

    along_m: float
    beside_m: float  # of those off its axis; far below 0: they do not count


@inlined_function
def place_is_free(
    traits: ActorTraits,
    motion: ActorMotion,
    world: int,
    x: float,
    y: float,
    z: float,
    yaw_rad: float,
    half_length_m: float,
    speed_mps: float,
    room: Room,
) -> bool:
    """Whether a new vehicle of this speed hinders nobody and is hindered by nobody.

    Straight-line distance: stricter than along the lane, and true for whatever stands there.
    """
    cos_yaw, sin_yaw = math.cos(yaw_rad), math.sin(yaw_rad)
    for slot in range(traits.valid.shape[1]):
        if not traits.valid[world, slot]:
            continue
        dx, dy = motion.x[world, slot] - x, motion.y[world, slot] - y
        reach = half_length_m + traits.half_length_m[world, slot]
        beside = abs(left_offset_m(dx, dy, cos_yaw, sin_yaw)) > BESIDE_M
        reach = max(reach + (room.beside_m if beside else room.along_m), 0.0)
        if traits.kind[world, slot] < _PEDESTRIAN:
            vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
            difference = abs(vx * vx + vy * vy - speed_mps * speed_mps)
            reach += difference / (2.0 * SPAWN_BRAKING_MPS2)
        if dx * dx + dy * dy < reach * reach and abs(motion.z[world, slot] - z) < 4.0:
            return False
    return True


@inlined_function
def try_spawn_at(
    cast: Cast,
    settings: TrafficSettings,
    world: int,
    slot: int,
    point: int,
    seed: np.uint64,
    most_mps: float,
    room: Room,
) -> bool:
    """Put a new random vehicle at a lane point if there is room; whether it was done.

    It starts at `most_mps` or slower, and has this room around it.
    """
    points, lanes, table = cast.points, cast.lanes, cast.table
    motion, traits = cast.motion, cast.traits
    lane, s = int(points.lane[point]), float(points.s_m[point])
    model = draw_model(settings, seed, slot, cast.progress.generation[world, slot] + 1)
    half = VEHICLE_HALF_LENGTH_M[model]
    to_end = lanes.length_m[lane] - s - half
    if to_end < 3.0 or s < half or lanes.junction[lane] >= 0 or not table.leads_on[lane]:
        return False
    limit = min(points.speed_limit_mps[point], _KIND_NUMBERS[VEHICLE_KIND[model], 0])
    # It can stop comfortably before the lane's end, where a junction may begin
    speed = min(0.8 * limit, table.curve_speed_mps[point], math.sqrt(4.0 * (to_end - 2.0)))
    speed = min(speed, most_mps)
    x, y, z, yaw = points.x[point], points.y[point], points.z[point], points.yaw_rad[point]
    if not place_is_free(traits, motion, world, x, y, z, yaw, half, speed, room):
        speed = min(speed, SLOW_START_MPS)
        if not place_is_free(traits, motion, world, x, y, z, yaw, half, speed, room):
            return False
    spawn_vehicle(cast, world, slot, seed, model, lane, s, speed)
    return True


@inlined_function
def draw_town_point(table: TrafficMap, map_index: int, seed: np.uint64, attempt: int) -> int:
    """A random place of the town where a vehicle may appear."""
    first, last = table.spawn_first[map_index], table.spawn_first[map_index + 1]
    if last == first:
        return -1
    row = first + int(uniform(seed, attempt, 0, PURPOSE_PLACE) * (last - first))
    return int(table.spawn_point[row])


class Ring(NamedTuple):
    """Around a place in the world frame [m]."""

    x: float
    y: float
    z: float
    nearest_m: float
    furthest_m: float


@inlined_function
def draw_point_around(
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    map_index: int,
    ring: Ring,
    seed: np.uint64,
    attempt: int,
) -> int:
    """A random driving lane point in a ring, or -1 if the draw met no lane."""
    x, y, nearest_m, furthest_m = ring.x, ring.y, ring.nearest_m, ring.furthest_m
    angle = 2.0 * math.pi * uniform(seed, attempt, 1, PURPOSE_AROUND)
    squared = nearest_m * nearest_m + uniform(seed, attempt, 2, PURPOSE_AROUND) * (
        furthest_m * furthest_m - nearest_m * nearest_m
    )
    radius = math.sqrt(squared)
    at_x, at_y = x + radius * math.cos(angle), y + radius * math.sin(angle)
    point = int(nearest_lane_point(grid, points, lanes, map_index, at_x, at_y, ring.z, _DRIVING))
    # The nearest lane may lie nearer to the centre than the draw
    if point >= 0 and math.hypot(points.x[point] - x, points.y[point] - y) < nearest_m:
        return -1
    return point
