"""CarlaSimulator: one live world of a CARLA server as a Simulator with one learning driver.

The server moves everything; this class starts episodes, hands over the controls, ticks, and has
the scene read. Whatever goes wrong with a server ends in `WorldLostError` or a failed world.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.actor_slots import EGO_SLOT
from sim_adapters.carla.background_traffic import BackgroundTraffic, LiveTrafficSettings
from sim_adapters.carla.contact_log import ContactLog
from sim_adapters.carla.frames import to_carla_control, to_carla_transform
from sim_adapters.carla.live_lights import LiveLights
from sim_adapters.carla.route_scripts import RouteScripts
from sim_adapters.carla.scene_reader import SceneReader
from sim_adapters.carla.script_stream import LiveStage
from sim_adapters.carla.session import LiveSession
from sim_adapters.carla.world_check import check_stop_signs
from sim_adapters.embedded.world_start import check_route, clear_world, start_clocks, write_route
from sim_adapters.maps.town_files import town_name
from sim_adapters.pool_worker import WorldLostError
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import empty_scene

EGO_BLUEPRINTS = ("vehicle.lincoln.mkz_2020", "vehicle.lincoln.mkz_2017")  # the leaderboard's first
SPAWN_HEIGHTS_M = (0.5, 1.0, 2.0)  # above the route: CaRL's, then higher where a road bulges
LARGEST_START_OFFSET_M = 5.0  # an ego that is further from its start was spawned badly
LARGEST_START_DROP_M = 3.0

_logger = logging.getLogger(__name__)


class Server(Protocol):
    """What a world needs to know of its server."""

    @property
    def tm_port(self) -> int:
        """TCP port for this client's TrafficManager."""
        ...

    def connect(self) -> LiveSession:
        """A session; RuntimeError if the server does not answer."""
        ...

    def stop(self) -> None:
        """End the server if it is this process' own; safe to call twice."""
        ...


@dataclass(frozen=True)
class LiveWorldSettings:
    """How much a live world shows, and how it begins and steps."""

    max_actors: int = 96  # nearest actors that the scene shows, the ego included
    max_route_points: int = 2048  # of the longest dense route
    step_s: float = 0.1  # CaRL trains at 10 Hz
    warm_up_s: float = 2.0  # the ego brakes this long before a reset returns (CaRL: 2 s)
    read_lamps: bool = True  # ask for the lamps of vehicles in every step

    @property
    def warm_up_steps(self) -> int:
        """Steps of the warm-up, at least one."""
        return max(1, round(self.warm_up_s / self.step_s))


