"""Numbers of settings in their declared types: `radius_m=110` means 110.0.

Kernels compile anew for an integer in the place of a float, minutes in which nothing seems to
happen.
"""

from __future__ import annotations

from typing import TypeVar, get_type_hints

from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings

Settings = TypeVar("Settings", TrafficSettings, PedestrianSettings, StaticSettings)


def with_declared_floats(settings: Settings) -> Settings:
    """The same settings, integers of fields declared as float made floats."""
    hints = get_type_hints(type(settings))
    floats = {
        name: float(getattr(settings, name)) for name in settings._fields if hints[name] is float
    }
    return settings._replace(**floats)
