"""What an evaluation takes over from a checkpoint, and what it refuses to."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError
from evaluation.drivers.policy_driver import (
    CHECKPOINT_GROUPS,
    PolicyDriver,
    checkpoint_layout,
    refuse_ignored_groups,
    with_checkpoint_config,
)
from sim_adapters.action_layout import ActionLayout
from sim_adapters.gymnasium_envs import compose_training_config

COMMAND = OmegaConf.create(
    {"trust": [], "env": {"_target_": "the.command's", "action_layout": {"its": "own"}}}
)


@cache
def composed(*overrides: str) -> DictConfig:
    return compose_training_config(["experiment=demo", *overrides])


def training(*overrides: str) -> DictConfig:
    return deepcopy(composed(*overrides))


def touch(marker: Path) -> dict[str, Any]:
    return {
        "_target_": "sim_adapters.observation.painting.np.savetxt",
        "fname": str(marker),
        "X": [0.0],
    }


def test_a_checkpoint_brings_its_groups_and_its_action_layout() -> None:
    trained = training("env=nuplan")
    merged = with_checkpoint_config(COMMAND, trained)
    for group in CHECKPOINT_GROUPS:
        assert merged[group] == trained[group]
    assert merged.env._target_ == COMMAND.env._target_
    assert instantiate(merged.env.action_layout) == ActionLayout(
        steer_index=1, acceleration_index=0, steer_right_positive=False
    )


def test_a_checkpoint_without_a_layout_acts_as_on_carla() -> None:
    assert with_checkpoint_config(COMMAND, training()).env.action_layout is None


def test_a_checkpoint_holds_its_actions_as_long_as_in_training() -> None:
    assert with_checkpoint_config(COMMAND, training()).env.action_repeat == 1
    assert with_checkpoint_config(COMMAND, training("env.action_repeat=2")).env.action_repeat == 2
    older = training()
    del older.env.action_repeat
    assert with_checkpoint_config(COMMAND, older).env.action_repeat == 1


@pytest.mark.parametrize("found", [0, "two", "${oc.env:HOME}", {"_target_": "os.getpid"}])
def test_a_checkpoint_that_holds_for_no_number_of_steps_is_refused(found: Any) -> None:
    trained = training()
    trained.env.action_repeat = found
    with pytest.raises(CheckpointError, match="expected a number of steps"):
        with_checkpoint_config(COMMAND, trained)


def test_released_weights_leave_the_commands_groups() -> None:
    assert with_checkpoint_config(COMMAND, None) is COMMAND


@pytest.mark.parametrize("place", [*CHECKPOINT_GROUPS, "env.action_layout"])
@pytest.mark.parametrize("how", ["itself", "interpolated", "in a list"])
def test_no_part_of_a_strangers_config_calls_what_it_wants(
    place: str, how: str, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    trained = training()
    evil: Any = touch(marker)
    if how == "interpolated":
        OmegaConf.update(trained, "elsewhere", evil, force_add=True)
        evil = "${elsewhere}"
    elif how == "in a list":
        evil = {"entries": [evil]}
    OmegaConf.update(trained, place, evil, merge=False, force_add=True)
    with pytest.raises(CheckpointError, match="savetxt"):
        instantiate(OmegaConf.select(with_checkpoint_config(COMMAND, trained), place))
    assert not marker.exists()


def test_a_part_is_built_by_its_own_modules_only() -> None:
    trained = training()
    trained.reward = {"_target_": "sim_adapters.carla.servers.ServerSettings"}
    with pytest.raises(CheckpointError, match="none of the trusted packages rewards"):
        with_checkpoint_config(COMMAND, trained)
    trusting = OmegaConf.merge(COMMAND, {"trust": ["sim_adapters"]})
    assert isinstance(trusting, DictConfig)
    assert with_checkpoint_config(trusting, trained).reward == trained.reward


def test_a_config_without_an_observation_is_refused() -> None:
    trained = training()
    del trained.observation
    with pytest.raises(CheckpointError, match="no observation"):
        with_checkpoint_config(COMMAND, trained)


def test_settings_of_the_training_machine_are_left_alone() -> None:
    trained = training("env=nuplan", "simulator=nuplan", "+simulator.map_root='${oc.env:NO_MAPS}'")
    assert checkpoint_layout(trained) is not None


@pytest.mark.parametrize(
    "override", ["observation=carl_bev", "+reward.weight=2", "policy.hidden=8"]
)
def test_group_that_the_checkpoint_brings_is_refused_beside_it(monkeypatch, override):
    given = OmegaConf.create({"overrides": {"task": ["seed=1", override]}})
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: given)
    with pytest.raises(CheckpointError, match="would change nothing"):
        refuse_ignored_groups(OmegaConf.create({}))
    refuse_ignored_groups(None)  # a released state dict brings no groups


class Drawn:
    """A network that acts by its random numbers themselves."""

    draws = True

    def eval(self) -> Drawn:
        return self

    def parameters(self) -> Iterator[torch.Tensor]:
        yield torch.zeros(1)

    def drive(self, observation: dict[str, torch.Tensor], draws: torch.Tensor) -> torch.Tensor:
        return draws


class SeededWorlds:
    """Nothing but the seeds of worlds, one driver each."""

    def __init__(self, *seeds: int) -> None:
        self.num_envs = len(seeds)
        self.single_observation_space = spaces.Dict({})
        self.scene = SimpleNamespace(
            clocks=SimpleNamespace(seed=np.array(seeds, np.uint64)),
            ego=SimpleNamespace(world=np.arange(len(seeds))),
        )

    def observe(self) -> dict[str, np.ndarray]:
        return {}


def acts_of(*seeds: int, num_acts: int = 3, restarted: int | None = None) -> np.ndarray:
    """(acts, worlds, 2); one world may begin anew after the first act."""
    worlds, driver = SeededWorlds(*seeds), PolicyDriver([Drawn()])  # pyright: ignore[reportArgumentType]
    driver.begin_episodes(np.arange(len(seeds)), worlds)  # pyright: ignore[reportArgumentType]
    acts = []
    for number in range(num_acts):
        acts.append(driver.act(worlds))  # pyright: ignore[reportArgumentType]
        if number == 0 and restarted is not None:
            driver.begin_episodes(np.array([restarted]), worlds)  # pyright: ignore[reportArgumentType]
    return np.array(acts)


def test_draws_depend_on_the_worlds_seed_and_the_decision_alone() -> None:
    alone, among = acts_of(7), acts_of(3, 7, 9)
    np.testing.assert_array_equal(alone[:, 0], among[:, 1])
    assert len(np.unique(among)) == among.size  # each is another number
    assert among.min() >= 0.0
    assert among.max() < 1.0


def test_an_episode_that_begins_anew_draws_as_the_first_time() -> None:
    acts = acts_of(3, 7, restarted=1)
    np.testing.assert_array_equal(acts[0, 1], acts[1, 1])
    assert not np.array_equal(acts[0, 0], acts[1, 0])


class SeesItsNumber(SeededWorlds):
    """Each driver is shown the number of its world."""

    observer = SimpleNamespace(space=spaces.Dict({"number": spaces.Box(0, 9, (1,), np.float32)}))

    def observe(self) -> dict[str, np.ndarray]:
        return {"number": np.arange(self.num_envs, dtype=np.float32)[:, None]}


class Valued(Drawn):
    """Expects as much as the number that it sees."""

    def __call__(self, observation: dict[str, torch.Tensor]) -> SimpleNamespace:
        return SimpleNamespace(distribution=None, value=observation["number"][:, 0])

    def driven(self, distribution: None, draws: torch.Tensor) -> torch.Tensor:
        return draws


@pytest.mark.parametrize("one_at_a_time", [False, True])
def test_every_world_has_a_value_of_its_own(one_at_a_time: bool) -> None:
    worlds: Any = SeesItsNumber(1, 2, 3)
    driver = PolicyDriver([Valued()], one_at_a_time=one_at_a_time)  # pyright: ignore[reportArgumentType]
    driver.with_values = True
    driver.begin_episodes(np.arange(3), worlds)
    driver.act(worlds)
    np.testing.assert_array_equal(driver.values, [0.0, 1.0, 2.0])
