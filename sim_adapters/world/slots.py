"""SlotLayout: which actor slots of a world serve which purpose in the embedded world.

Kinds live in `ActorTraits`; the ranges are only an allocation policy, so that a spawner finds a
free slot without searching those of others.
"""

from __future__ import annotations

from typing import NamedTuple


class SlotLayout(NamedTuple):
    """Half-open slot ranges: ego [0, 1), vehicles, pedestrians, statics, in this order."""

    first_vehicle: int
    first_pedestrian: int
    first_static: int
    num_slots: int


def make_slot_layout(*, num_vehicles: int, num_pedestrians: int, num_statics: int) -> SlotLayout:
    """Ranges for the given capacities; parked cars and props are statics."""
    first_pedestrian = 1 + num_vehicles
    first_static = first_pedestrian + num_pedestrians
    return SlotLayout(1, first_pedestrian, first_static, first_static + num_statics)