class CarlaSimulator:
    """One world, one driver (a `Simulator` with B = 1).

    Args:
        maps: Towns that scenarios may name.
        server: Connected to at the first reset, stopped by `close`.
        traffic: Background traffic; None for an empty town.
        settings: How much is shown, and how it begins and steps; all defaults if not given.
        town_files: Files of towns by name; a town that the server lacks is generated from its file.
    """

    def __init__(
        self,
        maps: MapBank,
        server: Server,
        *,
        traffic: LiveTrafficSettings | None = None,
        settings: LiveWorldSettings | None = None,
        town_files: Mapping[str, str] | None = None,
    ) -> None:
        self.maps = maps
        self.settings = settings or LiveWorldSettings()
        self.scene = empty_scene(
            1,
            self.settings.max_actors,
            num_lights=maps.max_lights,
            num_route_points=self.settings.max_route_points,
            step_s=self.settings.step_s,
        )
        self.session: LiveSession | None = None
        self.ego: carla.Vehicle | None = None
        self.reader: SceneReader | None = None
        self.traffic: BackgroundTraffic | None = None
        self._server = server
        self._traffic_settings = traffic
        self._town_files = town_files or {}
        self.scripts: RouteScripts | None = None
        self._contacts: ContactLog | None = None
        self._own: list[int] = []  # the ego and what hangs on it
        self._started_s = 0.0  # the server's clock at the start of the episode

    def prepare(self, town: str) -> None:
        """Connect and load a town ahead of the first episode, which then starts at once.

        Raises:
            WorldLostError: the server died or does not answer.
        """
        try:
            self._enter(town)
        except RuntimeError as error:
            self.session = None
            raise WorldLostError(f"the server was lost while {town} was loaded: {error}") from error

    # Simulator -------------------------------------------------------------------------------

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start the scenario of world 0; a start that the server refuses leaves a failed world.

        Raises:
            ValueError: the scenario's town is not loaded, or its route does not fit.
            WorldLostError: the server died or does not answer.
        """
        if not len(worlds):
            return
        (scenario,) = scenarios
        map_index = self.maps.map_index(scenario.town)
        check_route(scenario, self.scene.routes.x.shape[1])
        clear_world(self.scene, 0)
        start_clocks(self.scene, 0, scenario, map_index)
        write_route(self.scene, 0, scenario)
        try:
            self._start(scenario)
        except RuntimeError as error:
            self.session = None  # nothing more can be asked of it
            raise WorldLostError(f"the server was lost at the start: {error}") from error

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Advance by one tick; a failed world stays as it is.

        Raises:
            WorldLostError: the server died or does not answer.
        """
        if self.scene.clocks.failed[0]:
            return
        try:
            self._drive(float(steer[0]), float(acceleration[0]))
        except RuntimeError as error:
            self.session = None
            raise WorldLostError(f"the server was lost: {error}") from error

    def state_dict(self) -> dict[str, np.ndarray]:
        """The scene; a live world itself cannot be saved."""
        return copy_arrays(self.scene)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Show the saved scene as that of a lost world: its next step is its episode's last."""
        restore_arrays(self.scene, state)
        self.scene.clocks.failed[:] = True

    def close(self) -> None:
        """Leave the server as it was found, then stop it; safe to call twice."""
        session, self.session = self.session, None
        if session is not None:
            try:
                self._clear_episode(session)
                if self.traffic is not None:
                    self.traffic.shut_down()
                session.release()
            except RuntimeError as error:
                _logger.info("the server was gone before its world could be tidied up: %s", error)
        self.traffic = None
        self._server.stop()

    # Episodes --------------------------------------------------------------------------------

    def _start(self, scenario: Scenario) -> None:
        session = self._enter(scenario.town)
        session.world.reset_all_traffic_lights()
        ego = self._spawn_ego(session, scenario)
        if ego is None:
            self.scene.clocks.failed[0] = True
            return
        self.ego = ego
        assert self.reader is not None
        self.reader.restart()
        self._started_s = session.world.get_snapshot().timestamp.elapsed_seconds
        if self.traffic is not None:
            route = scenario.route
            place = float(route.x[0]), float(route.y[0]), float(route.z[0])
            self.traffic.start(scenario.seed, place, np.array([place[:2]]))
        brake = to_carla_control(0.0, 0.0, 1.0)
        for _ in range(self.settings.warm_up_steps):
            self._advance(brake)
        self._check_start(scenario)
        stage = LiveStage(session, self.maps, self.scene, self.reader.lights, self.traffic)
        self.scripts = RouteScripts(stage, scenario)

    def _enter(self, town: str) -> LiveSession:
        """A session with that town loaded and nothing left of the last episode."""
        session = self.session
        if session is None:
            session = self.session = self._server.connect()
        if self.ego is not None:
            self._clear_episode(session)
        file = self._town_files.get(town, town)
        if self.traffic is not None and town_name(file) != session.town:
            # A TrafficManager that lives while its world is replaced can take the process with it
            self.traffic.shut_down()
            self.traffic = None
        if session.load(file):
            self._survey(session, self.maps.map_index(town))
        return session

    def _survey(self, session: LiveSession, map_index: int) -> None:
        """Find the lights of a town just loaded, check its signs, and start its traffic."""
        check_stop_signs(session.world, self.maps, map_index)
        lights = LiveLights(session.world, self.maps, map_index)
        self.reader = SceneReader(
            session.world, self.scene, lights, read_lamps=self.settings.read_lamps
        )
        if self._traffic_settings is not None:
            self.traffic = BackgroundTraffic(
                session, self.maps, map_index, self._traffic_settings, self._server.tm_port
            )

    def _spawn_ego(self, session: LiveSession, scenario: Scenario) -> carla.Vehicle | None:
        """The ego at the route's first point with its collision sensor, None if nothing fits."""
        route, library = scenario.route, session.world.get_blueprint_library()
        blueprint = first_found(library, EGO_BLUEPRINTS)
        blueprint.set_attribute("role_name", "hero")  # hybrid physics is full around heroes
        for height_m in SPAWN_HEIGHTS_M:
            pose = to_carla_transform(
                route.x[0], route.y[0], route.z[0] + height_m, float(route.yaw_rad[0])
            )
            ego = session.world.try_spawn_actor(blueprint, pose)
            if not isinstance(ego, carla.Vehicle):
                continue
            self._own = [ego.id]
            sensor = session.world.spawn_actor(
                library.find("sensor.other.collision"), carla.Transform(), attach_to=ego
            )
            self._own.append(sensor.id)
            assert isinstance(sensor, carla.Sensor)
            self._contacts = ContactLog(sensor)
            ego.apply_control(to_carla_control(0.0, 0.0, 1.0))
            return ego
        _logger.warning(
            "%s: the ego cannot be spawned at its start (%.1f, %.1f, %.1f) in %s, something stands "
            "there: the episode is given up",
            *(scenario.scenario_id, route.x[0], route.y[0], route.z[0], scenario.town),
        )
        return None

    def _check_start(self, scenario: Scenario) -> None:
        """Give an episode up whose ego fell through the road or was flung away."""
        route, motion = scenario.route, self.scene.motion
        offset_m = np.hypot(motion.x[0, EGO_SLOT] - route.x[0], motion.y[0, EGO_SLOT] - route.y[0])
        drop_m = abs(motion.z[0, EGO_SLOT] - route.z[0])
        if offset_m > LARGEST_START_OFFSET_M or drop_m > LARGEST_START_DROP_M:
            _logger.warning(
                "%s: bad spawn, the braking ego is %.1f m beside and %.1f m above or below its "
                "start: the episode is given up",
                *(scenario.scenario_id, offset_m, drop_m),
            )
            self.scene.clocks.failed[0] = True

    def _clear_episode(self, session: LiveSession) -> None:
        if self._contacts is not None:
            self._contacts.stop()
        if self.scripts is not None:
            self.scripts.clear()
        if self.traffic is not None:
            self.traffic.clear()
        session.destroy(self._own[::-1])  # sensors before what carries them
        self.ego, self._contacts, self.scripts, self._own = None, None, None, []

    # Steps -----------------------------------------------------------------------------------

    def _drive(self, steer: float, acceleration: float) -> None:
        assert self.scripts is not None
        self.scripts.step()
        steer, acceleration = self.scripts.disturbed(steer, acceleration)
        self._advance(to_carla_control(steer, max(acceleration, 0.0), max(-acceleration, 0.0)))

    def _advance(self, control: carla.VehicleControl) -> None:
        session, ego, reader, contacts = self.session, self.ego, self.reader, self._contacts
        assert session is not None
        assert ego is not None
        assert reader is not None
        assert contacts is not None
        ego.apply_control(control)
        snapshot = session.tick()
        clocks = self.scene.clocks
        # The server's clock goes on over episodes; rounded, theirs do not depend on earlier ones
        elapsed_s = snapshot.timestamp.elapsed_seconds - self._started_s
        clocks.elapsed_s[0] = round(elapsed_s, 9)
        if not reader.read(snapshot, ego):
            _logger.warning("the ego has vanished from the server: the episode is given up")
            clocks.failed[0] = True
            return
        contacts.write(snapshot.frame, self.scene, reader.slots)
        self._keep_traffic(reader)

    def _keep_traffic(self, reader: SceneReader) -> None:
        if self.traffic is None:
            return
        motion = self.scene.motion
        x, y, z = (float(part[0, EGO_SLOT]) for part in (motion.x, motion.y, motion.z))
        self.traffic.step((x, y, z), reader.vehicle_ids, reader.vehicle_places)


def first_found(library: carla.BlueprintLibrary, names: Sequence[str]) -> carla.ActorBlueprint:
    """The first of these vehicle blueprints that a server has.

    Raises:
        RuntimeError: it has none of them.
    """
    found = {blueprint.id: blueprint for blueprint in library.filter("vehicle.*")}
    for name in names:
        if name in found:
            if name != names[0]:
                _logger.warning("the server has no %s: the ego is a %s", names[0], name)
            return found[name]
    raise RuntimeError(f"the server has none of the ego's blueprints {', '.join(names)}")
