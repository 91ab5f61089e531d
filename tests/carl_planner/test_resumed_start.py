"""A resumed run starts as a new one does: kernels first, and with the groups it was given."""

from pathlib import Path
from typing import Any

import pytest
from point_goal_env import PointGoalEnv
from train_runs import losses, train

from carl_planner.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short")
    train(folder, "experiment=point_goal", "ppo.total_samples=1024")
    return folder


def test_a_resumed_run_prepares_first_and_goes_on_as_if_it_had_not(
    short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (f"resume={short_run}", "ppo.total_samples=2048")
    train(tmp_path / "unprepared", *more)
    calls: list[str] = []
    load_state_dict = PointGoalEnv.load_state_dict

    def prepare(env: PointGoalEnv) -> None:
        calls.append("prepare")
        env.reset(seed=0)
        env.step(env.single_action_space.sample()[None].repeat(env.num_envs, axis=0))

    def load(env: PointGoalEnv, state: Any) -> None:
        calls.append("load")
        load_state_dict(env, state)

    monkeypatch.setattr(PointGoalEnv, "prepare", prepare, raising=False)
    monkeypatch.setattr(PointGoalEnv, "load_state_dict", load)
    train(tmp_path / "prepared", *more)
    assert calls == ["prepare", "load"]
    assert losses(tmp_path / "prepared") == losses(tmp_path / "unprepared")
    assert len(losses(tmp_path / "prepared")) == 2


def test_a_resumed_run_records_the_groups_that_it_was_given(
    short_run: Path, tmp_path: Path
) -> None:
    train(tmp_path, f"resume={short_run}", "ppo.total_samples=1536", "reward=survival")
    before = load_checkpoint(short_run / "latest.pt").choices
    after = load_checkpoint(tmp_path / "latest.pt")
    assert after.config["reward"]["_target_"] == "rewards.SurvivalReward"
    assert after.choices == before | {"reward": "survival"}
    assert before["reward"] != "survival"
    assert after.choices["experiment"] == "point_goal"
