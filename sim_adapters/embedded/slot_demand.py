"""Slots for whom: refuses worlds that have too few, takes out whom nobody wants any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.slots import (
    SCRIPTED_PEDESTRIANS,
    SCRIPTED_STATICS,
    SlotLayout,
    first_scripted_pedestrian,
)
from sim_adapters.world.traffic.settings import TrafficSettings

SPARE_VEHICLES = 2  # of a scripted stream, the one that passes and the one behind it


def check_background(
    layout: SlotLayout, traffic: TrafficSettings, pedestrians: PedestrianSettings
) -> None:
    """Background traffic must fit.

    Raises:
        ValueError: more vehicles or pedestrians than slots.
    """
    vehicle_slots = layout.first_pedestrian - layout.first_vehicle
    if traffic.num_vehicles > vehicle_slots:
        raise ValueError(
            f"traffic wants {traffic.num_vehicles} vehicles, a world has "
            f"{vehicle_slots} vehicle slots: raise simulator.max_vehicles"
        )
    walker_slots = first_scripted_pedestrian(layout) - layout.first_pedestrian
    if pedestrians.num_pedestrians > walker_slots:
        raise ValueError(
            f"{pedestrians.num_pedestrians} pedestrians are wanted, a world has {walker_slots} "
            f"slots for them beside {SCRIPTED_PEDESTRIANS} kept for scenarios: set "
            f"simulator.max_pedestrians={pedestrians.num_pedestrians + SCRIPTED_PEDESTRIANS}, "
            f"or simulator.pedestrians.num_pedestrians={walker_slots}"
        )


def check_scripted(scenario: Scenario, layout: SlotLayout, traffic: TrafficSettings) -> None:
    """Scripted actors must find slots that nobody else takes.

    Raises:
        ValueError: the scenario has triggers, and too few slots are left for their actors.
    """
    if not scenario.triggers:
        return
    needed = {
        "max_vehicles": traffic.num_vehicles + SPARE_VEHICLES,
        "max_pedestrians": SCRIPTED_PEDESTRIANS,
        "max_statics": SCRIPTED_STATICS,
    }
    found = {
        "max_vehicles": layout.first_pedestrian - layout.first_vehicle,
        "max_pedestrians": layout.first_static - layout.first_pedestrian,
        "max_statics": layout.num_slots - layout.first_static,
    }
    short = [name for name in needed if found[name] < needed[name]]
    if short:
        raise ValueError(
            f"route {scenario.scenario_id} in {scenario.town} has {len(scenario.triggers)} "
            f"scripted scenarios, and too few slots are left for their actors: set "
            + ", ".join(f"simulator.{name}={needed[name]} or more" for name in short)
            + ", or scenarios.scenario_triggers=false"
        )


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
