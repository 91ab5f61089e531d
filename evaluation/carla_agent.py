"""Our drivers as an agent of the unmodified CARLA leaderboard 2.x, track MAP.

    python -m evaluation.leaderboard_jobs.evaluator_start \
        $LEADERBOARD_ROOT/leaderboard/leaderboard_evaluator.py --track=MAP \
        --agent=evaluation/carla_agent.py --agent-config=AGENT.yaml --routes=ROUTES.xml

The simulator ticks at 20 Hz and an action is held for two ticks, as CaRL evaluates, times the
checkpoint's `env.action_repeat`. The agent is
privileged: it reads the true state of the world through the same scene and observation code that
it was trained with. `evaluation.longest6_official` runs it on many servers at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import carla
import numpy as np
import py_trees  # pyright: ignore[reportMissingImports]

from evaluation.leaderboard_agent.scenario_runner_repair import (
    leave_out_openscenario,
    repair_scenario_runner,
)

leave_out_openscenario()  # where the evaluator was started by its own command

from leaderboard.autoagents.autonomous_agent import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    AutonomousAgent,
    Track,
)
from srunner.scenariomanager.carla_data_provider import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    CarlaDataProvider,
)
from srunner.scenariomanager.scenarioatomics.atomic_criteria import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    CollisionTest,
)
from srunner.scenarios.background_activity import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    BackgroundBehavior,
)

from evaluation.leaderboard_agent.agent_parts import (  # noqa: E402
    AgentParts,
    LiveDrive,
    build_agent_parts,
    read_agent_config,
)
from evaluation.leaderboard_agent.tick_recording import (  # noqa: E402
    CriteriaLog,
    TickRecorder,
    official_stop_lines,
)
from sim_adapters.carla.contact_log import ContactLog  # noqa: E402
from sim_adapters.carla.frames import from_carla_transform, to_carla_control  # noqa: E402
from sim_adapters.carla.live_lights import LiveLights  # noqa: E402
from sim_adapters.carla.scene_reader import SceneReader  # noqa: E402
from sim_adapters.maps.router import (  # noqa: E402
    Router,
    route_of_plan,
    route_of_points,
)
from sim_adapters.scene.scenario import Scenario  # noqa: E402

FULL_BRAKE = (0.0, -1.0)  # steer, acceleration


def get_entry_point() -> str:
    """Name of the agent's class, which the evaluator asks for."""
    return "CarlAgent"


class CarlAgent(AutonomousAgent):
    """The driver of its configuration on one route."""

    _recording: LiveRecording | None = None  # also where `setup` failed, whose reason is to show

    def setup(self, path_to_conf_file: str) -> None:
        """Load the driver; `path_to_conf_file` is the YAML file or the checkpoint."""
        self.track = Track.MAP
        parts = build_agent_parts(read_agent_config(path_to_conf_file))
        if parts.config.repair_scenario_runner:
            repair_scenario_runner(BackgroundBehavior)
        self._config = parts.config
        self._world = LiveWorld(parts, self._dense_plan)
        self._recording = LiveRecording(self._world) if parts.config.recording else None
        self._num_ticks = 0
        self._action = FULL_BRAKE

    def sensors(self) -> list[dict[str, Any]]:
        """One sensor, which it does not look at: the leaderboard calls a result without invalid."""
        pose = dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0)
        return [{"type": "sensor.other.imu", "id": "imu", **pose}]

    def set_global_plan(self, global_plan_gps: list, global_plan_world_coord: list) -> None:
        """Keep the dense plan beside the thinned one of the base class."""
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self._dense_plan = [transform for transform, _ in global_plan_world_coord]

    def run_step(self, input_data: dict[str, Any], timestamp: float) -> carla.VehicleControl:
        """The control of this tick; every `decision_ticks` a step of the drive."""
        del input_data
        config, world, tick = self._config, self._world, self._num_ticks
        self._num_ticks += 1
        decides = tick >= config.start_ticks and (
            (tick - config.start_ticks) % config.decision_ticks == 0
        )
        if (tick == 0 or decides or self._recording) and not world.read(timestamp):
            self._action = FULL_BRAKE  # the hero has gone: the evaluator is about to end the route
        elif tick == 0:
            world.drive.begin()
        elif decides:
            self._action = world.drive.decide()
        if self._recording:
            self._recording.add_tick()
        steer, acceleration = self._action
        return to_carla_control(steer, max(acceleration, 0.0), max(-acceleration, 0.0))

    def destroy(self) -> None:
        """The route has ended: write what was recorded of it."""
        if self._recording:
            self._recording.save(Path(self._config.recording))
            self._recording = None


