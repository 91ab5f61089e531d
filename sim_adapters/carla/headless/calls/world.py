"""Calls about the server, the episode, its map, settings, weather, clock, lights, along rays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.library import definitions
from sim_adapters.carla.headless.calls.actors import ActorCalls
from sim_adapters.carla.headless.calls.dispatch import CallError, call
from sim_adapters.carla.headless.episode import EpisodeSettings
from sim_adapters.carla.headless.frame import pose_to_wire, vector_from_wire, vector_to_wire
from sim_adapters.carla.headless.peers import WORLD_STREAM
from sim_adapters.carla.headless.protocol import Answer, Later
from sim_adapters.carla.headless.road_furniture import SignalCycles
from sim_adapters.carla.headless.sensors import LONGEST_RAY_M, body_hits, road_hits
from sim_adapters.carla.headless.town import (
    GENERATED_TOWN,
    KNOWN_TOWNS,
    ServerTown,
    generate_town,
    load_town,
)
from sim_adapters.carla.headless.world import NUM_WEATHER_VALUES, World
from sim_adapters.scene.state import LightState

# Calls that look for the ground or for bodies along a ray.

_ROAD_TAG = 1  # carla.CityObjectLabel.Roads


class RayCalls:
    """Carries out these calls on a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    @call("project_point")
    def project_point(self, location: Any, direction: Any, distance: Any) -> list[Any]:
        """First hit along a direction, as an optional labelled point."""
        start = np.array(vector_from_wire(values.vector(location)))
        along = np.array(vector_from_wire(values.vector(direction)))
        length = float(np.linalg.norm(along))
        reach_m = values.within(values.number(distance), 0.0, LONGEST_RAY_M)
        if length == 0.0:
            return [False]
        hits = self._labelled_hits(start, along / length * reach_m)
        return [True, hits[0]] if hits else [False]

    @call("cast_ray")
    def cast_ray(self, start: Any, end: Any) -> list[Any]:
        """All hits between two points, at most 2 km apart."""
        first = np.array(vector_from_wire(values.vector(start)))
        ray = np.array(vector_from_wire(values.vector(end))) - first
        length = float(np.linalg.norm(ray))
        if length == 0.0:
            return []
        return self._labelled_hits(first, ray * min(1.0, LONGEST_RAY_M / length))

    def _labelled_hits(self, start: FloatArray, ray: FloatArray) -> list[list[Any]]:
        """[location, tag] of everything on the way, nearest first."""
        episode = self._world.episode
        by_row = episode.registry.by_row
        bodies = body_hits(episode.registry, start, ray)
        hits = [(share, by_row[row].tag) for share, row in bodies]
        hits += [(share, _ROAD_TAG) for share in road_hits(episode.town.bank, start, ray)]
        return [[vector_to_wire(*(start + share * ray)), tag] for share, tag in sorted(hits)]


_logger = logging.getLogger(__name__)
_MAX_DOCUMENT_CHARACTERS = 64 * 2**20
_KEPT_TOWNS = 4  # in memory, so that loading one again is quick


class WorldCalls:
    """Carries out these calls on a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._document: str | None = None
        self._towns = {world.episode.town.name: world.episode.town}
        self._definitions = definitions(world.library, world.version)

    @call("version")
    def version(self) -> str:
        """Release whose protocol is spoken."""
        return self._world.version.name

    @call("tick_cue")
    def tick(self) -> int:
        """Advance the world; frame number of the new snapshot."""
        return self._world.tick()

    @call("get_episode_info")
    def episode_info(self) -> list[Any]:
        """Episode id and token of the world's stream."""
        return [self._world.episode.episode_id, [self._world.streams.token(WORLD_STREAM)]]

    @call("get_sensor_token")
    def sensor_token(self, stream_id: Any) -> list[bytes]:
        """Token by which a client subscribes to a stream."""
        stream = values.whole(stream_id)
        if not self._world.streams.exists(stream):
            raise CallError(f"stream {stream} does not exist")
        return [self._world.streams.token(stream)]

    @call("get_episode_settings")
    def settings(self) -> list[Any]:
        """Settings in force."""
        return self._world.settings.to_wire()

    @call("set_episode_settings")
    def set_settings(self, settings: Any) -> int:
        """Change the settings; the current frame."""
        self._world.settings = EpisodeSettings.from_wire(settings)
        return self._world.frame

    @call("get_available_maps")
    def available_maps(self) -> list[str]:
        """Towns that the server can load by name."""
        return [f"/Game/Carla/Maps/{name}" for name in KNOWN_TOWNS]

    @call("load_new_episode", Answer.VOID)
    def load(self, name: Any, reset_settings: Any = True, layers: Any = 0) -> Later:
        """Load a town; without a name the one that is loaded.

        Other clients are served while a map is being read.
        """
        reset, short = values.flag(reset_settings), values.text(name).rpartition("/")[2]

        def start(outcome: Any) -> None:
            if isinstance(outcome, (FileNotFoundError, ValueError, RuntimeError)):
                raise CallError(f"cannot load {short[:80]!r}: {outcome}") from outcome
            if isinstance(outcome, Exception):
                raise outcome
            self._remember(outcome)
            self._world.load(outcome, reset_settings=reset)

        return Later(self._town_reader(short), start)

    def _remember(self, town: ServerTown) -> None:
        if town.name != GENERATED_TOWN:
            self._towns[town.name] = town
            while len(self._towns) > _KEPT_TOWNS:
                del self._towns[next(iter(self._towns))]

    def _town_reader(self, short: str) -> Callable[[], ServerTown]:
        """What reads the town, in another thread."""
        known = self._world.episode.town if not short else self._towns.get(short)
        if known is not None:
            return lambda: known
        if short == GENERATED_TOWN:
            document = self._document
            if document is None:
                raise CallError("no OpenDRIVE text was sent: use generate_opendrive_world")
            return lambda: generate_town(document)
        if short.endswith((".xodr", ".gz")):  # clients name towns, never files
            raise CallError(f"{short[:80]!r} is no town: send its text instead")
        return lambda: load_town(short)

    @call("copy_opendrive_to_file", Answer.VOID)
    def keep_document(self, text: Any, parameters: Any = None) -> None:
        """Keep an OpenDRIVE text for the load that follows."""
        self._document = values.text(text, _MAX_DOCUMENT_CHARACTERS)

    @call("get_map_info")
    def map_info(self) -> list[Any]:
        """Name and spawn points."""
        town = self._world.episode.town
        return [f"Carla/Maps/{town.name}", [pose_to_wire(pose) for pose in town.spawn_points]]

    @call("get_map_data")
    def map_data(self) -> str:
        """OpenDRIVE text."""
        return self._world.episode.town.document

    @call("get_weather_parameters")
    def weather(self) -> list[float]:
        """Weather as last set; it changes nothing here."""
        return self._world.weather

    @call("set_weather_parameters", Answer.VOID)
    def set_weather(self, weather: Any) -> None:
        """Keep a weather."""
        known = [values.number(value) for value in values.items(weather)[:NUM_WEATHER_VALUES]]
        self._world.weather = known + [0.0] * (NUM_WEATHER_VALUES - len(known))

    @call("get_imui_gravity")  # 0.9.16's name
    @call("get_imui_sensor_gravity")
    def imu_gravity(self) -> float:
        """What accelerometers feel at rest [m/s^2]."""
        return self._world.imu_gravity_mps2

    @call("set_imui_gravity", Answer.VOID)
    @call("set_imui_sensor_gravity", Answer.VOID)
    def set_imu_gravity(self, gravity: Any) -> None:
        """Change what accelerometers feel at rest; nothing falls any faster."""
        self._world.imu_gravity_mps2 = values.number(gravity)

    @call("get_actor_definitions")
    def actor_definitions(self) -> list[list[Any]]:
        """The blueprint library."""
        return self._definitions

    @call("get_spectator")
    def spectator(self) -> list[Any]:
        """The spectator, which nobody sees through."""
        return self._world.to_wire(self._world.episode.spectator)


