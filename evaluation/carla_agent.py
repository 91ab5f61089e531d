"""Our planners as an agent of the unmodified CARLA leaderboard 2.x, track MAP.

    python $LEADERBOARD_ROOT/leaderboard/leaderboard_evaluator.py --track MAP
        --agent evaluation/carla_agent.py --agent-config AGENT.yaml --routes ROUTES.xml

The simulator ticks at 20 Hz and an action is held for two ticks, as CaRL evaluates. The agent is
privileged: it reads the true state of the world through the same scene and observation code that
it was trained with. `evaluation.longest6_official` runs it on many servers at once.
"""

from __future__ import annotations

import logging
import math
import sys
import types
from typing import Any

import carla
import numpy as np

# The leaderboard imports every file of scenario_runner's `scenarios` folder. That of OpenSCENARIO
# 2.0 needs antlr 4.10, hydra needs 4.9, and no route uses it: an empty module takes its place.
sys.modules.setdefault("osc2_scenario", types.ModuleType("osc2_scenario"))

from leaderboard.autoagents.autonomous_agent import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    AutonomousAgent,
    Track,
)
from srunner.scenariomanager.carla_data_provider import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    CarlaDataProvider,
)

from evaluation.leaderboard_agent.agent_config import read_agent_config  # noqa: E402
from evaluation.leaderboard_agent.agent_planner import AgentParts, build_agent_parts  # noqa: E402
from evaluation.leaderboard_agent.live_drive import LiveDrive  # noqa: E402
from evaluation.planners import Planner  # noqa: E402
from sim_adapters.carla.frames import from_carla_location, to_carla_control  # noqa: E402
from sim_adapters.carla.live_lights import LiveLights  # noqa: E402
from sim_adapters.carla.scene_reader import SceneReader  # noqa: E402
from sim_adapters.maps.planned_route import route_of_plan  # noqa: E402
from sim_adapters.maps.router import Router  # noqa: E402
from sim_adapters.scene.scenario import Scenario  # noqa: E402

FULL_BRAKE = (0.0, -1.0)  # steer, acceleration
_log = logging.getLogger(__name__)


def get_entry_point() -> str:
    """Name of the agent's class, which the evaluator asks for."""
    return "CarlAgent"


class CarlAgent(AutonomousAgent):
    """A checkpoint, an ensemble of them, or a rule-based planner on one route."""

    def setup(self, path_to_conf_file: str) -> None:
        """Load the planner; `path_to_conf_file` is the YAML file or the checkpoint."""
        self.track = Track.MAP
        parts = build_agent_parts(read_agent_config(path_to_conf_file))
        self._config = parts.config
        self._world = LiveWorld(parts, self._dense_plan)
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
        """The control of this tick; every `decision_ticks` a new one."""
        del input_data
        config, tick = self._config, self._num_ticks
        if tick == 0:
            self._world.begin(timestamp)
        self._num_ticks += 1
        if tick >= config.start_ticks and (tick - config.start_ticks) % config.decision_ticks == 0:
            self._action = self._world.decide(timestamp)
        steer, acceleration = self._action
        return to_carla_control(steer, max(acceleration, 0.0), max(-acceleration, 0.0))


class LiveWorld:
    """The leaderboard's world, its hero and the drive through it.

    Args:
        parts: Of the agent.
        plan: Dense plan in CARLA's frame.
    """

    def __init__(self, parts: AgentParts, plan: list[carla.Transform]) -> None:
        world = CarlaDataProvider.get_world()
        self.hero: carla.Vehicle = CarlaDataProvider.get_hero_actor()
        self._carla_world, self._started_s = world, 0.0
        town = CarlaDataProvider.get_map().name.rsplit("/", 1)[-1]
        maps = parts.load_maps(town)
        position = np.array([from_carla_location(point.location) for point in plan])
        yaw_rad = np.array([-math.radians(point.rotation.yaw) for point in plan])
        route = route_of_plan(Router(maps), town, position, yaw_rad)
        scenario = Scenario(scenario_id=town, town=town, route=route, seed=0)
        self.drive: LiveDrive = parts.make_drive(maps, scenario)
        self.planner: Planner = parts.make_planner(self.drive)
        lights = LiveLights(world, maps, maps.map_index(town))
        self.reader = SceneReader(
            world, self.drive.scene, lights, read_lamps=parts.config.read_lamps
        )

    def begin(self, timestamp: float) -> None:
        """The episode starts with the world as it is now."""
        self._started_s = timestamp
        self._read(timestamp)
        self.drive.begin(self.planner)

    def decide(self, timestamp: float) -> tuple[float, float]:
        """Steer (left positive) and acceleration for the world as it is now."""
        if not self._read(timestamp):
            return FULL_BRAKE
        return self.drive.decide(self.planner)

    def _read(self, timestamp: float) -> bool:
        self.drive.scene.clocks.elapsed_s[0] = timestamp - self._started_s
        return self.reader.read(self._carla_world.get_snapshot(), self.hero)
