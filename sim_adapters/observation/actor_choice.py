"""Which actors a vector observation describes, and in which order."""

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
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, EgoState

NEAREST_SIGHT_M = 80.0  # of order "nearest"
MOST_NEAREST = 32  # actors considered for the lead, in that order
_BEHIND_PENALTY_M = 15.0  # there, an actor behind counts as this much further away
STATIC_SIGHT_M = 50.0  # along the route
STATIC_BESIDE_M = 1.0  # from the swept width to a thing that still counts as on the route
_LATER_COSTS_M = 3.0  # [m/s] meeting a second later counts as this much further away
_SAME_LEVEL_M = 3.5
_STEEPEST = 0.1  # of the same level, too: a road that climbs one metre in ten (order "approach")
_DEBRIS = int(ActorKind.DEBRIS)
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)


class ActorSlots(NamedTuple):
    """Which actors an observation describes, and how many."""

    num_vehicles: int  # order "nearest": actors of any kind
    num_pedestrians: int
    num_statics: int
    by_approach: bool
    sight_m: float
    conflicts: bool  # CONFLICT_FEATURES follow those of an actor


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
def distance_m(places: NDArray, guess: int, instant: int, x: float, y: float) -> float:
    """From a point of the ego frame to where a guess of `predict_ego` has the ego at an instant."""
    dx, dy = x - places[guess, instant, 0], y - places[guess, instant, 1]
    return math.sqrt(dx * dx + dy * dy)


@inlined_function
def _approach_m(places: NDArray, x: float, y: float, forward_mps: float, left_mps: float) -> float:
    """How near an actor at (x, y) comes to the ego, whatever the ego does; later counts as more."""
    nearest = math.inf
    for instant in range(NUM_INSTANTS):
        time_s = INSTANT_S * instant
        then_x, then_y = x + forward_mps * time_s, y + left_mps * time_s
        for guess in range(places.shape[0]):
            distance = distance_m(places, guess, instant, then_x, then_y)
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
    ego_x, ego_y, ego_z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    cos, sin = math.cos(motion.yaw_rad[world, own]), math.sin(motion.yaw_rad[world, own])
    num_vehicles, num_pedestrians, num_statics = 0, 0, 0
    first = wanted.num_vehicles + wanted.num_pedestrians  # place of a thing
    slots[:] = -1
    for slot in range(traits.valid.shape[1]):
        kind = traits.kind[world, slot]
        if not traits.valid[world, slot] or slot == own or kind == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y
        squared = dx * dx + dy * dy
        if squared > wanted.sight_m * wanted.sight_m:
            continue
        if abs(motion.z[world, slot] - ego_z) > _SAME_LEVEL_M + _STEEPEST * math.sqrt(squared):
            continue
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        if kind > _PEDESTRIAN:
            if squared > STATIC_SIGHT_M * STATIC_SIGHT_M:
                continue
            s, offset, _ = project_on_window(path.window, path.count, x, y)
            room = traits.half_width_m[world, own] + traits.half_length_m[world, slot]
            if s > path.ego_s - STATIC_BESIDE_M and abs(offset) < room + STATIC_BESIDE_M:
                num_statics = _insert(slots, ranks, first, num_statics, wanted.num_statics, slot, s)
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
