"""A stranger's checkpoint starts nothing when it is resumed; one's own goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from train_runs import train

from carl_planner.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from carl_planner.trusted_config import check_resumable, foreign_packages
from sim_adapters.gymnasium_envs import compose_training_config

EXPERIMENTS = sorted(
    file.stem for file in (Path(__file__).parents[2] / "configs" / "experiment").glob("*.yaml")
)
CARLA = compose_training_config(["simulator=carla"])


def changed(key: str, value: Any, config: DictConfig = CARLA) -> DictConfig:
    """A copy of the config with one node put there, whether it was there or not."""
    copy = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(copy, DictConfig)
    OmegaConf.update(copy, key, value, force_add=True)
    return copy


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_runs_of_this_projects_configs_can_be_resumed(experiment: str) -> None:
    config = compose_training_config([f"experiment={experiment}"])
    check_resumable(config)
    assert foreign_packages(config) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("simulator.server.command", ["touch", "marker"]),
        ("simulator.server.command", "${evil}"),
        ("simulator.server.carla_root", "/tmp/stranger"),
        ("simulator.server.client_python", "/tmp/stranger/python"),
        ("simulator.server.log_folder", "/etc"),
        ("elsewhere.command", ["touch", "marker"]),  # reached through ${elsewhere}
        ("simulator.server._args_", ["auto", "/tmp/stranger"]),
        ("reward._target_", "os.system"),
        ("reward._target_", "carl_planner.checkpoint.write_atomically"),
        ("reward._target_", "rewards.DrivingReward.__init__.__globals__"),
        ("reward._target_", "${reward_name}"),
        ("env.extra", {"deep": [[{"_target_": "shutil.rmtree", "path": "x"}]]}),
        ("scenarios.towns", "${oc.decode:'[a]'}"),
        ("scenarios", '${oc.create:"{_target_: os.system}"}'),
        ("scenarios.towns", r"\${evil}"),
        ("scenarios.towns", "${${name}:'[8]'}"),
        ("seed", "${oc.env:HOME}"),
    ],
)
def test_what_a_strangers_config_would_start_is_refused(key: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint"):
        check_resumable(changed(key, value))


def test_what_the_command_line_says_anew_is_the_users_own() -> None:
    config = changed("simulator.server.command", ["start", "carla"])
    with pytest.raises(CheckpointError, match=r"say simulator\.server\.command=\.\.\. on the"):
        check_resumable(config)
    for given in ("simulator.server.command", "simulator.server", "simulator"):
        check_resumable(config, given=[given])
    with pytest.raises(CheckpointError):
        check_resumable(config, given=["simulator.server.com"])


def test_own_classes_are_trusted_by_their_package() -> None:
    config = changed("env._target_", "point_goal_env.PointGoalEnv")
    assert foreign_packages(config) == ["point_goal_env"]
    with pytest.raises(CheckpointError, match=r"add trust=\[point_goal_env\]"):
        check_resumable(config)
    check_resumable(config, trust=["point_goal_env"])


def test_a_hostile_run_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run, "experiment=point_goal", "ppo.total_samples=512")
    checkpoint = load_checkpoint(run / "latest.pt")
    marker = tmp_path / "marker"
    checkpoint.config["env"] = {
        "_target_": "pathlib.Path.touch",
        "_args_": [{"_target_": "pathlib.Path", "_args_": [str(marker)]}],
    }
    save_checkpoint(run / "latest.pt", checkpoint)
    for trust in (("trust=[]",), ()):
        result = train(run, f"resume={run}", *trust, check=False)
        assert result.returncode == 1
        assert "the checkpoint" in result.stderr
        assert not marker.exists()
