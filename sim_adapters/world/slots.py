"""SlotLayout: which actor slots of a world serve which purpose in the embedded world.

Kinds live in `ActorTraits`; the ranges are only an allocation policy, so that a spawner finds a
free slot without searching those of others.
"""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.kernels import device_function
from sim_adapters.scene.state import ActorMotion, ActorTraits

# The last slots of their ranges, kept for scripted scenarios: as many at least, and of the vehicles
# and statics up to as many
SCRIPTED_PEDESTRIANS, SCRIPTED_STATICS = 3, 6
MOST_SCRIPTED_VEHICLES, MOST_SCRIPTED_STATICS = 10, 12


class SlotLayout(NamedTuple):
    """Half-open slot ranges: ego [0, 1), vehicles, pedestrians, statics, in this order."""

    first_vehicle: int
    first_pedestrian: int
    first_static: int
    num_slots: int


class SlotRange(NamedTuple):
    """Half-open range of a world's actor slots."""

    first: int
    last: int


def make_slot_layout(*, num_vehicles: int, num_pedestrians: int, num_statics: int) -> SlotLayout:
    """Ranges for the given capacities; parked cars and props are statics."""
    first_pedestrian = 1 + num_vehicles
    first_static = first_pedestrian + num_pedestrians
    return SlotLayout(1, first_pedestrian, first_static, first_static + num_statics)


@device_function
def passer_by_slots(layout: SlotLayout) -> SlotRange:
    """Slots of pedestrians that belong to no scenario."""
    return SlotRange(layout.first_pedestrian, first_scripted_pedestrian(layout))


@device_function
def roadside_slots(layout: SlotLayout) -> SlotRange:
    """Slots of what stands beside the road and belongs to no scenario."""
    return SlotRange(layout.first_static, first_scripted_static(layout))


@device_function
def first_scripted_pedestrian(layout: SlotLayout) -> int:
    """End of the pedestrian slots for passers-by, begin of those kept for scenarios."""
    return max(layout.first_static - SCRIPTED_PEDESTRIANS, layout.first_pedestrian)


@device_function
def first_scripted_static(layout: SlotLayout) -> int:
    """End of the slots for what stands beside the road, begin of those kept for scenarios."""
    kept = max(SCRIPTED_STATICS, (layout.num_slots - layout.first_static) // 2)
    return max(layout.num_slots - min(kept, MOST_SCRIPTED_STATICS), layout.first_static)


@device_function
def last_background_vehicle(layout: SlotLayout, num_vehicles: int) -> int:
    """End of the slots for background traffic, which never has fewer than it wants."""
    wanted = layout.first_vehicle + num_vehicles
    return min(
        max(layout.first_pedestrian - MOST_SCRIPTED_VEHICLES, wanted), layout.first_pedestrian
    )


@device_function
def clear_slot(motion: ActorMotion, traits: ActorTraits, world: int, slot: int) -> None:
    """Empty an actor slot: a slot that is not valid holds zeros."""
    traits.valid[world, slot] = False
    traits.kind[world, slot] = traits.lights[world, slot] = 0
    traits.half_length_m[world, slot] = traits.half_width_m[world, slot] = 0.0
    traits.half_height_m[world, slot] = 0.0
    traits.actor_id[world, slot] = 0
    motion.x[world, slot] = motion.y[world, slot] = motion.z[world, slot] = 0.0
    motion.yaw_rad[world, slot] = motion.yaw_rate_radps[world, slot] = 0.0
    motion.vx_mps[world, slot] = motion.vy_mps[world, slot] = 0.0
    motion.ax_mps2[world, slot] = motion.ay_mps2[world, slot] = 0.0


@device_function
def new_actor_id(generation: int, slot: int, num_slots: int) -> int:
    """Identity of the `generation`-th actor (from 1) in a slot: unique in its world, > 0."""
    return generation * num_slots + slot
