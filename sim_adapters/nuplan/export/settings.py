"""ExportSettings: everything that decides what an exported data set holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings

MIN_SCENES = 5  # the devkit drops scenarios in the first two and the last two scenes of a log


@dataclass(frozen=True)
class ExportSettings:
    """What drives are like; the same settings give the same files.

    Args:
        seed: Of all drives.
        drive_s: Length of each.
        min_distance_m: Drives whose ego gets less far than this (a jam) are driven anew.
        scene_s: Length of the scenes that a log is cut into.
        sensor_range_m: Further away nothing is tracked.
        roadworks_share: Of the roads that have a building site.
        traffic: Background vehicles.
        pedestrians: People.
        statics: Parked cars and street furniture.

    Raises:
        ValueError: drives are too short to hold a scenario.
    """

    seed: int
    drive_s: float
    min_distance_m: float
    scene_s: float
    sensor_range_m: float
    roadworks_share: float
    traffic: TrafficSettings
    pedestrians: PedestrianSettings
    statics: StaticSettings

    def __post_init__(self) -> None:
        if not self.drive_s > MIN_SCENES * self.scene_s > 0.0:
            raise ValueError(
                f"drives of {self.drive_s} s hold no {MIN_SCENES} scenes of {self.scene_s} s, and "
                "nuplan-devkit takes no scenario from the outer two on each side: raise drive_s"
            )

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        named = {key: getattr(self, key)._asdict() for key in ("traffic", "pedestrians", "statics")}
        return json.loads(json.dumps({**asdict(self), **named}))
