"""Writes the map folder of an exported data set: one location a town, as nuplan-devkit wants it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sim_adapters.nuplan.export.geopackage import Layer, location_name, write_geopackage
from sim_adapters.nuplan.export.map_layers import build_map_layers
from sim_adapters.nuplan.export.road_network import RoadNetwork
from sim_adapters.scene.map_bank import MapBank

MAP_SET = "nuplan-maps-v1.0"  # the devkit's default name of the index
MAP_VERSION = "1"
# The devkit opens the connectors of these four at start, whatever one drives in
DEVKIT_LOCATIONS = (
    "sg-one-north",
    "us-ma-boston",
    "us-nv-las-vegas-strip",
    "us-pa-pittsburgh-hazelwood",
)


def map_path(map_root: Path, location: str) -> Path:
    """File of a location."""
    return map_root / location / MAP_VERSION / "map.gpkg"


def write_map(map_root: Path, maps: MapBank, map_index: int, network: RoadNetwork) -> Path:
    """Write the map of one town and return its file.

    Raises:
        ValueError: the town cannot be drawn in a flat map.
    """
    layers = build_map_layers(maps, map_index, network)
    path = map_path(map_root, location_name(maps.towns[map_index]))
    write_geopackage(path, layers)
    return path


def write_map_index(map_root: Path) -> None:
    """Write the index of all maps there are, and empty ones for what the devkit insists on."""
    for location in DEVKIT_LOCATIONS:
        path = map_path(map_root, location)
        if not path.exists():
            write_geopackage(path, [_empty_connectors()])
    locations = sorted(path.parts[-3] for path in map_root.glob(f"*/{MAP_VERSION}/map.gpkg"))
    index = {location: {"version": MAP_VERSION, "layers": {}} for location in locations}
    (map_root / f"{MAP_SET}.json").write_text(json.dumps(index, indent=1))


def _empty_connectors() -> Layer:
    ids = np.zeros(0, np.int64)
    return Layer("lane_connectors", "LineString", [], {"fid": ids, "exit_lane_fid": ids})