# Calls that read and change traffic lights

_LAST_STATE = 4  # carla.TrafficLightState.Unknown
_LONGEST_STAGE_S = 1e6


class LightCalls:
    """Carries out these calls on a world.

    Args:
        world: The world.
        actors: Finds actors.
    """

    def __init__(self, world: World, actors: ActorCalls) -> None:
        self._world = world
        self._actors = actors

    @property
    def _signals(self) -> SignalCycles:
        return self._world.episode.signals

    def _light(self, actor_id: Any) -> int:
        """Index of a light among the town's."""
        actor = self._actors.find(actor_id)
        if actor.kind != Kind.LIGHT:
            raise CallError(f"actor {actor.actor_id} ({actor.type_id}) is not a traffic light")
        return actor.index

    @call("set_traffic_light_state", Answer.VOID)
    def set_state(self, actor_id: Any, state: Any) -> None:
        """Show a state until the light's controller changes stage."""
        self._signals.set_state(self._light(actor_id), values.whole(state, 0, _LAST_STATE))

    @call("set_traffic_light_green_time", Answer.VOID)
    def set_green_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of green of the light's controller."""
        self._set_time(actor_id, LightState.GREEN, seconds)

    @call("set_traffic_light_yellow_time", Answer.VOID)
    def set_yellow_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of yellow of the light's controller."""
        self._set_time(actor_id, LightState.YELLOW, seconds)

    @call("set_traffic_light_red_time", Answer.VOID)
    def set_red_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of the gap after yellow."""
        self._set_time(actor_id, LightState.RED, seconds)

    def _set_time(self, actor_id: Any, state: LightState, seconds: Any) -> None:
        light = self._light(actor_id)
        length = values.within(values.number(seconds), 0.0, _LONGEST_STAGE_S)
        self._signals.set_stage_time(light, int(state), length)

    @call("freeze_traffic_light", Answer.VOID)
    def freeze(self, actor_id: Any, is_frozen: Any) -> None:
        """Stop or release the clocks of all lights, as CARLA does whichever light is named."""
        self._light(actor_id)
        self._signals.is_frozen = values.flag(is_frozen)

    @call("freeze_all_traffic_lights", Answer.VOID)
    def freeze_all(self, is_frozen: Any) -> None:
        """Stop or release the clocks of all lights."""
        self._signals.is_frozen = values.flag(is_frozen)

    @call("reset_traffic_light_group", Answer.VOID)
    def reset_group(self, actor_id: Any) -> None:
        """Start the cycle of the light's junction anew."""
        self._signals.reset_group(int(self._signals.group[self._light(actor_id)]))

    @call("reset_all_traffic_lights", Answer.VOID)
    def reset_all(self) -> None:
        """Start all cycles anew."""
        self._signals.reset_all()

    @call("get_group_traffic_lights")
    def group(self, actor_id: Any) -> list[int]:
        """Ids of all lights of the light's junction."""
        lights = self._world.episode.lights
        return [lights[i].actor_id for i in self._signals.lights_of_group(self._light(actor_id))]

    @call("get_light_boxes")
    def boxes(self, actor_id: Any) -> list[Any]:
        """Boxes of the lamps: none, because the map does not know their shape."""
        self._light(actor_id)
        return []
