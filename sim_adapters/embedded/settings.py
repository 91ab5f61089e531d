"""EmbeddedSettings: how many live in the embedded worlds, how they begin, and how they step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, get_type_hints

from sim_adapters.world.pedestrian_state import PedestrianSettings
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
