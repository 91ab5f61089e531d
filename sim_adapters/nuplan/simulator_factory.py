"""Builds nuPlan's simulators from configuration: which maps, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim_adapters.maps.nuplan_gpkg import MAP_VERSION, load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import MapFolder, open_cache
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank


def make_nuplan_simulator(
    num_worlds: int,
    *,
    map_root: str | Path | None,
    cache: str | Path | None,
    locations: Sequence[str] | None = None,
    map_version: str | None = None,
    pixels_per_meter: float = 2.0,
    **settings: Any,
) -> NuplanSimulator:
    """A NuplanSimulator over the maps that a scenario cache needs; see its keywords.

    Args:
        num_worlds: B.
        map_root: Folder of the maps; None takes the one that the cache was made with.
        cache: Scenario cache; it says which locations are loaded.
        locations: Locations to load instead, e.g. ["us-nv-las-vegas-strip"].
        map_version: Name of the maps' version file; None takes the cache's.
        pixels_per_meter: Of the (empty) picture layers.
        settings: Keywords of `NuplanSimulator`.
    """
    folder = scenario_map_folder(map_root, cache, map_version)
    maps = scenario_maps(folder, cache, locations, pixels_per_meter)
    return NuplanSimulator(maps, num_worlds, **settings)


def scenario_map_folder(
    map_root: str | Path | None, cache: str | Path | None, map_version: str | None
) -> MapFolder:
    """Where the maps lie: what is given goes before what the cache was made with.

    Raises:
        ValueError: neither a folder of maps nor a cache that knows one.
        FileNotFoundError: the folder that the cache was made with is gone.
    """
    if cache is not None:
        found = open_cache(cache).find_maps(map_root, key="simulator.map_root")
    elif map_root is not None:
        found = MapFolder(Path(map_root), MAP_VERSION)
    else:
        raise ValueError(
            "scenarios.cache is not set: name a folder made by `python -m sim_adapters.nuplan.cache"
            "`, or the maps to load with simulator.map_root and simulator.locations"
        )
    return MapFolder(found.root, map_version or found.version)


def scenario_maps(
    folder: MapFolder,
    cache: str | Path | None,
    locations: Sequence[str] | None,
    pixels_per_meter: float,
) -> MapBank:
    """The maps of the named locations, or else of those in the cache.

    Raises:
        ValueError: nothing that says which maps.
    """
    if locations is None and cache is None:
        raise ValueError(
            "scenarios.cache is not set: name a folder made by `python -m sim_adapters.nuplan.cache"
            "`, or the maps to load with simulator.locations"
        )
    if locations is None:
        assert cache is not None
        locations = open_cache(cache).map_names
    return load_nuplan_maps(
        folder.root, locations, pixels_per_meter=pixels_per_meter, map_version=folder.version
    )
