"""Pedestrians around the ego: they appear, walk, cross and vanish (see `pedestrian_steps`)."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import LanePoints, Lanes
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.pedestrian_state import (
    GO_STRAIGHT,
    WAIT,
    WALK,
    PedestrianSettings,
    Walkers,
    place_pedestrian,
)
from sim_adapters.world.pedestrian_steps import go_straight, wait, walk
from sim_adapters.world.sidewalks import Footways, Sidewalks
from sim_adapters.world.slots import SlotRange, clear_slot

RESET_NEAREST_M = 5.0  # to the ego, for people who are there from the start
_RESET_DRAWS, _STEP_DRAWS = 150, 6  # per wanted pedestrian, per step
_FIRST_STEP_DRAW = 1_000_000
_DRAW_PLACE = 2201


class Attempts(NamedTuple):
    """Tries to let somebody appear at a random place."""

    first_draw: int  # their numbers as random draws
    number: int
    nearest_m: float  # to the ego


@device_function
def _keep_up(
    points: LanePoints,
    lanes: Lanes,
    scene: WorldScene,
    walkers: Walkers,
    sidewalks: Sidewalks,
    settings: PedestrianSettings,
    slots: SlotRange,
    world: int,
    attempts: Attempts,
) -> None:
    """Take away who is far from the ego and let new people appear around it."""
    motion, traits, clocks = scene.motion, scene.traits, scene.clocks
    ego_x, ego_y, ego_z = motion.x[world, 0], motion.y[world, 0], motion.z[world, 0]
    count, free = 0, -1
    for slot in range(slots.first, slots.last):
        if traits.valid[world, slot]:
            away = math.hypot(motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y)
            if away > settings.despawn_m:
                clear_slot(motion, traits, world, slot)
            else:
                count += 1
        if not traits.valid[world, slot]:
            free = slot
    map_index, seed = clocks.map_index[world], clocks.seed[world]
    first, last = sidewalks.point_first[map_index], sidewalks.point_first[map_index + 1]
    if first == last:
        return
    for draw in range(attempts.first_draw, attempts.first_draw + attempts.number):
        if count >= settings.num_pedestrians or free < 0:
            return
        row = first + int(uniform(seed, draw, 0, _DRAW_PLACE) * (last - first))
        point = int(sidewalks.point[row])
        away = math.hypot(points.x[point] - ego_x, points.y[point] - ego_y)
        if attempts.nearest_m < away < settings.radius_m and abs(points.z[point] - ego_z) < 8.0:
            place_pedestrian(points, lanes, motion, traits, walkers, world, free, seed, point)
            count += 1
            free = -1
            for slot in range(slots.first, slots.last):
                if not traits.valid[world, slot]:
                    free = slot


@range_kernel
def reset_pedestrians_range(
    first: int,
    last: int,
    roads: LaneGraph,
    scene: WorldScene,
    walkers: Walkers,
    footways: Footways,
    settings: PedestrianSettings,
    slots: SlotRange,
) -> None:
    """Let people appear around the ego of worlds `first` to `last`; the ego must be in place."""
    attempts = Attempts(0, _RESET_DRAWS * settings.num_pedestrians, RESET_NEAREST_M)
    for world in range(first, last):
        for slot in range(slots.first, slots.last):
            clear_slot(scene.motion, scene.traits, world, slot)
            walkers.generation[world, slot] = 0
            walkers.mode[world, slot] = WALK
        _keep_up(
            roads.points, roads.lanes, scene, walkers, footways.sidewalks, settings, slots, world,
            attempts,
        )  # fmt: skip


@range_kernel
def step_pedestrians_range(
    first: int,
    last: int,
    roads: LaneGraph,
    scene: WorldScene,
    walkers: Walkers,
    footways: Footways,
    settings: PedestrianSettings,
    slots: SlotRange,
    dt: float,
) -> None:
    """One step of everybody in these slots of worlds `first` to `last`."""
    points, lanes = roads.points, roads.lanes
    motion, traits, lights, clocks = scene.motion, scene.traits, scene.lights, scene.clocks
    sidewalks, crossings = footways.sidewalks, footways.crossings
    for world in range(first, last):
        tick = round(clocks.elapsed_s[world] / dt)
        first_signal = int(roads.ranges.signal[clocks.map_index[world]])
        for slot in range(slots.first, slots.last):
            if not traits.valid[world, slot]:
                continue
            mode = walkers.mode[world, slot]
            if mode == WALK:
                walk(points, lanes, motion, clocks, walkers, sidewalks, settings, world, slot, dt)
            elif mode == WAIT:
                wait(motion, traits, lights, walkers, crossings, world, slot, first_signal, dt)
            elif mode == GO_STRAIGHT:
                go_straight(points, lanes, motion, traits, walkers, world, slot, dt)
        first_draw = _FIRST_STEP_DRAW + tick * _STEP_DRAWS
        attempts = Attempts(first_draw, _STEP_DRAWS, settings.out_of_view_m)
        _keep_up(points, lanes, scene, walkers, sidewalks, settings, slots, world, attempts)
