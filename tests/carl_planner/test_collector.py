"""Collection: rows, ends of episodes and bootstrapping, on the toy environment."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from point_goal_env import TIME_LIMIT, PointGoalEnv

from carl_planner.collector import Collector, RolloutStatistics
from carl_planner.features import VectorFeatures
from carl_planner.policy import ActorCritic
from carl_planner.rollout_buffer import RolloutBuffer, SceneStorage, make_storage
from carl_planner.rollout_env import as_rollout_env

CPU = torch.device("cpu")


def make_collector(
    env: Any, *, num_steps: int, storage: str = "pixels", bootstrap: bool = False
) -> Collector:
    torch.manual_seed(0)
    env = as_rollout_env(env)
    features = partial(VectorFeatures, widths=(16,))
    policy = ActorCritic(env.single_observation_space, env.single_action_space, features=features)
    buffer = RolloutBuffer(
        make_storage(storage, env, num_steps=num_steps, device=CPU),
        num_steps=num_steps,
        num_envs=env.num_envs,
        num_actions=2,
        device=CPU,
    )
    collector = Collector(env, policy, buffer, bootstrap_on_truncation=bootstrap)
    collector.reset(0)
    return collector


def collect(collector: Collector) -> RolloutStatistics:
    statistics = collector.collect(lambda: False, lambda t: None)
    assert statistics is not None
    return statistics


def test_rollouts_join_where_the_last_one_ended() -> None:
    collector = make_collector(PointGoalEnv(3), num_steps=5)
    collect(collector)
    rows = collector.buffer.storage.rows["vector"]
    last = rows[5].copy()
    collect(collector)
    np.testing.assert_array_equal(rows[0], last)
    assert not np.array_equal(rows[0], rows[1])


def test_stored_log_probs_and_values_are_the_policys() -> None:
    collector = make_collector(PointGoalEnv(3), num_steps=5)
    collect(collector)
    collector.buffer.finish(gamma=0.9, gae_lambda=0.9)
    observation, batch = collector.buffer.fetch(torch.arange(15))
    distribution, value = collector.policy(observation)
    torch.testing.assert_close(distribution.log_prob(batch["action"]), batch["log_prob"])
    torch.testing.assert_close(value, batch["value"])


def test_redrawn_minibatches_equal_stored_ones_bit_by_bit() -> None:
    pixels = make_collector(PointGoalEnv(4), num_steps=6)
    scene_env = PointGoalEnv(4)
    scene = make_collector(scene_env, num_steps=6, storage="scene")
    assert isinstance(scene.buffer.storage, SceneStorage)
    for collector in (pixels, scene):
        torch.manual_seed(1)
        collect(collector)
        collect(collector)
    indices = torch.tensor([3, 23, 0, 11])
    stored = pixels.buffer.storage.fetch(indices)
    redrawn = scene.buffer.storage.fetch(indices)
    assert scene_env.num_redrawn == 4
    for name, tensor in stored.items():
        assert torch.equal(tensor, redrawn[name])
    np.testing.assert_array_equal(pixels.buffer.value, scene.buffer.value)


def test_cut_off_episode_is_valued_at_its_last_observation() -> None:
    env = PointGoalEnv(2)
    collector = make_collector(env, num_steps=1, bootstrap=True)
    env.state[:] = [[0.0, 0.0, 1.0, 1.0, TIME_LIMIT - 1], [0.0, 0.0, 0.05, 0.0, 3]]
    collect(collector)
    buffer = collector.buffer
    assert buffer.truncated.tolist() == [[True, False]]
    moved = 0.1 * torch.from_numpy(buffer.action[0, 0])
    final = {
        "vector": (1.0 - moved)[None],
        "measurements": moved[None],
        "value_measurements": torch.ones(1, 1),
    }
    with torch.no_grad():
        expected = float(collector.policy.value(final))
    assert buffer.final_value[0].tolist() == pytest.approx([expected, 0.0], abs=1e-6)


def test_without_bootstrap_a_cut_off_episode_is_worth_nothing_more() -> None:
    env = PointGoalEnv(2)
    collector = make_collector(env, num_steps=1)
    env.state[:, 4] = TIME_LIMIT - 1
    collect(collector)
    assert not collector.buffer.final_value.any()


def test_episodes_and_reward_terms_are_counted() -> None:
    env = PointGoalEnv(2)
    collector = make_collector(env, num_steps=TIME_LIMIT)
    env.state[:] = [[0.0, 0.0, 9.0, 9.0, 0.0], [0.0, 0.0, 9.0, 9.0, TIME_LIMIT - 1]]
    statistics = collect(collector)
    assert len(statistics.episodes["length"]) >= 2
    assert set(statistics.episodes["length"]) <= set(range(1, TIME_LIMIT + 1))
    assert statistics.reward_terms["progress"] == pytest.approx(collector.buffer.reward.mean())


def test_stop_gives_the_rollout_up() -> None:
    collector = make_collector(PointGoalEnv(2), num_steps=50)
    steps: list[int] = []
    assert collector.collect(lambda: len(steps) == 3, steps.append) is None
    assert steps == [0, 1, 2]


class OnePoint(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """The toy as a plain single environment."""

    def __init__(self) -> None:
        self.vector = PointGoalEnv(1)
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        observation, _ = self.vector.reset()
        return {name: array[0] for name, array in observation.items()}, {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        result = self.vector.step(action[None])
        observation = {name: array[0] for name, array in result[0].items()}
        return observation, float(result[1][0]), bool(result[2][0]), bool(result[3][0]), {}


def test_plain_gymnasium_environments_are_copied_from() -> None:
    vector = SyncVectorEnv([OnePoint, OnePoint], autoreset_mode=AutoresetMode.SAME_STEP)
    collector = make_collector(vector, num_steps=4)
    collect(collector)
    rows = collector.buffer.storage.rows
    moved = rows["measurements"][1] - rows["measurements"][0]
    np.testing.assert_allclose(moved, 0.1 * collector.buffer.action[0], atol=1e-6)


def limited(num_steps: int) -> Callable[[], gymnasium.Env]:
    """Makes the toy with gymnasium's own time limit."""
    return lambda: gymnasium.wrappers.TimeLimit(OnePoint(), num_steps)


