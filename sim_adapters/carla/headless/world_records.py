"""The bytes of a world snapshot: one header and one packed record of 119 bytes an actor.

Field offsets were found by running the real client 0.9.15 and 0.9.16 against them.
"""

from __future__ import annotations

import struct

import numpy as np

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
