"""Takes background actors out of running worlds when fewer are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.state import SceneBatch
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.slots import SlotLayout, first_scripted_pedestrian
from sim_adapters.world.traffic.settings import TrafficSettings


def background_slots(
    layout: SlotLayout, traffic: TrafficSettings, pedestrians: PedestrianSettings
) -> list[tuple[slice, int]]:
    """Slots of traffic and of passers-by, each with how many are wanted in them."""
    people = slice(layout.first_pedestrian, first_scripted_pedestrian(layout))
    return [
        (slice(layout.first_vehicle, layout.first_pedestrian), traffic.num_vehicles),
        (people, pedestrians.num_pedestrians),
    ]


def remove_farthest(
    scene: SceneBatch, is_scripted: NDArray[np.bool_], slots: slice, number: int
) -> None:
    """Leave the `number` actors of these slots that are nearest to the ego, and all scripted ones.

    Args:
        scene: Changed.
        is_scripted: (B, A) actors that belong to a scenario.
        slots: Of the actors.
        number: How many others may stay in a world.
    """
    motion, traits = scene.motion, scene.traits
    for world in range(scene.num_worlds):
        rows = np.arange(slots.start, slots.stop)
        rows = rows[traits.valid[world, rows] & ~is_scripted[world, rows]]
        away_m = np.hypot(
            motion.x[world, rows] - motion.x[world, 0], motion.y[world, rows] - motion.y[world, 0]
        )
        surplus = rows[np.argsort(away_m)][number:]
        for array in (*motion, *traits):
            array[world, surplus] = 0
