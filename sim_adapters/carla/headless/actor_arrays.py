"""The numbers of all actors, one row an actor, as kernels and the wire want them.

Rows are compact: the last row moves into the place of a destroyed actor. Blocks are two-dimensional
so that the wire reads one slice; kernels get them as NamedTuples of rows.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import BoolArray, FloatArray, IntArray

# The bytes of a world snapshot: one header and one packed record of 119 bytes an actor.
#
# Field offsets were found by running the real client 0.9.15 and 0.9.16 against them.

SENSOR_HEADER = struct.Struct("<QQd6f")  # sensor type, frame, elapsed [s], pose of the sensor
EPISODE_HEADER = struct.Struct("<Qdf3iI")  # episode, platform time, delta, map origin, flags
MAP_CHANGED = 1
ACTOR_ACTIVE = 1
SIGN_ID_BYTES = 32

_FIELDS: tuple[tuple[str, int, str | tuple[str, tuple[int, ...]]], ...] = (
    ("id", 0, "<u4"),
    ("state", 4, "u1"),
    ("kinematics", 5, ("<f4", (15,))),  # pose, then motion
    ("pose", 5, ("<f4", (6,))),
    # From here on fields of different kinds of actors overlap
    ("control", 65, ("<f4", (3,))),  # vehicles: throttle, steer, brake
    ("hand_brake", 77, "u1"),
    ("reverse", 78, "u1"),
    ("manual_gear", 79, "u1"),
    ("gear", 80, "<i4"),
    ("speed_limit", 84, "<f4"),  # km/h
    ("light_state", 88, "u1"),
    ("has_light", 89, "u1"),
    ("light_id", 90, "<u4"),
    ("failure", 94, "u1"),
    ("walk_direction", 65, ("<f4", (3,))),  # walkers
    ("walk_speed", 77, "<f4"),
    ("walk_jump", 81, "u1"),
    ("sign_id", 65, f"S{SIGN_ID_BYTES}"),  # lights and signs
    ("green_s", 97, "<f4"),
    ("yellow_s", 101, "<f4"),
    ("red_s", 105, "<f4"),
    ("elapsed_s", 109, "<f4"),
    ("pole_index", 113, "<u4"),
    ("frozen", 117, "u1"),
    ("signal_state", 118, "u1"),
)
ACTOR_RECORD = np.dtype(
    {
        "names": [name for name, _, _ in _FIELDS],
        "offsets": [offset for _, offset, _ in _FIELDS],
        "formats": [form for _, _, form in _FIELDS],
        "itemsize": 119,
    }
)


_FIRST_CAPACITY = 256


class Kind(IntEnum):
    """What a row is; everything up to PROP has a body."""

    VEHICLE = 0
    WALKER = 1
    PROP = 2
    LIGHT = 3
    SIGN = 4
    SENSOR = 5
    OTHER = 6


class Pose(NamedTuple):
    """World pose of the actor's origin, see `frame`."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    pitch: FloatArray
    yaw: FloatArray
    roll: FloatArray


class Motion(NamedTuple):
    """World-frame rates."""

    vx: FloatArray  # [m/s]
    vy: FloatArray
    vz: FloatArray
    wx: FloatArray  # [rad/s]
    wy: FloatArray
    wz: FloatArray
    ax: FloatArray  # [m/s^2]
    ay: FloatArray
    az: FloatArray


class Body(NamedTuple):
    """Kind, box and mass."""

    kind: NDArray[np.uint8]
    half_length: FloatArray  # [m]
    half_width: FloatArray
    half_height: FloatArray
    center_x: FloatArray  # [m] box centre in the actor's frame
    center_y: FloatArray
    center_z: FloatArray
    mass: FloatArray  # [kg]
    is_simulated: BoolArray  # physics on: the server moves it
    is_solid: BoolArray  # takes part in collisions


