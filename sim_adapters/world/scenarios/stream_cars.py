"""The cars of a junction script: how they appear, drive, and vanish.

scenario_runner's ActorFlow: a car appears at the source when the newest is a drawn gap away, drives
at a constant speed heeding nobody, and vanishes at the sink. After the first contact of any of them
all heed others.

Scripts only say that a car is due (`Streams.due`), and `send_due` alone makes vehicles: handing all
that a vehicle consists of from function to function doubled the time that scripts take to compile.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import Lanes
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Clocks, Contacts
from sim_adapters.world.contacts import overlap
from sim_adapters.world.pedestrian_state import lane_place
from sim_adapters.world.scenarios.crossers import last_free_slot
from sim_adapters.world.scenarios.state import STREAM_LANES, ScenarioKind, Streams, Triggers
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.spawn import Cast, spawn_vehicle
from sim_adapters.world.traffic.state import CURRENT, Overrides, Places
from sim_adapters.world.vehicle_catalogue import (
    FIRST_VEHICLE_OF_KIND,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_NAMES,
)

SINK_M = 2.0  # cars nearer to their sink vanish
APART_M = 0.5  # between a new car and whatever stands there
_FIRST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR])
_LAST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR + 1])
_EMERGENCY = np.array(
    [
        VEHICLE_NAMES.index(name)
        for name in (
            "carlamotors.firetruck",
            "dodge.charger_police",
            "dodge.charger_police_2020",
            "ford.ambulance",
        )
    ]
)
_RUNNER, _HARD_BREAK = int(ScenarioKind.RED_LIGHT_RUNNER), int(ScenarioKind.HARD_BREAK)
_DRAW_GAP, _DRAW_CAR = 2401, 2402


@device_function
def spot_is_empty(
    traits: ActorTraits, motion: ActorMotion, world: int, x: float, y: float, half_length_m: float
) -> bool:
    """Whether nothing stands where a car is to appear; nobody has to brake for it."""
    for slot in range(traits.valid.shape[1]):
        if traits.valid[world, slot]:
            dx, dy = motion.x[world, slot] - x, motion.y[world, slot] - y
            reach = half_length_m + traits.half_length_m[world, slot] + APART_M
            if dx * dx + dy * dy < reach * reach:
                return False
    return True


@device_function
def put_on_script(
    places: Places,
    overrides: Overrides,
    streams: Streams,
    world: int,
    row: int,
    index: int,
    slot: int,
    speed_mps: float,
) -> None:
    """Give a vehicle on the `index`-th lane the script's way and a speed, and nobody to heed."""
    path = places.path[world, slot]
    path[CURRENT + 1 :] = -1
    for ahead in range(index + 1, STREAM_LANES):
        path[CURRENT + ahead - index] = streams.path[world, row, ahead]
    overrides.script[world, slot] = row
    overrides.ignores_lights[world, slot] = True
    overrides.ignores_junctions[world, slot] = True
    overrides.keeps_path[world, slot] = True
    overrides.heeds_nobody[world, slot] = not streams.is_touched[world, row]
    overrides.scripted_speed_mps[world, slot] = speed_mps


@device_function
def draw_gap(streams: Streams, seed: np.uint64, world: int, row: int) -> None:
    """How far the newest car has to be from the source for the next one."""
    smallest, largest = streams.smallest_gap_m[world, row], streams.largest_gap_m[world, row]
    share = uniform(seed, int(streams.newest[world, row]) + 1, row, _DRAW_GAP)
    streams.next_gap_m[world, row] = smallest + (largest - smallest) * share


@device_function
def fill_further(lanes: Lanes, streams: Streams, world: int, row: int) -> None:
    """Say where the next car of a way that is filled at the start is due (initial_actors).

    A gap beyond the last, not inside a junction; -1 lanes at the sink.
    """
    along_m = streams.filled_m[world, row] + streams.next_gap_m[world, row]
    streams.due[world, row] = -1
    begin_m = -streams.source_m[world, row]  # of the lane, along the way
    for index in range(STREAM_LANES):
        lane = streams.path[world, row, index]
        if lane < 0 or along_m > streams.way_m[world, row] - SINK_M:
            return
        end_m = begin_m + lanes.length_m[lane]
        if along_m < end_m and lanes.junction[lane] < 0:
            streams.due[world, row] = index
            streams.due_m[world, row] = along_m - begin_m
            streams.filled_m[world, row] = along_m
            return
        if lanes.junction[lane] >= 0:
            along_m = max(along_m, end_m)
        begin_m = end_m


