"""Builds nuPlan's simulators from configuration: which maps, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sim_adapters.flat_keys import flat_keys
from sim_adapters.maps.nuplan_gpkg import MAP_VERSION, load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import MapFolder, open_cache
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.slot_demand import TrackLimits, Traffic
from sim_adapters.scene.map_bank import MapBank


@dataclass(frozen=True)
class ScenarioMaps:
    """Which maps the scenarios need, and where they lie."""

    map_root: str | Path | None  # folder of the maps; None: the one that the cache was made with
    cache: str | Path | None  # of scenarios; it says which locations are loaded
    locations: Sequence[str] | None = None  # these instead, e.g. ["us-nv-las-vegas-strip"]
    map_version: str | None = None  # name of the maps' version file; None: the cache's

    @property
    def folder(self) -> MapFolder:
        """Where they lie; errors as of `scenario_map_folder`."""
        return scenario_map_folder(self.map_root, self.cache, self.map_version)

    def load(self, pixels_per_meter: float) -> MapBank:
        """The maps of the named locations, or else of those in the cache.

        Args:
            pixels_per_meter: Of the (empty) picture layers.

        Raises:
            ValueError: nothing that says which maps.
        """
        folder, locations = self.folder, self.locations
        if locations is None and self.cache is None:
            raise ValueError(
                "scenarios.cache is not set: name a folder made by `python -m "
                "sim_adapters.nuplan.cache`, or the maps to load with simulator.locations"
            )
        if locations is None:
            assert self.cache is not None
            locations = open_cache(self.cache).map_names
        return load_nuplan_maps(
            folder.root, locations, pixels_per_meter=pixels_per_meter, map_version=folder.version
        )


class Room(NamedTuple):
    """Keywords of a simulator; the defaults are for scenarios that no cache describes."""

    max_actors: int = 320
    max_route_points: int = 160
    max_route_areas: int = 128


@dataclass(frozen=True)
class WantedRoom:
    """Slots and points of a world; None takes what the cache's scenarios need."""

    max_actors: int | None = None  # slots for tracks
    max_route_points: int | None = None  # most frames of a log
    max_route_areas: int | None = None  # most roadblocks and connectors of a route

    def beside(
        self, cache: str | Path | None, traffic: Traffic, track_limits: TrackLimits | None = None
    ) -> Room:
        """What is wanted; where nothing is, room for every scenario of a cache.

        Args:
            cache: Without one, `Room`'s defaults hold.
            traffic: See `NuplanSimulator`.
            track_limits: Of the scenarios that will be driven; more actors need no room.
        """
        found = room_for(cache, traffic, track_limits)
        return Room(
            self.max_actors or found.max_actors,
            self.max_route_points or found.max_route_points,
            self.max_route_areas or found.max_route_areas,
        )


@flat_keys(maps=ScenarioMaps, room=WantedRoom)
def make_nuplan_simulator(
    num_worlds: int,
    *,
    maps: ScenarioMaps,
    room: WantedRoom,
    pixels_per_meter: float = 2.0,
    traffic: Traffic = "log",
    track_limits: TrackLimits | None = None,
    num_threads: int = 1,
) -> NuplanSimulator:
    """A NuplanSimulator over the maps and with room for the scenarios of a cache.

    Args:
        num_worlds: B.
        maps: Its fields are keywords, as are those of `room`.
        room: Slots and points of a world.
        pixels_per_meter: Of the (empty) picture layers.
        traffic: See `NuplanSimulator`.
        track_limits: Of the scenarios that will be driven; more actors need no room.
        num_threads: See `NuplanSimulator`.
    """
    return NuplanSimulator(
        maps.load(pixels_per_meter),
        num_worlds,
        traffic=traffic,
        **room.beside(maps.cache, traffic, track_limits)._asdict(),
        num_threads=num_threads,
    )


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
