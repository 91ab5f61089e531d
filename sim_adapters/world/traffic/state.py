"""What background traffic remembers: places on the lane graph, drivers, progress, overrides.

Vehicles live on lane centre lines: a short path of lanes, the arc length on the current one and a
lateral offset while they change lanes. All arrays are (B, A) over the actor slots of the scene;
slots outside the vehicle range stay unused. Everything is flat for numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import BoolArray, FloatArray, IntArray
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import TrafficMap, build_traffic_map

LANES_BEHIND = 3  # lanes already left that the body may still cover
CURRENT = LANES_BEHIND  # index of the current lane within a path
PATH_LANES = 16  # length of a path: behind, current and ahead; -1 pads the end

COMPANY_COLUMNS, COMPANY_PIECES = 6, 48  # lanes beside one another, and all of their parts

_NODES_PER_SLOT = 5  # lanes that one body may touch, tail and lane change included


class Places(NamedTuple):
    """Where each vehicle is and how it moves along its path."""

    path: IntArray  # (B, A, PATH_LANES) lanes, [CURRENT] is the current one
    s_m: FloatArray  # centre of the body along the current lane
    speed_mps: FloatArray
    acceleration_mps2: FloatArray  # planned for this step
    half_wheelbase_m: FloatArray  # both axles follow the path
    offset_m: FloatArray  # lateral, left positive; not 0 only during a lane change
    offset_start_m: FloatArray  # where the lane change began
    change_m: FloatArray  # driven since it began
    change_length_m: FloatArray  # over which it takes place
    change_from: IntArray  # lane it leaves, -1 none


class Drivers(NamedTuple):
    """How each driver drives."""

    desired_factor: FloatArray  # times the speed limit
    top_speed_mps: FloatArray
    max_acceleration_mps2: FloatArray
    comfortable_braking_mps2: FloatArray
    headway_s: FloatArray
    min_gap_m: FloatArray


class Progress(NamedTuple):
    """What a driver remembers."""

    reserved_to: IntArray  # path index of the last lane it holds the right to cross; 0 none
    standing_s: FloatArray  # continuously below 0.1 m/s
    arrived_s: FloatArray  # episode time of arrival at the next junction, +inf not yet
    stopped_for: IntArray  # junction lane whose stop sign it has obeyed, -1 none
    changed_at_s: FloatArray  # episode time of its last lane change
    num_draws: IntArray  # of its way at junctions
    generation: IntArray  # how many vehicles this slot has held


class Overrides(NamedTuple):
    """What scenarios impose on a vehicle."""

    brake_until_s: FloatArray  # brakes hard until this episode time
    ignores_lights: BoolArray
    ignores_junctions: BoolArray  # enters whatever comes
    scripted_speed_mps: FloatArray  # desired speed instead of the limit, negative none
    keeps_path: BoolArray  # drives its given path and vanishes at its end
    heeds_nobody: BoolArray  # keeps its scripted speed whoever is in its way
    script: IntArray  # trigger that sent it, where it keeps a path


class Tally(NamedTuple):
    """What happened since the reset, (B,)."""

    crossings: IntArray  # junctions left
    distance_m: FloatArray
    red_entries: IntArray  # junctions entered against a red light
    removed_stuck: IntArray
    removed_at_dead_end: IntArray
    lane_changes: IntArray


class Occupancy(NamedTuple):
    """Scratch: who covers which lane, one linked list a lane; nothing in it survives a step."""

    head: IntArray  # (B, most lanes of a map) first node, -1 none
    num_nodes: IntArray  # (B,)
    next: IntArray  # (B, nodes)
    lane: IntArray
    slot: IntArray
    center_m: FloatArray  # along this lane; may lie beyond its ends
    half_m: FloatArray
    speed_mps: FloatArray  # along this lane
    clearance_m: FloatArray  # from the centre line to the body, 0 for traffic on the lane
    is_projected: BoolArray  # no traffic of ours: on every lane that it comes near


class Reservations(NamedTuple):
    """Scratch: who holds the right to cross which junction lane, one linked list a lane."""

    head: IntArray  # (B, most lanes of a map)
    num_nodes: IntArray  # (B,)
    next: IntArray  # (B, nodes)
    lane: IntArray
    slot: IntArray
    offset_m: FloatArray  # from the vehicle's centre to the start of the lane


class Company(NamedTuple):
    """Scratch: the lanes of the ego's road and direction, and who drives on them; see company.py.

    A column is a lane beside the ego with all that it leads to and comes from; pieces are lanes.
    """

    num_pieces: IntArray  # (B,)
    num_columns: IntArray  # (B,)
    near_junction: BoolArray  # (B,) one is so near that other laws hold
    lane: IntArray  # (B, COMPANY_PIECES)
    column: IntArray
    start_m: FloatArray  # from the ego to the lane's start, negative where it begins behind
    num_ahead: IntArray  # (B, COMPANY_COLUMNS)
    num_behind: IntArray
    first_slot: IntArray  # the farthest ahead, -1 none
    first_m: FloatArray  # and how far it is, 0 none
    last_m: FloatArray  # the farthest behind, negative; 0 none


class Sight(NamedTuple):
    """Scratch: what each driver sees ahead on its path."""

    leader: IntArray  # slot, -1 none
    leader_index: IntArray  # path index where it is
    gap_m: FloatArray  # bumper to bumper, +inf none
    lead_speed_mps: FloatArray
    entry_index: IntArray  # path index of the next junction lane it may not enter yet, 0 none
    entry_m: FloatArray  # from the centre to the start of that lane
    desired_mps: FloatArray  # limit, curves and what comes, times the driver's factor
    wish: NDArray[np.uint8]  # WISH_* of right_of_way


class TrafficState(NamedTuple):
    """All of the above, plus the towns' tables: the handle that kernels of the traffic take."""

    places: Places
    drivers: Drivers
    progress: Progress
    overrides: Overrides
    tally: Tally
    occupancy: Occupancy
    reservations: Reservations
    sight: Sight
    company: Company
    map: TrafficMap


