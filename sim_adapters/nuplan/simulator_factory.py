"""Builds nuPlan's simulators from configuration: which maps, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sim_adapters.maps.nuplan_gpkg import MAP_VERSION, load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import MapFolder, open_cache
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.slot_demand import TrackLimits, Traffic
from sim_adapters.scene.map_bank import MapBank


def make_nuplan_simulator(
    num_worlds: int,
    *,
    map_root: str | Path | None,
    cache: str | Path | None,
    locations: Sequence[str] | None = None,
    map_version: str | None = None,
    pixels_per_meter: float = 2.0,
    traffic: Traffic = "log",
    track_limits: TrackLimits | None = None,
    max_actors: int | None = None,
    max_route_points: int | None = None,
    max_route_areas: int | None = None,
    num_threads: int = 1,
) -> NuplanSimulator:
    """A NuplanSimulator over the maps and with room for the scenarios of a cache.

    Args:
        num_worlds: B.
        map_root: Folder of the maps; None takes the one that the cache was made with.
        cache: Scenario cache; it says which locations are loaded.
        locations: Locations to load instead, e.g. ["us-nv-las-vegas-strip"].
        map_version: Name of the maps' version file; None takes the cache's.
        pixels_per_meter: Of the (empty) picture layers.
        traffic: See `NuplanSimulator`.
        track_limits: Of the scenarios that will be driven; more actors need no room.
        max_actors: See `NuplanSimulator`; None takes what the cache's scenarios need, as do the
            next two. Without a cache the simulator's own defaults hold.
        max_route_points: Likewise.
        max_route_areas: Likewise.
        num_threads: See `NuplanSimulator`.
    """
    folder = scenario_map_folder(map_root, cache, map_version)
    maps = scenario_maps(folder, cache, locations, pixels_per_meter)
    room = room_for(cache, traffic, track_limits)
    return NuplanSimulator(
        maps,
        num_worlds,
        traffic=traffic,
        max_actors=max_actors or room.max_actors,
        max_route_points=max_route_points or room.max_route_points,
        max_route_areas=max_route_areas or room.max_route_areas,
        num_threads=num_threads,
    )


class Room(NamedTuple):
    """Keywords of a simulator; the defaults are for scenarios that no cache describes."""

    max_actors: int = 320
    max_route_points: int = 160
    max_route_areas: int = 128


def room_for(
    cache: str | Path | None, traffic: Traffic, track_limits: TrackLimits | None = None
) -> Room:
    """Room for every scenario of a cache, at least one of each."""
    if cache is None:
        return Room()
    size = open_cache(cache).size
    num_actors = size.num_replayed if traffic == "log" else size.num_reactive
    if track_limits is not None:
        num_actors = min(num_actors, track_limits.num_boxes)
    return Room(max(1, num_actors), max(1, size.num_frames), max(1, size.num_route))


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
