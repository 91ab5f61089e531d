"""Every experiment composes, its components build, and no YAML is out of date."""

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from carl_planner.policy import ActorCritic
from carl_planner.ppo import PpoSettings
from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.nuplan_events.detector import NuplanDetector

CONFIGS = Path(__file__).parents[1] / "configs"
EXPERIMENTS = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
NEEDS_DEVKIT = {"simulator=nuplan_devkit"}
CHOICES = [
    pytest.param(choice, marks=[pytest.mark.nuplan] if choice in NEEDS_DEVKIT else [])
    for group in ("reward", "detector", "observation", "ppo", "simulator", "scenarios")
    for choice in sorted(f"{group}={path.stem}" for path in (CONFIGS / group).glob("*.yaml"))
]
GIVEN_BY_THE_ENVIRONMENT = {"pixels_per_meter"}  # that of the observation
POLICIES = [
    ("policy=carl", "observation=carl_bev"),
    ("policy=roach", "observation=roach_bev"),
    ("policy=small_cnn", "observation=carl_bev_64"),
    ("policy=carl_nuplan", "observation=nuplan_bev"),
    ("policy=small_cnn", "observation=nuplan_bev_64"),
    ("policy=mlp", "observation=vector"),
    ("policy=mlp", "observation=vector_driver"),
    ("policy=set_encoder", "observation=vector_driver"),
]


def check_keywords(component: partial[Any]) -> None:
    """What only the simulator can call later must at least know its keywords."""
    inspect.signature(component.func).bind_partial(*component.args, **component.keywords)


def build_policy(config: DictConfig, space: spaces.Dict) -> ActorCritic:
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    return instantiate(config.policy, observation_space=space, action_space=action_space)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_composes_and_its_components_build(name: str) -> None:
    config = compose_training_config([f"experiment={name}"])
    OmegaConf.resolve(config)
    observer = instantiate(config.observation)
    assert isinstance(instantiate(config.detector), DetectorSettings | NuplanDetector)
    instantiate(config.reward)
    build_policy(config, observer.space)
    settings: PpoSettings = instantiate(config.ppo)
    assert settings.num_updates >= 1
    check_keywords(instantiate(config.simulator))
    check_keywords(instantiate(config.scenarios))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_opens_with_the_line_that_starts_it(name: str) -> None:
    package, command, *_ = (CONFIGS / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert package == "# @package _global_"
    assert command.endswith(f"-m carl_planner.train experiment={name}")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_of_a_group_builds_and_sets_every_option(choice: str) -> None:
    group = choice.split("=")[0]
    path = ("scenarios.path=routes.xml",) if choice == "scenarios=route_file" else ()
    node = compose_training_config([choice, *path])[group]
    component = instantiate(node)
    if isinstance(component, partial):
        check_keywords(component)
    parameters = inspect.signature(get_object(node._target_)).parameters.values()
    optional = {p.name for p in parameters if p.default is not p.empty}
    assert optional <= node.keys() | GIVEN_BY_THE_ENVIRONMENT


@pytest.mark.parametrize(("policy", "observation"), POLICIES)
def test_every_policy_builds_for_its_observation(policy: str, observation: str) -> None:
    config = compose_training_config([policy, observation])
    network = build_policy(config, instantiate(config.observation).space)
    assert sum(parameter.numel() for parameter in network.parameters()) > 10_000


def test_an_experiment_also_sets_keys_of_the_training_itself() -> None:
    """A small network on two threads is many times slower as soon as another process computes."""
    for name in ("demo", "scaling_vector", "driver", "carla_small"):
        config = compose_training_config([f"experiment={name}"])
        assert (config.num_threads, config.num_collect_threads) == (1, 1), name
    assert compose_training_config(["experiment=demo", "num_threads=2"]).num_threads == 2