def test_plain_environments_cut_off_are_valued_at_their_last_observation() -> None:
    vector = SyncVectorEnv(
        [limited(1), limited(9), limited(1)], autoreset_mode=AutoresetMode.SAME_STEP
    )
    collector = make_collector(vector, num_steps=1, bootstrap=True)
    start = collector.current_rows()
    collect(collector)
    assert collector.buffer.truncated.tolist() == [[True, False, True]]
    moved = 0.1 * torch.from_numpy(collector.buffer.action[0])
    final = {
        "vector": torch.from_numpy(start["vector"]) - moved,
        "measurements": torch.from_numpy(start["measurements"]) + moved,
        "value_measurements": torch.full((3, 1), 1 / TIME_LIMIT),
    }
    with torch.no_grad():
        first, _, last = collector.policy.value(final).tolist()
    expected = pytest.approx([first, 0.0, last], abs=1e-6)
    assert collector.buffer.final_value[0].tolist() == expected


class Forgetful(PointGoalEnv):
    """Gives no final observations."""

    def step(self, actions: np.ndarray) -> Any:
        *result, info = super().step(actions)
        return *result, {key: value for key, value in info.items() if "final_obs" not in key}


def test_environment_without_final_observations_cannot_bootstrap() -> None:
    env = Forgetful(2)
    collector = make_collector(env, num_steps=1, bootstrap=True)
    env.state[:, 4] = TIME_LIMIT - 1
    with pytest.raises(RuntimeError, match="2 episodes were truncated but 0 final observations"):
        collect(collector)


def test_environment_with_another_autoreset_is_refused() -> None:
    vector = SyncVectorEnv([OnePoint], autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match="SAME_STEP"):
        as_rollout_env(vector)


def test_scene_storage_needs_an_environment_that_redraws() -> None:
    vector = SyncVectorEnv([OnePoint], autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(ValueError, match="rollout_storage=pixels"):
        make_collector(vector, num_steps=2, storage="scene")


def test_a_gpu_paints_stored_rows_of_environments_that_hand_it_over() -> None:
    vector = SyncVectorEnv([OnePoint], autoreset_mode=AutoresetMode.SAME_STEP)
    make = partial(make_storage, num_steps=2, device=CPU, paint_on="gpu")
    with pytest.raises(ValueError, match="has no painter for a GPU"):
        make("scene", as_rollout_env(vector))
    with pytest.raises(ValueError, match=r"use ppo\.rollout_storage=scene"):
        make("pixels", PointGoalEnv(1))
    with pytest.raises(ValueError, match="expected 'cpu' or 'gpu'"):
        make_storage("scene", PointGoalEnv(1), num_steps=2, device=CPU, paint_on="tpu")


def test_unknown_storage_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'pixels' or 'scene'"):
        make_collector(PointGoalEnv(1), num_steps=2, storage="zip")


def test_observation_must_be_a_dict() -> None:
    vector = SyncVectorEnv(
        [lambda: gymnasium.wrappers.FlattenObservation(OnePoint())],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert isinstance(vector.single_observation_space, spaces.Box)
    with pytest.raises(ValueError, match="needs a Dict"):
        as_rollout_env(vector)