def empty_traffic(num_worlds: int, layout: SlotLayout, maps: MapBank) -> TrafficState:
    """Traffic without vehicles, and the tables of all towns of `maps`."""
    actors = (num_worlds, layout.num_slots)
    lanes = (num_worlds, int(np.diff(maps.ranges.lane).max()))
    nodes = (num_worlds, _NODES_PER_SLOT * layout.num_slots)
    return TrafficState(
        places=_empty_places(actors),
        drivers=Drivers(*(np.zeros(actors) for _ in Drivers._fields)),
        progress=_empty_progress(actors),
        overrides=_empty_overrides(actors),
        tally=_empty_tally(num_worlds),
        occupancy=_empty_occupancy(lanes, nodes),
        reservations=_empty_reservations(lanes, nodes),
        sight=_empty_sight(actors),
        company=_empty_company(num_worlds),
        map=build_traffic_map(maps),
    )


def _ints(shape: tuple[int, ...], value: int = 0) -> IntArray:
    return np.full(shape, value, np.int32)


def _empty_places(actors: tuple[int, int]) -> Places:
    return Places(
        path=_ints((*actors, PATH_LANES), -1),
        s_m=np.zeros(actors),
        speed_mps=np.zeros(actors),
        acceleration_mps2=np.zeros(actors),
        half_wheelbase_m=np.zeros(actors),
        offset_m=np.zeros(actors),
        offset_start_m=np.zeros(actors),
        change_m=np.zeros(actors),
        change_length_m=np.ones(actors),
        change_from=_ints(actors, -1),
    )


def _empty_progress(actors: tuple[int, int]) -> Progress:
    return Progress(
        reserved_to=_ints(actors),
        standing_s=np.zeros(actors),
        arrived_s=np.full(actors, np.inf),
        stopped_for=_ints(actors, -1),
        changed_at_s=np.zeros(actors),
        num_draws=_ints(actors),
        generation=_ints(actors),
    )


def _empty_overrides(actors: tuple[int, int]) -> Overrides:
    return Overrides(
        brake_until_s=np.full(actors, -1.0),
        ignores_lights=np.zeros(actors, np.bool_),
        ignores_junctions=np.zeros(actors, np.bool_),
        scripted_speed_mps=np.full(actors, -1.0),
        keeps_path=np.zeros(actors, np.bool_),
        heeds_nobody=np.zeros(actors, np.bool_),
        script=_ints(actors, -1),
    )


def _empty_tally(num_worlds: int) -> Tally:
    return Tally(
        crossings=_ints((num_worlds,)),
        distance_m=np.zeros(num_worlds),
        red_entries=_ints((num_worlds,)),
        removed_stuck=_ints((num_worlds,)),
        removed_at_dead_end=_ints((num_worlds,)),
        lane_changes=_ints((num_worlds,)),
    )


def _empty_occupancy(lanes: tuple[int, int], nodes: tuple[int, int]) -> Occupancy:
    return Occupancy(
        head=_ints(lanes, -1),
        num_nodes=_ints(lanes[:1]),
        next=_ints(nodes, -1),
        lane=_ints(nodes, -1),
        slot=_ints(nodes, -1),
        center_m=np.zeros(nodes),
        half_m=np.zeros(nodes),
        speed_mps=np.zeros(nodes),
        clearance_m=np.zeros(nodes),
        is_projected=np.zeros(nodes, np.bool_),
    )


def _empty_reservations(lanes: tuple[int, int], nodes: tuple[int, int]) -> Reservations:
    return Reservations(
        head=_ints(lanes, -1),
        num_nodes=_ints(lanes[:1]),
        next=_ints(nodes, -1),
        lane=_ints(nodes, -1),
        slot=_ints(nodes, -1),
        offset_m=np.zeros(nodes),
    )


def _empty_sight(actors: tuple[int, int]) -> Sight:
    return Sight(
        leader=_ints(actors, -1),
        leader_index=_ints(actors),
        gap_m=np.full(actors, np.inf),
        lead_speed_mps=np.zeros(actors),
        entry_index=_ints(actors),
        entry_m=np.zeros(actors),
        desired_mps=np.zeros(actors),
        wish=np.zeros(actors, np.uint8),
    )


def _empty_company(num_worlds: int) -> Company:
    pieces, columns = (num_worlds, COMPANY_PIECES), (num_worlds, COMPANY_COLUMNS)
    return Company(
        num_pieces=_ints((num_worlds,)),
        num_columns=_ints((num_worlds,)),
        near_junction=np.zeros(num_worlds, np.bool_),
        lane=_ints(pieces),
        column=_ints(pieces),
        start_m=np.zeros(pieces),
        num_ahead=_ints(columns),
        num_behind=_ints(columns),
        first_slot=_ints(columns, -1),
        first_m=np.zeros(columns),
        last_m=np.zeros(columns),
    )
