"""What scripted scenarios of a route consist of at run time: triggers and whoever they bring.

A trigger waits for the ego, then plays its script. Scripts are resolved once, at the reset
(`resolution.py`), so that the kernels only compare distances and times.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import BoolArray, FloatArray, IntArray

DEBRIS_PLACES = 3
STREAM_LANES = 12  # lanes that a stream's vehicles drive through
CLEAR_LANES = 12  # lanes beside those that a stream keeps free of other traffic


class ScenarioKind(IntEnum):
    """The seven scenario types of longest6 v2."""

    NONE = 0
    CONTROL_LOSS = 1
    HARD_BREAK = 2
    OBJECT_CROSSING = 3
    VEHICLE_TURNING = 4
    LEFT_TURN = 5
    RIGHT_TURN = 6
    RED_LIGHT_RUNNER = 7


class Phase(IntEnum):
    """Where a script stands."""

    WAITING = 0  # for the ego to reach the trigger point
    READY = 1  # actors stand in place, or a stream has its head start
    ACTING = 2
    MEETING = 3  # the ego is in the junction
    LEAVING = 4  # the ego has left it
    OVER = 5


class Triggers(NamedTuple):
    """All triggers of each world, (B, T) unless said otherwise."""

    kind: NDArray[np.uint8]  # ScenarioKind
    x: FloatArray  # [m] trigger point
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # the route's direction there
    phase: NDArray[np.uint8]  # Phase
    since_s: FloatArray  # episode time at which the phase began
    began_s: FloatArray  # episode time at which the ego reached the trigger
    is_set_up: BoolArray  # what stands there before the ego comes stands there
    is_timed_out: BoolArray  # ended because the ego did not get past it in time
    meeting_x: FloatArray  # [m] where the ego and the other party would meet
    meeting_y: FloatArray
    slot: IntArray  # of the crosser or the newest car of a stream, -1 none
    actor_id: NDArray[np.int64]  # who that was, so that a reused slot is left alone


class Crossers(NamedTuple):
    """Somebody who crosses the road in front of the ego, (B, T)."""

    kind: NDArray[np.uint8]  # ActorKind
    body: IntArray  # row of the walker or vehicle catalogue
    start_x: FloatArray  # [m]
    start_y: FloatArray
    end_x: FloatArray
    end_y: FloatArray
    z: FloatArray
    speed_mps: FloatArray
    reaction_s: FloatArray  # starts when the ego is this far in time from the meeting point
    space_m: FloatArray  # of free lane ahead of the ego that it is given at the trigger


class Blockers(NamedTuple):
    """What hides the crosser until it is late, (B, T); prop row -1: nothing."""

    prop: IntArray  # row of the prop catalogue
    x: FloatArray
    y: FloatArray
    yaw_rad: FloatArray
    slot: IntArray  # where it stands, -1 nowhere


class Debris(NamedTuple):
    """Places where debris lies and disturbs the ego, (B, T, DEBRIS_PLACES)."""

    x: FloatArray  # [m]
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray
    slot: IntArray  # where it lies, -1 nowhere


class Streams(NamedTuple):
    """Vehicles that drive through a junction past the ego, (B, T) unless said otherwise."""

    path: IntArray  # (B, T, STREAM_LANES) lanes from source to sink, -1 pads the end
    clear: IntArray  # (B, T, CLEAR_LANES) further lanes that other traffic leaves, -1 pads the end
    junction: IntArray  # global index of the junction, -1 none
    source_m: FloatArray  # along the first lane, where vehicles appear
    source_x: FloatArray  # [m] the same place
    source_y: FloatArray
    sink_x: FloatArray  # [m] where they vanish
    sink_y: FloatArray
    exit_x: FloatArray  # [m] where the ego's route leaves the junction
    exit_y: FloatArray
    exit_yaw_rad: FloatArray
    exit_space_m: FloatArray  # of the ego's way after the junction that is freed at the trigger
    started_s: FloatArray  # episode time at which the runner has started
    crossing_s: FloatArray  # a runner is gone so long after its start
    speed_mps: FloatArray
    smallest_gap_m: FloatArray
    largest_gap_m: FloatArray
    next_gap_m: FloatArray  # how far the newest car has to be from the source for another one
    newest: IntArray  # number of the newest car from 0 on, -1 none yet
    due: IntArray  # lane of the path on which a vehicle is to appear now, -1 none
    due_m: FloatArray  # along it
    way_m: FloatArray  # from the source to the sink
    filled_m: FloatArray  # of it, when cars are set all along it at the start
    is_touched: BoolArray  # one of its cars has hit somebody: they heed others from then on
    left_m: FloatArray  # driven by the ego since it left the junction
    own_light: IntArray  # light of the ego's arm within the map, -1 none
    stream_light: IntArray  # light of the stream's arm
    group: IntArray  # signal group of the junction (global), -1 none


class ScriptBook(NamedTuple):
    """All of the above; Python passes the members to the kernels."""

    triggers: Triggers
    crossers: Crossers
    blockers: Blockers
    debris: Debris
    streams: Streams


def empty_script_book(num_worlds: int, num_triggers: int) -> ScriptBook:
    """No triggers."""
    shape = (num_worlds, num_triggers)
    extra = {"path": (STREAM_LANES,), "clear": (CLEAR_LANES,)}
    integers = {"slot", "actor_id", "body", "prop", "path", "clear", "junction", "newest", "due"}
    integers |= {"own_light", "stream_light", "group"}
    codes, flags = {"kind", "phase"}, {"is_set_up", "is_timed_out", "is_touched"}

    def column(struct: type, name: str) -> Any:
        size = (DEBRIS_PLACES,) if struct is Debris else extra.get(name, ())
        if name == "actor_id":
            return np.zeros(shape, np.int64)
        if name in codes:
            return np.zeros(shape, np.uint8)
        if name in flags:
            return np.zeros(shape, np.bool_)
        if name in integers:
            return np.full((*shape, *size), -1, np.int32)
        return np.zeros((*shape, *size))

    def filled(struct: Any) -> Any:
        return struct(*(column(struct, name) for name in struct._fields))

    return ScriptBook(*(filled(s) for s in (Triggers, Crossers, Blockers, Debris, Streams)))


def clear_scripts(book: ScriptBook, world: int) -> None:
    """Remove all triggers of a world."""
    for struct in book:
        for array in struct:
            array[world] = -1 if array.dtype == np.int32 else 0
