"""Steps nuPlan-devkit's own Simulation objects in processes, behind our Simulator protocol.

The slow, true backend: the devkit reads its databases, moves ego and agents and keeps the time; we
copy what it shows into the scene. Raster, events, reward and learner can't tell it from
`NuplanSimulator`.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from nuplan.common.actor_state.ego_state import EgoState
from nuplan.common.actor_state.state_representation import TimePoint
from nuplan.planning.script.builders.observation_builder import build_observations
from nuplan.planning.simulation.simulation import Simulation
from nuplan.planning.simulation.simulation_setup import SimulationSetup
from nuplan.planning.utils.multithreading.worker_sequential import Sequential

from sim_adapters.embedded.world_start import write_route
from sim_adapters.flat_keys import flat_keys
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.devkit.challenge import devkit_config
from sim_adapters.nuplan.devkit.controller import ActionTrajectory, OneStageController
from sim_adapters.nuplan.devkit.scene import (
    lights_of_map,
    write_devkit_ego,
    write_devkit_lights,
    write_devkit_tracks,
)
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator_factory import ScenarioMaps, WantedRoom
from sim_adapters.nuplan.simulator_start import (
    RouteBlocks,
    checked_log,
    place_ego,
    start_clocks,
    write_route_areas,
)
from sim_adapters.nuplan.slot_demand import Traffic
from sim_adapters.nuplan.trackers import command_actions_range, empty_commands
from sim_adapters.process_pool import PoolSettings, ProcessPool
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.nuplan_events.area_index import vector_map
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch, empty_scene

_MODES = {"log": "nonreactive", "idm": "reactive"}
_MICROSECOND_S = 1e-6


class DevkitWorld:
    """One world (a `Simulator`), whose scenarios are looked up in the devkit's logs by token.

    Args:
        maps: With `vector`; the devkit reads the same files on its own.
        data_root: Folder of .db logs.
        map_root: Folder of the maps.
        traffic: "log" replays all tracks, "idm" drives the vehicles with the devkit's IDM agents.
        scene: One empty world.
    """

    def __init__(
        self, maps: MapBank, data_root: Path, map_root: Path, traffic: Traffic, scene: SceneBatch
    ) -> None:
        self.maps, self.scene = maps, scene
        self.traffic: Traffic = traffic
        self._config = devkit_config(data_root, map_root, "simple", _MODES[traffic])
        self._builder = instantiate(self._config.scenario_builder)
        self._builder_worker = Sequential()  # announces itself in the log: once is enough
        self._motion_model = instantiate(self._config.ego_controller.motion_model)
        self._blocks = RouteBlocks(vector_map(maps))
        self._commands = empty_commands(1)
        self._simulation: Simulation | None = None
        self._actor_ids: dict[str, int] = {}
        self._lights: dict[int, int] = {}
        self._start_us = 0

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start the only scenario in the only world.

        Raises:
            ValueError: a scenario without a log, or whose token the devkit doesn't find.
        """
        del worlds
        (scenario,) = scenarios
        log = checked_log(scenario, self.scene, self.traffic)
        map_index = self.maps.map_index(scenario.town)
        place_ego(self.scene, 0, log)
        write_route(self.scene, 0, scenario)
        passed = self._blocks.rows(map_index, log.corrected_route_fids)
        write_route_areas(self.scene, 0, passed)
        start_clocks(self.scene, 0, scenario, log, map_index)
        self._lights = lights_of_map(self.maps, map_index)
        self._actor_ids = {token: row + 1 for row, token in enumerate(log.track_tokens)}
        self._start_us = int(log.ego.time_us[0])
        simulation = self._simulation = self._simulate(log)
        simulation.initialize()
        self._show(simulation)

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Drive to the next frame; a world at its last frame stays there.

        Raises:
            RuntimeError: no episode has begun.
        """
        if self._simulation is None:
            raise RuntimeError("reset this world before its first step")
        if not self._simulation.is_simulation_running():
            return
        ego = self.scene.ego
        command_actions_range(0, 1, steer, acceleration, self.scene.body, self._commands)
        ego.steer[:] = steer
        np.maximum(acceleration, 0.0, out=ego.throttle)
        np.maximum(-acceleration, 0.0, out=ego.brake)
        state, _ = self._simulation.get_planner_input().history.current_state
        commands = self._commands
        self._simulation.propagate(
            ActionTrajectory(
                [state, _later(state)],
                float(commands.acceleration_mps2[0]),
                float(commands.tyre_rate_radps[0]),
            )
        )
        self._show(self._simulation)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Refused: the devkit's simulations can't be saved."""
        raise NotImplementedError("nuplan-devkit's simulations can't be saved: see ProcessPool")

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Refused likewise."""
        del state
        raise NotImplementedError("nuplan-devkit's simulations can't be restored")

    def close(self) -> None:
        """Let the simulation go."""
        self._simulation = None

    def _simulate(self, log: ScenarioLog) -> Simulation:
        config = self._config
        wanted = instantiate(
            config.scenario_filter, scenario_tokens=[log.token], log_names=[log.log_name]
        )
        found = self._builder.get_scenarios(wanted, self._builder_worker)
        if not found:
            raise ValueError(
                f"nuplan-devkit finds no scenario {log.token} in log {log.log_name}: "
                "simulator.data_root must hold the logs that the cache was made from"
            )
        scenario = found[0]
        setup = SimulationSetup(
            time_controller=instantiate(config.simulation_time_controller, scenario=scenario),
            observations=build_observations(config.observation, scenario=scenario),
            ego_controller=OneStageController(scenario, self._motion_model),
            scenario=scenario,
        )
        past_s = config.simulation_history_buffer_duration
        return Simulation(setup, simulation_history_buffer_duration=past_s)

    def _show(self, simulation: Simulation) -> None:
        """Copy the present into the scene."""
        if not simulation.is_simulation_running():
            return
        present = simulation.get_planner_input()
        state, observation = present.history.current_state
        write_devkit_ego(self.scene, 0, state)
        tracks = observation.tracked_objects.tracked_objects
        write_devkit_tracks(self.scene, 0, tracks, self._actor_ids)
        lights = present.traffic_light_data or []
        write_devkit_lights(self.scene.lights.state[0], lights, self._lights)
        now_us = present.iteration.time_us
        self.scene.clocks.elapsed_s[0] = (now_us - self._start_us) * _MICROSECOND_S


def _later(state: EgoState) -> EgoState:
    """The same state a tenth of a second later, since a trajectory needs two."""
    return EgoState(
        car_footprint=state.car_footprint,
        dynamic_car_state=state.dynamic_car_state,
        tire_steering_angle=state.tire_steering_angle,
        is_in_auto_mode=state.is_in_auto_mode,
        time_point=TimePoint(state.time_us + 100_000),
    )


def make_world(
    number: int,
    *,
    data_root: str,
    map_root: str,
    locations: tuple[str, ...],
    map_version: str,
    traffic: Traffic,
    sizes: Mapping[str, int],
) -> DevkitWorld:
    """The world of one process."""
    del number
    maps = load_nuplan_maps(map_root, locations, map_version=map_version)
    scene = empty_scene(1, num_lights=maps.max_lights, **sizes)
    return DevkitWorld(maps, Path(data_root), Path(map_root), traffic, scene)


@flat_keys(maps=ScenarioMaps, room=WantedRoom)
def make_devkit_simulator(
    num_worlds: int,
    *,
    data_root: str | Path | None,
    maps: ScenarioMaps,
    room: WantedRoom,
    pixels_per_meter: float = 2.0,
    traffic: Traffic = "log",
    pool: PoolSettings | None = None,
) -> ProcessPool:
    """Devkit worlds, one a process.

    Args:
        num_worlds: B.
        data_root: Folder of the .db logs that the cache was made from.
        maps: Its fields are keywords, as are those of `room`.
        room: Slots and points of a world.
        pixels_per_meter: Of the (empty) picture layers.
        traffic: "log" or "idm".
        pool: How patient the pool of processes is.

    Raises:
        ValueError: no logs, or traffic of another name.
    """
    if data_root is None:
        raise ValueError("simulator.data_root is not set: name the folder of nuPlan's .db logs")
    if traffic not in _MODES:
        raise ValueError(f"simulator.traffic is {traffic!r}, expected 'log' or 'idm'")
    folder, bank = maps.folder, maps.load(pixels_per_meter)
    found = room.beside(maps.cache, traffic)
    sizes = {
        "num_slots": found.max_actors + 1,
        "num_route_points": found.max_route_points,
        "num_route_areas": found.max_route_areas,
    }
    make = partial(
        make_world,
        data_root=str(data_root),
        map_root=str(folder.root),
        locations=bank.towns,
        map_version=folder.version,
        traffic=traffic,
        sizes=sizes,
    )
    scene = empty_scene(num_worlds, num_lights=bank.max_lights, **sizes)
    return ProcessPool(make, scene, bank, pool)
