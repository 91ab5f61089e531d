"""One small exported data set, with the recording it was made from, shared by the export tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.nuplan.export.data_set import (
    ExportedDrive,
    ExportSettings,
    make_data_set,
    record_drive,
)
from sim_adapters.nuplan.export.logged_world import Recording
from sim_adapters.nuplan.export.road_network import RoadNetwork, build_road_network
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings

TOWN, LOCATION = "Town02", "carla-town02"
DRIVE_S = 42.0


def export_settings(seed: int = 6, drive_s: float = DRIVE_S) -> ExportSettings:
    """Dense enough to hold every kind of track."""
    return ExportSettings(
        seed=seed,
        drive_s=drive_s,
        min_distance_m=20.0,
        scene_s=8.0,
        sensor_range_m=60.0,
        roadworks_share=1.0,
        traffic=TrafficSettings(num_vehicles=20, truck_share=0.2, two_wheeler_share=0.4),
        pedestrians=PedestrianSettings(num_pedestrians=12),
        statics=StaticSettings(),
    )


@dataclass(frozen=True)
class ExportedSet:
    """A set of one log and what it ought to hold."""

    root: Path
    log: Path
    maps: MapBank
    network: RoadNetwork
    recording: Recording


def export_small_set(root: Path) -> ExportedSet:
    """Export one short drive, and drive it once more for comparison."""
    settings = export_settings()
    (made,) = make_data_set(root, [TOWN], 1, settings)
    maps = load_map_bank([TOWN])
    network = build_road_network(maps, 0)
    recording = record_drive(maps, network, ExportedDrive(TOWN, 0), settings)
    return ExportedSet(root, made.path, maps, network, recording)
