"""EmbeddedSettings: how many live in the embedded worlds, and whether their slots hold so many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, get_type_hints

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
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings

Settings = TypeVar("Settings", TrafficSettings, PedestrianSettings, StaticSettings)


@dataclass(frozen=True)
class EmbeddedSettings:
    """Settings of an `EmbeddedSimulator`; its YAML has them all beside the towns."""

    traffic: TrafficSettings = field(default_factory=TrafficSettings)
    pedestrians: PedestrianSettings = field(default_factory=PedestrianSettings)
    statics: StaticSettings = field(default_factory=StaticSettings)
    max_vehicles: int = 40  # slots for traffic and scenario vehicles in a world
    max_pedestrians: int = 12
    max_statics: int = 24  # slots for parked cars, props and debris
    max_route_points: int = 2048  # of the longest dense route that a world can hold
    max_triggers: int = 32  # scenario triggers of one route
    step_s: float = 0.1  # CaRL trains at 0.1 s and is judged at 0.05 s
    warm_up_s: float = 2.0  # others move, the ego brakes, before a reset returns (CaRL: 2 s)
    # Start each junction's cycle at a random place; CARLA starts all with their first arm green
    random_light_start: bool = True
    # Leave out triggers that scenario_runner leaves out; else junctions without an arm on the
    # wanted side send their traffic from another one
    strict_triggers: bool = True
    num_threads: int = 1  # for kernels whose work is worth sharing

    def __post_init__(self) -> None:
        """Give numbers of groups their declared types."""
        object.__setattr__(self, "traffic", with_declared_floats(self.traffic))
        object.__setattr__(self, "pedestrians", with_declared_floats(self.pedestrians))
        object.__setattr__(self, "statics", with_declared_floats(self.statics))


def with_declared_floats(settings: Settings) -> Settings:
    """The same settings, integers of fields declared as float made floats: 110 means 110.0.

    Kernels compile anew for an integer in the place of a float, minutes in which nothing seems to
    happen.
    """
    hints = get_type_hints(type(settings))
    floats = {
        name: float(getattr(settings, name)) for name in settings._fields if hints[name] is float
    }
    return settings._replace(**floats)


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
