"""Blocks of the vector observation about other actors: who is ahead on the path, who matters."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.route_window import (
    INSTANT_S,
    NUM_INSTANTS,
    EgoRoute,
    project_on_window,
)
from sim_adapters.observation.vector_road import SPEED_SCALE_MPS, put
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    EgoState,
)

FORWARD_SCALE_M = 50.0
LEFT_SCALE_M = 20.0
PATH_OFFSET_SCALE_M = 5.0
HALF_LENGTH_SCALE_M = 4.0
HALF_WIDTH_SCALE_M = 1.5
HEADWAY_SCALE_S = 5.0
APPROACH_SCALE_M = 10.0

NEAREST_SIGHT_M = 80.0  # of order "nearest"
MOST_NEAREST = 32  # actors considered for the lead, in that order
_BEHIND_PENALTY_M = 15.0  # there, an actor behind counts as this much further away
STATIC_SIGHT_M = 50.0  # along the route
STATIC_BESIDE_M = 1.0  # from the swept width to a thing that still counts as on the route
_LATER_COSTS_M = 3.0  # [m/s] meeting a second later counts as this much further away
_SAME_LEVEL_M = 3.5
_STEEPEST = 0.1  # of the same level, too: a road that climbs one metre in ten (order "approach")
_PATH_MARGIN_M = 0.35  # beside both half widths, still on the path
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
_DEBRIS = int(ActorKind.DEBRIS)

LEAD_FEATURES = ("lead_found", "lead_gap", "lead_speed", "lead_closing", "lead_headway")
ACTOR_FEATURES = (
    "present",
    "forward",
    "left",
    "forward_speed",
    "left_speed",
    "sin",
    "cos",
    "half_length",
    "half_width",
    "is_vehicle",
    "is_pedestrian",
    "path_gap",
    "path_offset",
    "path_speed",
    "path_cross_speed",
)
NUM_ACTOR_FEATURES = len(ACTOR_FEATURES)
# Order "approach" has slots by kind: how near it comes at present speeds, and when, instead
_BY_APPROACH = {"is_vehicle": "approach_distance", "is_pedestrian": "approach_time"}


def actor_features(by_approach: bool) -> tuple[str, ...]:
    """Names of what is said about an actor."""
    if not by_approach:
        return ACTOR_FEATURES
    return tuple(_BY_APPROACH.get(name, name) for name in ACTOR_FEATURES)


class ActorSlots(NamedTuple):
    """Which actors an observation describes, and how many."""

    num_vehicles: int  # order "nearest": actors of any kind
    num_pedestrians: int
    num_statics: int
    by_approach: bool
    sight_m: float


# Which actors ------------------------------------------------------------------------------------


@inlined_function
def _insert(
    slots: NDArray, ranks: NDArray, first: int, count: int, capacity: int, slot: int, rank: float
) -> int:
    """Sort a slot into places [first, first + capacity) by rank; the new number of them filled."""
    if capacity == 0 or (count == capacity and rank >= ranks[first + count - 1]):
        return count
    place = first + (count if count < capacity else capacity - 1)
    while place > first and ranks[place - 1] > rank:
        slots[place], ranks[place] = slots[place - 1], ranks[place - 1]
        place -= 1
    slots[place], ranks[place] = slot, rank
    return min(count + 1, capacity)


@device_function
def find_nearest_actors(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    slots: NDArray,
    ranks: NDArray,
) -> None:
    """Slots in sight of any kind, sorted by distance (those behind later); -1 behind the last."""
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    cos, sin = math.cos(motion.yaw_rad[world, own]), math.sin(motion.yaw_rad[world, own])
    count = 0
    for slot in range(traits.valid.shape[1]):
        if not traits.valid[world, slot] or slot == own or traits.kind[world, slot] == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y
        squared = dx * dx + dy * dy
        if squared > NEAREST_SIGHT_M * NEAREST_SIGHT_M:
            continue
        if abs(motion.z[world, slot] - ego_z) > _SAME_LEVEL_M:
            continue
        rank = math.sqrt(squared)
        if cos * dx + sin * dy < 0.0:
            rank += _BEHIND_PENALTY_M
        count = _insert(slots, ranks, 0, count, slots.shape[0], slot, rank)
    slots[count:] = -1


@inlined_function
def _distance_m(places: NDArray, guess: int, instant: int, x: float, y: float) -> float:
    dx, dy = x - places[guess, instant, 0], y - places[guess, instant, 1]
    return math.sqrt(dx * dx + dy * dy)


@inlined_function
def _approach_m(places: NDArray, x: float, y: float, forward_mps: float, left_mps: float) -> float:
    """How near an actor at (x, y) comes to the ego, whatever the ego does; later counts as more."""
    nearest = math.inf
    for instant in range(NUM_INSTANTS):
        time_s = INSTANT_S * instant
        then_x, then_y = x + forward_mps * time_s, y + left_mps * time_s
        distance = min(
            _distance_m(places, 0, instant, then_x, then_y),
            _distance_m(places, 1, instant, then_x, then_y),
            _distance_m(places, 2, instant, then_x, then_y),
        )
        nearest = min(nearest, distance + _LATER_COSTS_M * time_s)
    return nearest


@device_function
def find_approaching_actors(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    path: EgoRoute,
    wanted: ActorSlots,
    places: NDArray,
    slots: NDArray,
    ranks: NDArray,
) -> None:
    """Slots of vehicles, of pedestrians, and of things on the route; -1 where there is none.

    Vehicles and pedestrians come in the order in which they are near the ego within the next
    seconds, everybody keeping velocity and the ego standing, driving as now or brisker. Standing
    things count only where they narrow the route ahead, nearest first.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw, ego_z = motion.yaw_rad[world, own], motion.z[world, own]
    ego_x, ego_y = motion.x[world, own], motion.y[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    num_vehicles, num_pedestrians, num_statics = 0, 0, 0
    first_static = wanted.num_vehicles + wanted.num_pedestrians
    slots[:] = -1
    for slot in range(traits.valid.shape[1]):
        kind = traits.kind[world, slot]
        if not traits.valid[world, slot] or slot == own or kind == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y
        squared = dx * dx + dy * dy
        if squared > wanted.sight_m * wanted.sight_m:
            continue
        level_m = _SAME_LEVEL_M + _STEEPEST * math.sqrt(squared)
        if abs(motion.z[world, slot] - ego_z) > level_m:
            continue
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        if kind > _PEDESTRIAN:
            if squared > STATIC_SIGHT_M * STATIC_SIGHT_M:
                continue
            s, offset, _ = project_on_window(path.window, path.count, x, y)
            room = traits.half_width_m[world, own] + traits.half_length_m[world, slot]
            if s > path.ego_s - STATIC_BESIDE_M and abs(offset) < room + STATIC_BESIDE_M:
                num_statics = _insert(
                    slots, ranks, first_static, num_statics, wanted.num_statics, slot, s
                )
            continue
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        forward, left = cos * vx + sin * vy, cos * vy - sin * vx
        rank = _approach_m(places, x, y, forward, left)
        if kind == _PEDESTRIAN:
            num_pedestrians = _insert(
                slots, ranks, wanted.num_vehicles, num_pedestrians, wanted.num_pedestrians, slot,
                rank,
            )  # fmt: skip
        else:
            num_vehicles = _insert(slots, ranks, 0, num_vehicles, wanted.num_vehicles, slot, rank)


# What is said about them -------------------------------------------------------------------------


class _AlongRoute(NamedTuple):
    """Where another actor is on the ego's route, and how fast."""

    gap_m: float  # bumper to bumper, negative beside or behind the ego
    offset_m: float  # left is positive
    speed_mps: float
    cross_speed_mps: float  # to the left


@device_function
def _write_actor(
    driver: int,
    slot: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    along: _AlongRoute,
    by_approach: bool,
    places: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """ACTOR_FEATURES of one actor."""
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx = motion.x[world, slot] - motion.x[world, own]
    dy = motion.y[world, slot] - motion.y[world, own]
    vx = motion.vx_mps[world, slot] - motion.vx_mps[world, own]
    vy = motion.vy_mps[world, slot] - motion.vy_mps[world, own]
    angle = motion.yaw_rad[world, slot] - yaw
    kind = traits.kind[world, slot]
    k = put(row, k, 1.0)
    k = put(row, k, (cos * dx + sin * dy) / FORWARD_SCALE_M)
    k = put(row, k, (cos * dy - sin * dx) / LEFT_SCALE_M)
    k = put(row, k, (cos * vx + sin * vy) / SPEED_SCALE_MPS)
    k = put(row, k, (cos * vy - sin * vx) / SPEED_SCALE_MPS)
    k = put(row, k, math.sin(angle))
    k = put(row, k, math.cos(angle))
    k = put(row, k, traits.half_length_m[world, slot] / HALF_LENGTH_SCALE_M)
    k = put(row, k, traits.half_width_m[world, slot] / HALF_WIDTH_SCALE_M)
    if by_approach:
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        forward, left = cos * vx + sin * vy, cos * vy - sin * vx
        nearest, when = math.inf, 0.0
        for instant in range(NUM_INSTANTS):
            time_s = INSTANT_S * instant
            distance = _distance_m(places, 1, instant, x + forward * time_s, y + left * time_s)
            if distance < nearest:
                nearest, when = distance, time_s
        k = put(row, k, nearest / APPROACH_SCALE_M)
        k = put(row, k, when / (INSTANT_S * (NUM_INSTANTS - 1)))
    else:
        k = put(row, k, 1.0 if kind <= LAST_VEHICLE_KIND else 0.0)
        k = put(row, k, 1.0 if kind == _PEDESTRIAN else 0.0)
    k = put(row, k, along.gap_m / FORWARD_SCALE_M)
    k = put(row, k, along.offset_m / PATH_OFFSET_SCALE_M)
    k = put(row, k, along.speed_mps / SPEED_SCALE_MPS)
    return put(row, k, along.cross_speed_mps / SPEED_SCALE_MPS)


@inlined_function
def _write_lead(
    row: NDArray, k: int, gap_m: float, speed_mps: float, ego_speed_mps: float, sight_m: float
) -> None:
    """LEAD_FEATURES; without a lead, at an infinite gap, there is one at the end of sight."""
    if gap_m < math.inf:
        put(row, k, 1.0)
        put(row, k + 1, gap_m / FORWARD_SCALE_M)
        put(row, k + 2, speed_mps / SPEED_SCALE_MPS)
        put(row, k + 3, (ego_speed_mps - speed_mps) / SPEED_SCALE_MPS)
        put(row, k + 4, max(gap_m, 0.0) / max(ego_speed_mps, 1.0) / HEADWAY_SCALE_S)
    else:  # that drives as fast as the ego
        row[k], row[k + 1], row[k + 2], row[k + 3] = 0.0, sight_m / FORWARD_SCALE_M, 1.0, 0.0
        row[k + 4] = 2.0


@device_function
def write_traffic(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    path: EgoRoute,
    wanted: ActorSlots,
    slots: NDArray,
    places: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """LEAD_FEATURES, then ACTOR_FEATURES of the actors found, zeros where there is none.

    `path_gap` is bumper to bumper along the route, negative for those beside or behind. The lead
    is the nearest actor ahead whose box, seen along the route, touches the ego's swept width.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    front, half_width = traits.half_length_m[world, own], traits.half_width_m[world, own]
    ego_speed = cos * motion.vx_mps[world, own] + sin * motion.vy_mps[world, own]
    num_written = wanted.num_vehicles + wanted.num_pedestrians + wanted.num_statics
    lead_gap, lead_speed = math.inf, 0.0
    at = k + 5
    for place in range(slots.shape[0]):
        slot = int(slots[place])
        if slot < 0:
            if place < num_written:
                row[at : at + NUM_ACTOR_FEATURES] = 0.0
                at += NUM_ACTOR_FEATURES
            continue
        dx = motion.x[world, slot] - motion.x[world, own]
        dy = motion.y[world, slot] - motion.y[world, own]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        s, offset, nearest = project_on_window(path.window, path.count, x, y)
        tangent = yaw + path.window[nearest, 3]
        along_x, along_y = math.cos(tangent), math.sin(tangent)
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        speed, cross_speed = along_x * vx + along_y * vy, along_x * vy - along_y * vx
        angle = motion.yaw_rad[world, slot] - tangent
        c, t = abs(math.cos(angle)), abs(math.sin(angle))
        length, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
        gap = s - path.ego_s - front - (c * length + t * width)
        reach = half_width + _PATH_MARGIN_M + t * length + c * width
        if s > path.ego_s and abs(offset) < reach and gap < lead_gap:
            lead_gap, lead_speed = gap, speed
        if place < num_written:
            along = _AlongRoute(gap, offset, speed, cross_speed)
            at = _write_actor(
                driver, slot, motion, traits, ego, along, wanted.by_approach, places, row, at
            )
    _write_lead(row, k, lead_gap, lead_speed, ego_speed, wanted.sight_m)
    return at
