"""Builds nuPlan's simulators from configuration: which maps, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim_adapters.maps.nuplan_gpkg import MAP_VERSION, load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import open_cache
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank


def make_nuplan_simulator(
    num_worlds: int,
    *,
    map_root: str | Path | None,
    cache: str | Path | None,
    locations: Sequence[str] | None = None,
    map_version: str = MAP_VERSION,
    pixels_per_meter: float = 2.0,
    **settings: Any,
) -> NuplanSimulator:
    """A NuplanSimulator over the maps that a scenario cache needs; see its keywords.

    Args:
        num_worlds: B.
        map_root: Folder of the maps.
        cache: Scenario cache; it says which locations are loaded.
        locations: Locations to load instead, e.g. ["us-nv-las-vegas-strip"].
        map_version: Name of the maps' version file.
        pixels_per_meter: Of the (empty) picture layers.
        settings: Keywords of `NuplanSimulator`.
    """
    maps = scenario_maps(map_root, cache, locations, map_version, pixels_per_meter)
    return NuplanSimulator(maps, num_worlds, **settings)


def scenario_maps(
    map_root: str | Path | None,
    cache: str | Path | None,
    locations: Sequence[str] | None,
    map_version: str,
    pixels_per_meter: float,
) -> MapBank:
    """The maps of the named locations, or else of those in the cache.

    Raises:
        ValueError: no folder of maps, or nothing that says which of them.
    """
    if map_root is None:
        raise ValueError(
            "simulator.map_root is not set: name the folder that holds nuplan-maps-v1.0.json and "
            "the locations' maps"
        )
    if locations is None and cache is None:
        raise ValueError(
            "scenarios.cache is not set: name a folder made by `python -m sim_adapters.nuplan.cache"
            "`, or the maps to load with simulator.locations"
        )
    if locations is None:
        assert cache is not None
        locations = open_cache(cache).map_names
    return load_nuplan_maps(
        map_root, locations, pixels_per_meter=pixels_per_meter, map_version=map_version
    )