class Driving(NamedTuple):
    """Controls of a vehicle and what it remembers; a walker uses the velocity it wants."""

    throttle: FloatArray  # [0, 1]
    steer: FloatArray  # [-1, 1], left positive
    brake: FloatArray  # [0, 1], the hand brake included
    is_reverse: BoolArray
    speed: FloatArray  # [m/s] along the direction of travel, negative backwards
    held_speed: FloatArray  # [m/s] constant speed that overrides the controls, NaN none
    gear: IntArray
    shift_substeps_left: IntArray
    reported_gear: IntArray  # -1 reverse, 0 while shifting


class Walking(NamedTuple):
    """What a walker wants to do."""

    vx: FloatArray  # [m/s]
    vy: FloatArray


class Mount(NamedTuple):
    """What holds an actor: the parent that it sits on, or the ground."""

    parent_row: IntArray  # -1: not attached
    x: FloatArray
    y: FloatArray
    z: FloatArray
    pitch: FloatArray
    yaw: FloatArray
    roll: FloatArray
    ground_z: FloatArray  # [m] of the road that it left, or of the nearest; NaN not looked up yet


class ActorColumns(NamedTuple):
    """All actors as kernels take them, rows 0 to `ActorArrays.count`."""

    pose: Pose
    motion: Motion
    body: Body
    driving: Driving
    walking: Walking
    mount: Mount


class ActorArrays:
    """Growing columns of all actors; rows 0 to `count` are in use."""

    def __init__(self) -> None:
        self.count = 0
        self._allocate(_FIRST_CAPACITY)

    def _allocate(self, capacity: int) -> None:
        self.capacity = capacity
        self.kinematics = np.zeros((15, capacity))  # as they follow one another on the wire
        self.pose_block, self.motion_block = self.kinematics[:6], self.kinematics[6:]
        self.pose = Pose(*self.pose_block)
        self.motion = Motion(*self.motion_block)
        self.body = Body(
            kind=np.full(capacity, Kind.OTHER, np.uint8),
            half_length=np.zeros(capacity),
            half_width=np.zeros(capacity),
            half_height=np.zeros(capacity),
            center_x=np.zeros(capacity),
            center_y=np.zeros(capacity),
            center_z=np.zeros(capacity),
            mass=np.zeros(capacity),
            is_simulated=np.zeros(capacity, np.bool_),
            is_solid=np.zeros(capacity, np.bool_),
        )
        self.driving = Driving(
            np.zeros(capacity),
            np.zeros(capacity),
            np.zeros(capacity),
            np.zeros(capacity, np.bool_),
            np.zeros(capacity),
            np.full(capacity, np.nan),
            np.zeros(capacity, np.int32),
            np.zeros(capacity, np.int32),
            np.zeros(capacity, np.int32),
        )
        self.walking = Walking(np.zeros(capacity), np.zeros(capacity))
        self.mount = Mount(np.full(capacity, -1, np.int32), *np.zeros((7, capacity)))
        self.records = np.zeros(capacity, ACTOR_RECORD)

    @property
    def structs(self) -> ActorColumns:
        """Views that hold until the next `add`."""
        return ActorColumns(
            self.pose, self.motion, self.body, self.driving, self.walking, self.mount
        )

    def columns(self) -> list[np.ndarray]:
        """Every column once."""
        return [*(column for struct in self.structs for column in struct), self.records]

    def add(self) -> int:
        """A new row, cleared."""
        if self.count == self.capacity:
            old = self.columns()
            self._allocate(2 * self.capacity)
            for column, previous in zip(self.columns(), old, strict=True):
                column[: len(previous)] = previous
        row = self.count
        self.count += 1
        for column in self.columns():
            column[row] = np.zeros((), column.dtype)
        self.driving.held_speed[row] = np.nan
        self.mount.parent_row[row] = -1
        self.mount.ground_z[row] = np.nan
        self.body.kind[row] = Kind.OTHER
        return row

    def remove(self, row: int) -> int:
        """Free a row; the row that moved into its place (`count` itself if none did)."""
        self.count -= 1
        last = self.count
        if row != last:
            for column in self.columns():
                column[row] = column[last]
            parents = self.mount.parent_row[: self.count]
            parents[parents == last] = row
        return last