@device_function
def send_due(
    cast: Cast,
    clocks: Clocks,
    triggers: Triggers,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
    speed_mps: float,
) -> None:
    """Make the vehicle that a script has due, if there is a slot and the spot is empty.

    Args:
        cast: What it consists of.
        clocks: Of the worlds.
        triggers: The script's, with its kind.
        streams: The script's, with the place.
        layout: Of slots.
        world: Whose script.
        row: Which script.
        speed_mps: Of a vehicle that is to be traffic like any other.
    """
    motion, traits, places, overrides = cast.motion, cast.traits, cast.places, cast.overrides
    points, lanes = cast.points, cast.lanes
    seed, kind = clocks.seed[world], triggers.kind[world, row]
    index, s_m = int(streams.due[world, row]), float(streams.due_m[world, row])
    streams.due[world, row] = -1
    number = int(streams.newest[world, row]) + 1
    share = uniform(seed, number, row, _DRAW_CAR)
    model = _FIRST_CAR + int(share * (_LAST_CAR - _FIRST_CAR))
    if kind == _RUNNER:
        model = int(_EMERGENCY[int(share * _EMERGENCY.shape[0])])
    slot = last_free_slot(traits, world, layout.first_vehicle, layout.first_pedestrian)
    lane = int(streams.path[world, row, index])
    if slot < 0 or lane < 0:
        return
    x, y, _, _ = lane_place(points, lanes, lane, s_m, 0.0)
    if not spot_is_empty(traits, motion, world, x, y, float(VEHICLE_HALF_LENGTH_M[model])):
        return
    if kind == _RUNNER:
        speed_mps = 0.0
    elif kind != _HARD_BREAK:
        speed_mps = float(streams.speed_mps[world, row])
    spawn_vehicle(cast, world, slot, seed, model, lane, s_m, speed_mps)
    triggers.slot[world, row] = slot
    triggers.actor_id[world, row] = traits.actor_id[world, slot]
    if kind != _HARD_BREAK:
        put_on_script(places, overrides, streams, world, row, index, slot, speed_mps)
    if kind not in (_HARD_BREAK, _RUNNER):
        streams.newest[world, row] = number
        draw_gap(streams, seed, world, row)


@device_function
def has_touched(
    motion: ActorMotion, traits: ActorTraits, contacts: Contacts, world: int, slot: int
) -> bool:
    """Whether a stream's car has hit the ego or any other actor, of another stream too."""
    for index in range(contacts.other_slot.shape[1]):
        if contacts.other_slot[world, index] == slot:
            return True
    for other in range(1, traits.valid.shape[1]):
        depth, _, _ = overlap(world, slot, other, motion, traits)
        if depth > 0.0:
            return True
    return False


@device_function
def direct_cars(
    motion: ActorMotion,
    traits: ActorTraits,
    contacts: Contacts,
    overrides: Overrides,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
    all_go: bool,
) -> float:
    """Let a script's cars vanish at their sink and heed others after a contact.

    Returns:
        Distance [m] of the nearest one from the source, +inf if there is none.
    """
    nearest_m = np.inf
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        is_ours = overrides.keeps_path[world, slot] and overrides.script[world, slot] == row
        if not traits.valid[world, slot] or not is_ours:
            continue
        x, y = motion.x[world, slot], motion.y[world, slot]
        to_sink = math.hypot(x - streams.sink_x[world, row], y - streams.sink_y[world, row])
        if all_go or to_sink < SINK_M:
            clear_slot(motion, traits, world, slot)
            continue
        if has_touched(motion, traits, contacts, world, slot):
            streams.is_touched[world, row] = True
        away_m = math.hypot(x - streams.source_x[world, row], y - streams.source_y[world, row])
        nearest_m = min(nearest_m, away_m)
    if streams.is_touched[world, row]:
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            if overrides.keeps_path[world, slot] and overrides.script[world, slot] == row:
                overrides.heeds_nobody[world, slot] = False
    return nearest_m
