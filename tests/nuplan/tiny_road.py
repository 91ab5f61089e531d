"""One scenario of the tiny data set on disk, and worlds and environments that drive it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate

from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.log_reader import read_scenarios
from sim_adapters.nuplan.scenario_filter import parse_filter
from sim_adapters.nuplan.scenario_log import LoggedScenario
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator, Traffic
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import empty_scene
from sim_adapters.simulator import Simulator
from tests.nuplan.tiny_log import TinyLog, write_log
from tests.nuplan.tiny_map import LOCATION, VERSIONS, write_map

SLOTS, POINTS, AREAS = 64, 160, 32
NO_INFRACTION_ENDS = (  # random weights leave the road within a second
    "~reward.terminations.collision",
    "~reward.terminations.off_road",
    "reward.penalised=[]",
    "reward.forfeiting=[]",
)


@dataclass(frozen=True)
class Road:
    """Files of one log, and its scenarios in order of their tagged frames."""

    root: Path
    maps: MapBank
    scenarios: tuple[LoggedScenario, ...]

    @property
    def scenario(self) -> LoggedScenario:
        """The first of them."""
        return self.scenarios[0]


class OneScenario:
    """A source that knows one scenario."""

    def __init__(self, scenario: LoggedScenario) -> None:
        self.scenario = scenario

    def next_scenario(self, world: int, episode: int) -> LoggedScenario:
        """The one that it knows."""
        del world, episode
        return self.scenario


def make_road(root: Path, log: TinyLog) -> Road:
    """Write the tiny map and the log below `root` and read the scenarios of its lane changes."""
    write_map(root / "maps", locations=VERSIONS)
    path = write_log(root / "logs" / "2021.01.01.a.db", log)
    maps = load_nuplan_maps(root / "maps", [LOCATION])
    found = read_scenarios(path, parse_filter({"scenario_types": ["changing_lane"]}, "test"), maps)
    return Road(root, maps, tuple(logged_scenario(log) for log in found))


def batch_world(road: Road, traffic: Traffic = "log") -> Simulator:
    """One world of kernels."""
    return NuplanSimulator(
        road.maps,
        1,
        traffic=traffic,
        max_actors=SLOTS - 1,
        max_route_points=POINTS,
        max_route_areas=AREAS,
    )


def devkit_world(road: Road, traffic: Traffic = "log") -> Simulator:
    """One world of the devkit's, in this process."""
    from sim_adapters.nuplan.devkit.simulator import DevkitWorld

    scene = empty_scene(
        1,
        SLOTS,
        num_lights=road.maps.max_lights,
        num_route_points=POINTS,
        num_route_areas=AREAS,
    )
    return DevkitWorld(road.maps, road.root / "logs", road.root / "maps", traffic, scene)


def make_env(simulator: Simulator, road: Road, *overrides: str) -> DrivingVectorEnv:
    """CaRL's nuPlan environment over a simulator."""
    config = compose_training_config(["experiment=carl_nuplan", *overrides])
    return DrivingVectorEnv(
        DrivingWorlds(
            simulator,
            instantiate(config.observation),
            instantiate(config.detector),
            instantiate(config.env.action_layout),
        ),
        OneScenario(road.scenario),
        instantiate(config.reward),
    )
