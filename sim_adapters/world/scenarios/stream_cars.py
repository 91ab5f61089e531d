"""The cars of a junction script: how they appear, drive, and vanish.

scenario_runner's ActorFlow: a car appears at the source when the newest is a drawn gap away, drives
at a constant speed heeding nobody, and vanishes at the sink. After the first contact of any of them
all heed others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneLinks,
    LanePoints,
    Lanes,
    MapRanges,
    Signals,
)
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Contacts
from sim_adapters.world.contacts import penetration
from sim_adapters.world.pedestrian_state import lane_place
from sim_adapters.world.scenarios.crossers import last_free_slot
from sim_adapters.world.scenarios.state import STREAM_LANES, Streams
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.spawn import spawn_vehicle
from sim_adapters.world.traffic.state import (
    CURRENT,
    Drivers,
    Overrides,
    Places,
    Progress,
    Sight,
)
from sim_adapters.world.vehicle_catalogue import FIRST_VEHICLE_OF_KIND, VEHICLE_HALF_LENGTH_M

SINK_M = 2.0  # cars nearer to their sink vanish
APART_M = 0.5  # between a new car and whatever stands there
TOUCH_GAP_M = 0.5  # who drives further ahead than this is not looked at for a contact
_FIRST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR])
_LAST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR + 1])
_DRAW_GAP, DRAW_CAR = 2401, 2402


class Roads(NamedTuple):
    """The towns as scripts read them."""

    ranges: MapRanges
    grid: LaneGrid
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    signals: Signals
    table: TrafficMap


class Cast(NamedTuple):
    """Vehicles and what moves them, (B, A); contacts are the ego's, (E, K)."""

    motion: ActorMotion
    traits: ActorTraits
    contacts: Contacts
    places: Places
    drivers: Drivers
    progress: Progress
    overrides: Overrides
    sight: Sight


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
def appear_on_path(
    roads: Roads,
    cast: Cast,
    streams: Streams,
    layout: SlotLayout,
    seed: np.uint64,
    world: int,
    row: int,
    index: int,
    s_m: float,
    model: int,
    speed_mps: float,
) -> int:
    """A vehicle on the `index`-th lane of a script's path, if there is room; its slot, or -1."""
    slot = last_free_slot(cast.traits, world, layout.first_vehicle, layout.first_pedestrian)
    lane = int(streams.path[world, row, index])
    if slot < 0 or lane < 0:
        return -1
    x, y, _, _ = lane_place(roads.points, roads.lanes, lane, s_m, 0.0)
    half_length_m = float(VEHICLE_HALF_LENGTH_M[model])
    if not spot_is_empty(cast.traits, cast.motion, world, x, y, half_length_m):
        return -1
    spawn_vehicle(
        roads.points, roads.lanes, roads.links, roads.table, cast.motion, cast.traits, cast.places,
        cast.drivers, cast.progress, cast.overrides, world, slot, seed, model, lane, s_m,
        speed_mps,
    )  # fmt: skip
    return slot


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
def send_car(
    roads: Roads,
    cast: Cast,
    streams: Streams,
    layout: SlotLayout,
    seed: np.uint64,
    world: int,
    row: int,
    index: int,
    s_m: float,
) -> bool:
    """One more car of a stream; False if there is no slot or no room for it."""
    number = int(streams.newest[world, row]) + 1
    model = _FIRST_CAR + int(uniform(seed, number, row, DRAW_CAR) * (_LAST_CAR - _FIRST_CAR))
    speed_mps = float(streams.speed_mps[world, row])
    slot = appear_on_path(
        roads, cast, streams, layout, seed, world, row, index, s_m, model, speed_mps
    )
    if slot < 0:
        return False
    put_on_script(cast.places, cast.overrides, streams, world, row, index, slot, speed_mps)
    streams.newest[world, row] = number
    draw_gap(streams, seed, world, row)
    return True


@device_function
def fill_path(
    roads: Roads,
    cast: Cast,
    streams: Streams,
    layout: SlotLayout,
    seed: np.uint64,
    world: int,
    row: int,
) -> None:
    """Cars all along the way at the start, outside junctions (ActorFlow's initial_actors)."""
    since_m = 0.0
    for index in range(STREAM_LANES):
        lane = int(streams.path[world, row, index])
        if lane < 0:
            break
        s_m = float(streams.source_m[world, row]) if index == 0 else 0.0
        while s_m < roads.lanes.length_m[lane]:
            x, y, _, _ = lane_place(roads.points, roads.lanes, lane, s_m, 0.0)
            to_sink = math.hypot(x - streams.sink_x[world, row], y - streams.sink_y[world, row])
            if to_sink < SINK_M + 1.0:
                return
            is_due = since_m >= streams.next_gap_m[world, row] and roads.lanes.junction[lane] < 0
            if is_due and send_car(roads, cast, streams, layout, seed, world, row, index, s_m):
                since_m = 0.0
            s_m, since_m = s_m + 1.0, since_m + 1.0


@device_function
def has_touched(cast: Cast, world: int, slot: int) -> bool:
    """Whether a stream's car has hit the ego, or whoever drives ahead of it."""
    contacts, motion, traits = cast.contacts, cast.motion, cast.traits
    for index in range(contacts.other_slot.shape[1]):
        if contacts.other_slot[world, index] == slot:
            return True
    other = cast.sight.leader[world, slot]
    if other < 0 or cast.sight.gap_m[world, slot] > TOUCH_GAP_M or not traits.valid[world, other]:
        return False
    depth, _, _ = penetration(
        motion.x[world, other] - motion.x[world, slot],
        motion.y[world, other] - motion.y[world, slot],
        motion.yaw_rad[world, slot],
        traits.half_length_m[world, slot],
        traits.half_width_m[world, slot],
        motion.yaw_rad[world, other],
        traits.half_length_m[world, other],
        traits.half_width_m[world, other],
    )
    return depth > 0.0


@device_function
def direct_cars(
    cast: Cast, streams: Streams, layout: SlotLayout, world: int, row: int, all_go: bool
) -> float:
    """Let a script's cars vanish at their sink and heed others after a contact.

    Returns:
        Distance [m] of the nearest one from the source, +inf if there is none.
    """
    motion, traits, overrides = cast.motion, cast.traits, cast.overrides
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
        if not streams.is_touched[world, row] and has_touched(cast, world, slot):
            streams.is_touched[world, row] = True
        away_m = math.hypot(x - streams.source_x[world, row], y - streams.source_y[world, row])
        nearest_m = min(nearest_m, away_m)
    if streams.is_touched[world, row]:
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            if overrides.keeps_path[world, slot] and overrides.script[world, slot] == row:
                overrides.heeds_nobody[world, slot] = False
    return nearest_m
