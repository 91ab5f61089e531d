"""Parts stepped apart: the same rollouts and losses, while the policy acts for another."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_goal_env import PointGoalEnv
from train_runs import losses, train

from carl_planner.collector import Collector
from carl_planner.features import VectorFeatures
from carl_planner.parted_env import PartedEnv, make_parts
from carl_planner.policy import ActorCritic
from carl_planner.rollout_buffer import RolloutBuffer, make_storage
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.driving.worlds import allocate
from sim_adapters.gymnasium_envs import compose_training_config

CPU = torch.device("cpu")
HALVED = "ppo.collect_parts=2"


def collector_of(env: Any, num_steps: int) -> Collector:
    torch.manual_seed(0)
    features = partial(VectorFeatures, widths=(16,))
    policy = ActorCritic(env.single_observation_space, env.single_action_space, features=features)
    buffer = RolloutBuffer(
        make_storage("pixels", env, num_steps=num_steps, device=CPU),
        num_steps=num_steps,
        num_envs=env.num_envs,
        num_actions=2,
        device=CPU,
    )
    collector = Collector(env, policy, buffer, bootstrap_on_truncation=False)
    collector.reset(0)
    return collector


def test_a_run_of_halves_learns_what_a_run_of_the_whole_learns(tmp_path: Path) -> None:
    whole, apart = tmp_path / "whole", tmp_path / "apart"
    short = ("experiment=point_goal", "ppo.total_samples=5120")
    for storage in ("pixels", "scene"):
        train(whole / storage, *short, f"ppo.rollout_storage={storage}")
        train(apart / storage, *short, f"ppo.rollout_storage={storage}", HALVED)
        # The generator's draws come in the same order; products of half a batch may round apart
        for ours, theirs in zip(losses(apart / storage), losses(whole / storage), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)


def test_a_run_of_halves_resumes_and_only_as_such(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    constant = "ppo.lr_schedule._target_=carl_planner.schedules.constant"
    halves = ("experiment=point_goal", HALVED, constant)
    train(whole, *halves, "ppo.total_samples=4096")
    train(resumed, *halves, "ppo.total_samples=2048")
    refused = train(resumed, f"resume={resumed}", "ppo.collect_parts=4", check=False)
    assert "in 2 parts, this run's in 4: leave ppo.collect_parts as it was" in refused.stderr
    train(resumed, f"resume={resumed}", "ppo.total_samples=4096")
    assert len(losses(resumed)) == 8
    assert losses(resumed) == losses(whole)


def test_worlds_that_do_not_split_are_refused() -> None:
    with pytest.raises(ValueError, match="the 3 worlds of a process do not split"):
        make_parts(lambda num_envs, rank: PointGoalEnv(num_envs, rank=rank), 3, 0, 2)


class WaitingEnv(PointGoalEnv):
    """Every step waits until the policy has acted for the other half."""

    def __init__(self, num_envs: int, rank: int) -> None:
        super().__init__(num_envs, rank=rank)
        self.other_acted = threading.Semaphore(0)

    def step(self, actions: np.ndarray) -> Any:
        assert self.other_acted.acquire(timeout=60), "nobody acted while this half was stepped"
        return super().step(actions)


def test_the_policy_acts_for_one_half_while_the_other_is_stepped() -> None:
    halves: list[WaitingEnv] = []

    def make(num_envs: int, rank: int) -> WaitingEnv:
        halves.append(WaitingEnv(num_envs, rank))
        return halves[-1]

    env = make_parts(make, 4, 0, 2)
    collector = collector_of(env, num_steps=3)
    act = collector.policy.act
    num_acts = 0

    def counted(observation: Any) -> Any:
        nonlocal num_acts
        num_acts += 1
        if num_acts > 1:  # the first half's first step waits for the second half's decision
            halves[num_acts % 2].other_acted.release()  # acts are for halves 0, 1, 0, ...
        return act(observation)

    collector.policy.act = counted

    def after(t: int) -> None:
        if t == 2:  # nobody decides after the last steps have begun
            halves[1].other_acted.release()

    assert collector.collect(lambda: False, after) is not None
    assert num_acts == 6
    env.close()


class BrokenEnv(PointGoalEnv):
    def step(self, actions: np.ndarray) -> Any:
        raise RuntimeError("a wheel came off")


def test_an_error_in_a_half_ends_the_collection() -> None:
    env = PartedEnv([PointGoalEnv(2), BrokenEnv(2, rank=1)])
    with pytest.raises(RuntimeError, match="a wheel came off"):
        collector_of(env, num_steps=3).collect(lambda: False, lambda t: None)
    env.close()


def test_driving_worlds_drive_the_same_in_parts_as_together() -> None:
    import hydra.utils

    small = (
        *("simulator.towns=[Town02]", "simulator.traffic.num_vehicles=6"),
        *("simulator.max_vehicles=8", "simulator.warm_up_s=0.2", "scenarios.length_m=200.0"),
        *("scenarios.scenario_triggers=false", "scenarios.time_limit_s=2.0"),
    )
    config = compose_training_config(list(small))

    def make(num_envs: int, rank: int) -> DrivingVectorEnv:
        return hydra.utils.instantiate(config.env, num_envs=num_envs, rank=rank, seed=3)

    whole, apart = make(4, 0), make_parts(make, 4, 0, 4)
    rows = [allocate(whole.single_observation_space.spaces, 31, 4) for _ in range(2)]
    assert isinstance(apart, PartedEnv)
    for env, bound in zip((whole, apart), rows, strict=True):
        env.bind(bound)
        env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions = rng.uniform(-0.5, 1.0, (4, 2)).astype(np.float32)
        reward, terminated = whole.step(actions)[1:3]
        for part in apart.parts:
            part.start(actions[part.worlds])
        results = [part.wait() for part in apart.parts]
        np.testing.assert_array_equal(np.concatenate([r[1] for r in results]), reward)
        np.testing.assert_array_equal(np.concatenate([r[2] for r in results]), terminated)
    for name, array in rows[0].items():
        np.testing.assert_array_equal(rows[1][name], array)
    assert rows[0]["vector"][1:].any()
    whole.close()
    apart.close()
