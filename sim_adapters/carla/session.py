"""LiveSession: a connection to one CARLA server, in synchronous mode, with one town loaded."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import carla

from sim_adapters.carla.tick_watch import TickWatch
from sim_adapters.maps.town_files import find_town_file, read_town_document, town_name

LOAD_TIMEOUT_S = 120.0  # the first load of a town takes a real server longest
ACTIVE_DISTANCE_M = 650.0  # leaderboard: tiles and actors of large maps stay alive this far
_SPAWNED = ("vehicle.*", "walker.*", "sensor.*", "static.prop.*", "controller.*")

_logger = logging.getLogger(__name__)


class LiveSession:
    """One client of one server.

    Every call may raise RuntimeError, which is how the client library reports a server that died
    or does not answer.

    Args:
        host: Of the server.
        port: RPC port of the server; it streams on the next one.
        step_s: Length of a tick.
        timeout_s: How long a call may take.
    """

    def __init__(self, host: str, port: int, *, step_s: float, timeout_s: float) -> None:
        self.client = carla.Client(host, port)
        self.client.set_timeout(timeout_s)
        self.step_s, self.timeout_s = step_s, timeout_s
        self.town = ""
        self.frame = 0
        self._watch: TickWatch | None = None
        server, client = self.client.get_server_version(), self.client.get_client_version()
        if server != client:
            _logger.warning(
                "CARLA server %s:%d has version %s, the client library %s",
                host,
                port,
                server,
                client,
            )
        self.world = self.client.get_world()

    def load(self, town: str) -> bool:
        """Have `town` loaded, empty of what earlier clients left; True if the world is a new one.

        Args:
            town: A name the server has, or the path of an .xodr file.
        """
        name = town_name(town)
        if name == self.town:
            return False
        current = self.world.get_map().name.rsplit("/", 1)[-1]
        if current != name:
            self.client.set_timeout(LOAD_TIMEOUT_S)
            available = {path.rsplit("/", 1)[-1] for path in self.client.get_available_maps()}
            if name in available:
                self.world = self.client.load_world(name, False)
            else:
                document = read_town_document(find_town_file(town)).decode()
                self.world = self.client.generate_opendrive_world(document)
            self.client.set_timeout(self.timeout_s)
        self._be_synchronous()
        self.town = name
        left_over = [
            actor.id for kind in _SPAWNED for actor in self.world.get_actors().filter(kind)
        ]
        self.destroy(left_over)
        self.tick()
        return True

    def tick(self) -> carla.WorldSnapshot:
        """One step of the simulation; what the world is after it."""
        with self._watch.ticking() if self._watch else nullcontext():
            self.frame = self.world.tick(self.timeout_s)
        snapshot = self.world.get_snapshot()
        if snapshot.frame < self.frame:
            raise RuntimeError(
                f"the server ticked to frame {self.frame} but its last state is of frame "
                f"{snapshot.frame}"
            )
        return snapshot

    def watch(self, manager: carla.TrafficManager | None) -> None:
        """Wake this TrafficManager from now on if a tick stands still; None: there is none."""
        if self._watch is not None:
            self._watch.end()
        self._watch = TickWatch(manager) if manager is not None else None

    def spawn(self, commands: list[carla.command.SpawnActor]) -> list[int]:
        """Ids of the spawned actors, 0 where something stood in the way."""
        if not commands:
            return []
        answers = self.client.apply_batch_sync(commands, False)
        return [0 if answer.has_error() else answer.actor_id for answer in answers]

    def destroy(self, ids: list[int]) -> None:
        """Remove actors; those already gone do no harm."""
        if ids:
            self.client.apply_batch_sync([carla.command.DestroyActor(i) for i in ids], False)

    def release(self) -> None:
        """Let the server run on its own again."""
        settings = self.world.get_settings()
        settings.synchronous_mode = False
        settings.fixed_delta_seconds = None
        self.world.apply_settings(settings)

    def _be_synchronous(self) -> None:
        settings = self.world.get_settings()
        settings.synchronous_mode = True
        settings.fixed_delta_seconds = self.step_s
        settings.no_rendering_mode = True
        settings.deterministic_ragdolls = True
        settings.actor_active_distance = ACTIVE_DISTANCE_M
        # The stubs call this one a bool
        settings.tile_stream_distance = ACTIVE_DISTANCE_M  # pyright: ignore[reportAttributeAccessIssue]
        self.world.apply_settings(settings)
