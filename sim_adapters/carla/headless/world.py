"""The server's world: the episode, the clock, settings and weather, and what each tick sends."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgpack

from sim_adapters.carla.headless.actor_arrays import (
    EPISODE_HEADER,
    MAP_CHANGED,
    SENSOR_HEADER,
    Kind,
)
from sim_adapters.carla.headless.actors import Actor
from sim_adapters.carla.headless.blueprints.library import build_library
from sim_adapters.carla.headless.episode import Episode, EpisodeSettings
from sim_adapters.carla.headless.peers import WORLD_STREAM, SensorStreams, Subscriber
from sim_adapters.carla.headless.process import WireVersion
from sim_adapters.carla.headless.sensors import IMU_GRAVITY_MPS2, Sensors
from sim_adapters.carla.headless.town import ServerTown

_logger = logging.getLogger(__name__)
_NO_POSE = (0.0,) * 6
NUM_WEATHER_VALUES = 14


class World:
    """Everything that clients see and change.

    Args:
        town: The first episode's map.
        streams: Where snapshots and events go.
        version: Of the wire protocol.
    """

    def __init__(self, town: ServerTown, streams: SensorStreams, version: WireVersion) -> None:
        self.streams = streams
        self.version = version
        self.library = build_library()
        self.settings = EpisodeSettings()
        self.weather = [0.0] * NUM_WEATHER_VALUES
        self.imu_gravity_mps2 = IMU_GRAVITY_MPS2
        self.frame = 0
        self.elapsed_s = 0.0
        self._last_dt_s = self.settings.tick_s
        self._packer = msgpack.Packer(unicode_errors="surrogateescape")
        self._map_changed = True
        self.episode = Episode(1, town)
        self.episode.compile_kernels()
        self.sensors = Sensors(self)
        streams.on_world_subscriber = self._greet

    def load(self, town: ServerTown, *, reset_settings: bool) -> None:
        """Start a new episode in `town`; all actors are gone.

        The new episode shows itself at the next tick only, as in CARLA: the client, which ticks
        until it sees it, is not ready for it any earlier.
        """
        for actor in self.episode.registry.by_id.values():
            if actor.stream_id:
                self.streams.shut(actor.stream_id)
        first_id = self.episode.registry.next_id
        self.episode = Episode(self.episode.episode_id + 1, town, first_id)
        self.sensors = Sensors(self)
        if reset_settings:
            self.settings = EpisodeSettings()
        self.weather = [0.0] * NUM_WEATHER_VALUES
        self.imu_gravity_mps2 = IMU_GRAVITY_MPS2
        self.elapsed_s = 0.0
        self._map_changed = True
        _logger.info("loaded %s", town.name)

    def tick(self) -> int:
        """Advance by one tick and tell everybody; the number of the frame."""
        dt = self.settings.tick_s
        self.frame += 1
        self.elapsed_s += dt
        self._last_dt_s = dt
        self.episode.advance(dt)
        self.sensors.measure()
        self._send_snapshot()
        return self.frame

    def event(self, sensor_type: int, actor: Actor, measured: list[Any]) -> None:
        """Send one sensor's measurement of this frame."""
        record = self.episode.registry.arrays.records["pose"][actor.row]
        header = SENSOR_HEADER.pack(sensor_type, self.frame, self.elapsed_s, *record.tolist())
        may_drop = not self.settings.is_synchronous
        body = self._packer.pack(measured)
        self.streams.send(actor.stream_id, header + body, may_drop=may_drop)

    def destroy(self, actor: Actor) -> bool:
        """Take an actor out of the world, if it may be destroyed."""
        if actor.is_permanent:
            return False
        if actor.stream_id:
            self.streams.shut(actor.stream_id)
            self.sensors.remove(actor)
        self.episode.remove(actor)
        return True

    def to_wire(self, actor: Actor) -> list[Any]:
        """`carla.rpc.Actor`: what clients learn of an actor once."""
        token = self.streams.token(actor.stream_id) if actor.stream_id else b""
        tags = bytes([actor.tag])
        identity = [actor.actor_id, actor.parent_id, actor.description]
        return [*identity, actor.bounding_box, tags, token]

    def num_vehicles(self) -> int:
        """Vehicles in the world."""
        return len(self.episode.registry.rows_of(Kind.VEHICLE))

    def _send_snapshot(self) -> None:
        may_drop = not self.settings.is_synchronous
        self.streams.send(WORLD_STREAM, self._snapshot(), may_drop=may_drop)
        self._map_changed = False

    def _greet(self, subscriber: Subscriber) -> None:
        """A new listener gets the present at once: in synchronous mode nobody may tick."""
        self.episode.write_records()
        subscriber.send_message(self._snapshot())

    def _snapshot(self) -> bytes:
        header = SENSOR_HEADER.pack(
            self.version.world_observer_index, self.frame, self.elapsed_s, *_NO_POSE
        )
        flags = MAP_CHANGED if self._map_changed else 0
        episode = EPISODE_HEADER.pack(
            self.episode.episode_id, time.monotonic(), self._last_dt_s, 0, 0, 0, flags
        )
        return header + episode + self.episode.snapshot_body()