class LiveWorld:
    """The leaderboard's world, its hero and the drive through it.

    Args:
        parts: Of the agent.
        plan: Dense plan in CARLA's frame.
    """

    def __init__(self, parts: AgentParts, plan: list[carla.Transform]) -> None:
        self.carla_world: carla.World = CarlaDataProvider.get_world()
        self.hero: carla.Vehicle = CarlaDataProvider.get_hero_actor()
        self.town = CarlaDataProvider.get_map().name.rsplit("/", 1)[-1]
        self.plan = np.array([from_carla_transform(point) for point in plan])
        maps = parts.load_maps(self.town)
        make_route = route_of_points if parts.takes_plan else route_of_plan
        route = make_route(Router(maps), self.town, self.plan[:, :3], self.plan[:, 3])
        scenario = Scenario(scenario_id=self.town, town=self.town, route=route, seed=0)
        self.drive: LiveDrive = parts.make_drive(maps, scenario)
        self.scene = self.drive.worlds.scene
        lights = LiveLights(self.carla_world, maps, maps.map_index(self.town))
        self.reader = SceneReader(
            self.carla_world, self.scene, lights, read_lamps=parts.config.read_lamps
        )
        self._started_s: float | None = None

    def read(self, timestamp: float) -> bool:
        """Bring the scene up to date; False if the hero is no longer there."""
        if self._started_s is None:
            self._started_s = timestamp
        self.scene.clocks.elapsed_s[0] = timestamp - self._started_s
        return self.reader.read(self.carla_world.get_snapshot(), self.hero)


class LiveRecording:
    """Every tick of the drive with its contacts, for `evaluation.leaderboard_parity`."""

    def __init__(self, world: LiveWorld) -> None:
        self._world = world
        self._recorder = TickRecorder(world.town, world.plan)
        actors = world.carla_world.get_actors().filter("traffic.traffic_light*")
        self._lights = [actor for actor in actors if isinstance(actor, carla.TrafficLight)]
        self._stop_lines = official_stop_lines(self._lights, CarlaDataProvider.get_map())
        self._criteria = CriteriaLog(py_trees.blackboard.Blackboard, CollisionTest)
        blueprint = world.carla_world.get_blueprint_library().find("sensor.other.collision")
        sensor = world.carla_world.spawn_actor(blueprint, carla.Transform(), attach_to=world.hero)
        assert isinstance(sensor, carla.Sensor)
        self._sensor = sensor
        self._contacts = ContactLog(self._sensor)
        self._num_ticks = 0

    def add_tick(self) -> None:
        """Keep the scene as it was just read."""
        world, scene = self._world, self._world.scene
        snapshot = world.carla_world.get_snapshot()
        self._contacts.write(snapshot.frame, scene, world.reader.slots)
        hero = snapshot.find(world.hero.id)
        place = from_carla_transform(hero.get_transform()) if hero is not None else None
        states = [int(light.state) for light in self._lights]
        self._recorder.add(scene, background_speed_mps(), ego_place=place, light_states=states)
        self._criteria.tick = self._num_ticks
        self._num_ticks += 1

    def save(self, path: Path) -> None:
        """Write the file and take the sensor out of the world."""
        self._contacts.stop()
        self._sensor.destroy()
        self._criteria.stop()
        self._recorder.save(
            path, stop_lines=self._stop_lines, criteria_events=self._criteria.rows()
        )


def background_speed_mps() -> float:
    """Mean speed of the leaderboard's background vehicles, as its criterion takes it."""
    vehicles = CarlaDataProvider.get_all_actors().filter("vehicle.*")
    speeds = [
        CarlaDataProvider.get_velocity(vehicle)
        for vehicle in vehicles
        if vehicle.attributes["role_name"] == "background"
    ]
    return sum(speeds) / len(speeds) if speeds else math.nan
