"""What scripted scenarios of a route consist of at run time: triggers and whoever they bring.

A trigger waits for the ego, then plays its script. Scripts are resolved once, at the reset
(`resolution.py`), so that the kernels only compare distances and times.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

DEBRIS_PLACES = 3
STREAM_LANES = 10  # lanes that a stream's vehicles drive through


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
    READY = 1  # actors stand in place
    ACTING = 2
    MEETING = 3  # the ego has come near the meeting point
    OVER = 4


class Triggers(NamedTuple):
    """All triggers of each world, (B, T) unless said otherwise."""

    kind: NDArray[np.uint8]  # ScenarioKind
    x: FloatArray  # [m] trigger point
    y: FloatArray
    z: FloatArray
    phase: NDArray[np.uint8]  # Phase
    since_s: FloatArray  # episode time at which the phase began
    meeting_x: FloatArray  # [m] where the ego and the other party would meet
    meeting_y: FloatArray
    slot: IntArray  # of the crosser or the runner, -1 none
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


class Blockers(NamedTuple):
    """What hides the crosser until it is late, or marks debris, (B, T); prop row -1: nothing."""

    prop: IntArray  # row of the prop catalogue
    x: FloatArray
    y: FloatArray
    yaw_rad: FloatArray
    slot: IntArray  # where it stands, -1 nowhere


class Debris(NamedTuple):
    """Places where debris disturbs the ego, (B, T, DEBRIS_PLACES)."""

    x: FloatArray  # [m]
    y: FloatArray


class Streams(NamedTuple):
    """Vehicles that drive through a junction past the ego, (B, T) unless said otherwise."""

    path: IntArray  # (B, T, STREAM_LANES) lanes, -1 pads the end
    source_m: FloatArray  # along the first lane, where vehicles appear
    meeting_m: FloatArray  # from the source to the meeting point, along the path
    speed_mps: FloatArray
    smallest_gap_m: FloatArray
    largest_gap_m: FloatArray
    next_s: FloatArray  # episode time of the next vehicle
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

    def ints(*extra: int) -> IntArray:
        return np.full((*shape, *extra), -1, np.int32)

    def floats(*extra: int) -> FloatArray:
        return np.zeros((*shape, *extra))

    def codes() -> NDArray[np.uint8]:
        return np.zeros(shape, np.uint8)

    return ScriptBook(
        Triggers(
            kind=codes(),
            x=floats(),
            y=floats(),
            z=floats(),
            phase=codes(),
            since_s=floats(),
            meeting_x=floats(),
            meeting_y=floats(),
            slot=ints(),
            actor_id=np.zeros(shape, np.int64),
        ),
        Crossers(codes(), ints(), *(floats() for _ in range(7))),
        Blockers(ints(), floats(), floats(), floats(), ints()),
        Debris(floats(DEBRIS_PLACES), floats(DEBRIS_PLACES)),
        Streams(
            path=ints(STREAM_LANES),
            source_m=floats(),
            meeting_m=floats(),
            speed_mps=floats(),
            smallest_gap_m=floats(),
            largest_gap_m=floats(),
            next_s=floats(),
            own_light=ints(),
            stream_light=ints(),
            group=ints(),
        ),
    )


def clear_scripts(book: ScriptBook, world: int) -> None:
    """Remove all triggers of a world."""
    for struct in book:
        for array in struct:
            array[world] = -1 if array.dtype == np.int32 else 0
