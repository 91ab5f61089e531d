"""A simulator from outside the repository, that of docs/extend.md, in a training's environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import compose_training_config
from tests.contract import kinds


def test_events_rewards_and_observations_come_for_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds.own(tmp_path, monkeypatch)
    mine = f"hydra.searchpath=[file://{tmp_path / 'configs'}]"
    config = compose_training_config(
        [mine, "simulator=mine", "observation=vector", "policy=mlp", "scenarios.length_m=60"]
    )
    env: DrivingVectorEnv = instantiate(config.env, num_envs=2, seed=1)
    env.reset()
    full_pedal = np.tile(env.action_layout.encode(np.zeros(1), np.ones(1)), (2, 1))
    gained, completion = np.zeros(2), []
    for _ in range(76):  # 60 m at 0.8 m a step
        observation, reward, _, _, _ = env.step(full_pedal)
        gained += reward
        completion.append(env.worlds.event_arrays.route_percent.copy())
    env.close()
    assert (np.diff(completion, axis=0) >= 0.0).all()
    assert (completion[-1] > 95.0).all()
    assert gained == pytest.approx(completion[-1], rel=0.1)  # nobody was in the way
    assert np.isfinite(observation["vector"]).all()
