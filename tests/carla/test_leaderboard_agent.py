"""evaluation/carla_agent.py with its checkpoints on the headless server, without the leaderboard.

The leaderboard's classes that the agent builds on are stood in for; the server, the world that is
read from it, the observation and the networks are real. The leaderboard itself drives it in
tests/evaluation/leaderboard/test_with_the_leaderboard.py.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import carla
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from evaluation.leaderboard_jobs.evaluator_process import AGENT
from tests.carla.conftest import STEP_S
from tests.evaluation.leaderboard.constant_checkpoints import save_constant_policy

START = carla.Location(x=200.0, y=2.0)
ROUTE_M = 60
Drive = Callable[[dict[str, Any], int], list[carla.VehicleControl]]


class AutonomousAgent:
    """What the leaderboard's base class does for ours: nothing but take the thinned plan."""

    def set_global_plan(self, gps_plan: list, world_plan: list) -> None:
        """The base class thins it out for agents that are not privileged."""


@pytest.fixture
def hero(world: carla.World) -> Iterator[carla.Vehicle]:
    place = world.get_map().get_waypoint(START).transform
    place.location.z += 0.5
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    blueprint.set_attribute("role_name", "hero")
    vehicle = world.spawn_actor(blueprint, place)
    assert isinstance(vehicle, carla.Vehicle)
    world.tick()
    yield vehicle
    vehicle.destroy()


class Criterion:
    """What the agent listens to of scenario_runner's criteria."""

    def initialise(self) -> None: ...

    def terminate(self, new_status: object) -> None: ...


class Blackboard:
    """What it listens to of py_trees."""

    def set(self, name: str, value: object, overwrite: bool = True) -> None: ...


@pytest.fixture
def agent_class(
    world: carla.World, hero: carla.Vehicle, monkeypatch: pytest.MonkeyPatch
) -> type[Any]:
    """The agent's class, loaded from its file as the evaluator does it."""
    provider = types.SimpleNamespace(
        get_world=lambda: world, get_hero_actor=lambda: hero, get_map=world.get_map
    )
    offered = {
        "leaderboard.autoagents.autonomous_agent": {
            "AutonomousAgent": AutonomousAgent,
            "Track": types.SimpleNamespace(MAP="MAP"),
        },
        "srunner.scenariomanager.carla_data_provider": {"CarlaDataProvider": provider},
        "srunner.scenarios.background_activity": {"BackgroundBehavior": object},
        "srunner.scenariomanager.scenarioatomics.atomic_criteria": {"CollisionTest": Criterion},
        "py_trees": {"blackboard": types.SimpleNamespace(Blackboard=Blackboard)},
        "osc2_scenario": {},
    }
    for name, content in offered.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            parent = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("carla_agent", AGENT)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, loaded.get_entry_point())


def set_up(
    agent_class: type[Any], folder: Path, config: dict[str, Any], plan: list[carla.Transform]
) -> Any:
    """An agent of this configuration on a plan, before its first tick."""
    path = folder / "agent.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    agent = agent_class()
    agent.set_global_plan([], [(point, None) for point in plan])
    agent.setup(str(path))
    return agent


@pytest.fixture
def drive(world: carla.World, hero: carla.Vehicle, agent_class: type[Any], tmp_path: Path) -> Drive:
    """Drives so many ticks as the evaluator does; the controls of all of them."""

    def run(config: dict[str, Any], num_ticks: int) -> list[carla.VehicleControl]:
        start = world.get_map().get_waypoint(START)
        points = [start, *(start.next(float(metres))[0] for metres in range(1, ROUTE_M + 1))]
        agent = set_up(agent_class, tmp_path, config, [point.transform for point in points])
        controls = []
        for tick in range(num_ticks):
            controls.append(agent.run_step({}, tick * STEP_S))
            hero.apply_control(controls[-1])
            world.tick()
        agent.destroy()
        return controls

    return run


def test_a_checkpoint_drives_after_two_ticks_of_full_brake(drive: Drive, tmp_path: Path) -> None:
    checkpoint = save_constant_policy(tmp_path / "model_final.pt", 0.3, 0.7)
    controls = drive({"checkpoint": str(checkpoint)}, 6)
    assert [(control.throttle, control.brake) for control in controls[:2]] == [(0.0, 1.0)] * 2
    for control in controls[2:]:
        assert control.steer == pytest.approx(0.3, abs=1e-6)  # CARLA's right, as in the network
        assert (control.throttle, control.brake) == (pytest.approx(0.7, abs=1e-6), 0.0)


def save_released_weights(path: Path) -> Path:
    """A state dict as CaRL publishes it, of a fresh network."""
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("train", ["experiment=carl_embedded"])
    space = instantiate(config.observation).space
    policy = instantiate(
        config.policy, observation_space=space, action_space=spaces.Box(-1.0, 1.0, (2,))
    )
    torch.save(policy.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("is_released", "route", "takes_plan"),
    [(True, None, True), (False, None, False), (True, "smooth", False), (False, "plan", True)],
)
def test_released_weights_take_the_evaluators_plan_point_by_point(
    agent_class, world, tmp_path, is_released, route, takes_plan
) -> None:
    path = tmp_path / "model.pt"
    save_released_weights(path) if is_released else save_constant_policy(path, 0.0, 0.5)
    start = world.get_map().get_waypoint(START)
    legs = [*range(20), 19, *range(18, ROUTE_M)]  # two legs that overlap, as CARLA joins them
    points = [start.next(metres + 1e-3)[0].transform for metres in legs]
    config = {"checkpoint": str(path), "route": route}
    agent = set_up(agent_class, tmp_path, config, points)
    x = agent._world.scene.routes.x[0]
    assert (len(x) == len(points)) is takes_plan
    if takes_plan:
        np.testing.assert_array_equal(x, [point.location.x for point in points])


def test_an_ensemble_drives_with_the_mean_of_both(
    drive: Drive, hero: carla.Vehicle, tmp_path: Path
) -> None:
    pair = [
        save_constant_policy(tmp_path / "model_final_0.pt", 0.3, 0.7),
        save_constant_policy(tmp_path / "model_final_1.pt", -0.3, 0.1),
    ]
    controls = drive({"checkpoint": [str(path) for path in pair]}, 30)
    for control in controls[2:]:
        assert control.steer == pytest.approx(0.0, abs=1e-6)
        assert (control.throttle, control.brake) == (pytest.approx(0.4, abs=1e-6), 0.0)
    assert hero.get_location().x > START.x + 0.5  # it has set off along the lane
    assert hero.get_location().y == pytest.approx(START.y, abs=0.2)


def test_a_negative_acceleration_is_brake_alone(drive: Drive, tmp_path: Path) -> None:
    checkpoint = save_constant_policy(tmp_path / "model_final.pt", 0.0, -0.6)
    control = drive({"checkpoint": str(checkpoint)}, 4)[-1]
    assert (control.throttle, control.brake) == (0.0, pytest.approx(0.6, abs=1e-6))
