"""The training command on an environment that PPO solves in seconds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from point_goal_env import TIME_LIMIT, PointGoalEnv
from train_runs import HERE, environment, losses, train

from carl_planner.checkpoint import load_checkpoint
from carl_planner.metrics import read_metrics
from carl_planner.policy_files import load_policy
from carl_planner.run_folder import checkpoint_path, locked_folder


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder, "experiment=point_goal")
    return folder


def test_training_learns_to_reach_the_goal(whole_run: Path) -> None:
    lines = losses(whole_run)
    assert len(lines) == 30
    # The mean distance gained of a perfect driver is the mean distance of two random points in
    # the square, 1.04, less the goal's radius of 0.15.
    assert sum(line["episode/return"] for line in lines[-5:]) / 5 > 0.75
    assert lines[-1]["episode/length"] < 30


def test_run_folder_holds_config_checkpoints_and_logs(whole_run: Path) -> None:
    names = {path.name for path in whole_run.iterdir()}
    assert {"config.yaml", "latest.pt", "model_best.pt", "model_final.pt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert load_checkpoint(whole_run / "model_final.pt").progress["samples"] == 15_360
    assert not load_checkpoint(whole_run / "model_best.pt").is_resumable


def test_log_tags_are_those_of_the_conventions(whole_run: Path) -> None:
    tags = {name.split("/")[0] for name in read_metrics(whole_run)[-1]}
    assert tags == {"samples", "losses", "reward", "episode", "time"}


def test_output_without_a_terminal_is_plain_lines(tmp_path: Path) -> None:
    out = train(tmp_path, "experiment=point_goal", "ppo.total_samples=1024").stdout
    assert "1,024 of 1,024 samples" in out
    assert "\x1b" not in out


def test_misspelt_key_is_refused(tmp_path: Path) -> None:
    result = train(tmp_path, "experiment=point_goal", "ppo.learning_rate=1", check=False)
    assert result.returncode != 0
    assert "learning_rate" in result.stderr


def test_toy_environment_pays_the_distance_gained() -> None:
    env = PointGoalEnv(1)
    env.reset()
    env.state[0] = [0.0, 0.0, 1.0, 0.0, 0.0]
    _, reward, _, _, _ = env.step(np.ones((1, 2), np.float32))
    # From (0, 0) to (0.1, 0.1): distance to (1, 0) falls from 1 to sqrt(0.81 + 0.01).
    assert float(reward[0]) == pytest.approx(1.0 - 0.82**0.5, abs=1e-6)


def test_nan_in_a_loss_stops_the_run_and_saves_the_batch(tmp_path: Path) -> None:
    result = train(tmp_path, "experiment=point_goal", "env.nan_at_step=70", check=False)
    assert result.returncode != 0
    assert f"is not; the batch is in {tmp_path}" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "nan_batch.pt").is_file()
    assert len(read_metrics(tmp_path)) == 2  # step 70 lies in the third iteration of 32


def test_scene_storage_learns_the_same_as_pixels(whole_run: Path, tmp_path: Path) -> None:
    train(tmp_path, "experiment=point_goal", "ppo.rollout_storage=scene", "max_minutes=5")
    assert losses(tmp_path) == losses(whole_run)


def test_painting_where_the_policy_is_learns_the_same(whole_run: Path, tmp_path: Path) -> None:
    on_device = ("ppo.rollout_storage=scene", "ppo.paint_on=gpu")
    train(tmp_path, "experiment=point_goal", *on_device, "max_minutes=5")
    assert losses(tmp_path) == losses(whole_run)


def test_only_resumable_checkpoints_resume(whole_run: Path, tmp_path: Path) -> None:
    result = train(tmp_path, f"resume={whole_run / 'model_best.pt'}", check=False)
    assert result.returncode != 0
    assert "holds a policy only: resume from latest.pt" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_begins_with_the_weights_of_another_and_nothing_else(
    whole_run: Path, tmp_path: Path
) -> None:
    given = load_checkpoint(whole_run / "model_final.pt").policy
    train(
        tmp_path, "experiment=point_goal", f"init_from={whole_run / 'model_final.pt'}", "ppo.lr=0.0"
    )
    begun = load_checkpoint(tmp_path / "latest.pt")
    for name, weight in given.items():
        np.testing.assert_array_equal(begun.policy[name], weight)
    assert begun.progress["samples"] == load_checkpoint(whole_run / "latest.pt").progress["samples"]
    # Of the first iteration in which an episode ended
    first, untrained = (
        next(line["episode/return"] for line in losses(folder) if "episode/return" in line)
        for folder in (tmp_path, whole_run)
    )
    assert first > untrained  # it knows the way already


def test_a_run_that_begins_with_weights_keeps_its_own_levels(tmp_path: Path) -> None:
    short = ("experiment=point_goal", "ppo.lr=0.0", "ppo.total_samples=1024")
    slow, fast = (
        f"+policy.action_levels=[[-1.0,0.0,{most}],[-1.0,0.0,{most}]]" for most in (0.8, 1.0)
    )
    train(tmp_path / "slow", *short, slow)
    train(tmp_path / "fast", *short, fast, f"init_from={tmp_path / 'slow'}")
    given, begun = (
        load_checkpoint(tmp_path / name / "latest.pt").policy for name in ("slow", "fast")
    )
    np.testing.assert_array_equal(begun.pop("action_levels"), [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    for name, weight in begun.items():
        np.testing.assert_array_equal(weight, given[name])


def test_weights_of_another_network_are_refused(whole_run: Path, tmp_path: Path) -> None:
    wider = ("experiment=point_goal", "policy.head_widths=[24]", f"init_from={whole_run}")
    result = train(tmp_path, *wider, check=False)
    assert result.returncode != 0
    assert "do not fit this policy" in result.stderr
    assert "Traceback" not in result.stderr


def test_resuming_with_other_environments_is_refused(whole_run: Path) -> None:
    fewer = train(whole_run, f"resume={whole_run}", "ppo.num_envs=8", check=False)
    assert "holds 16 environments a process, this run has 8" in fewer.stderr
    scene = train(whole_run, f"resume={whole_run}", "ppo.rollout_storage=scene", check=False)
    assert "leave ppo.rollout_storage as it was" in scene.stderr


def test_saved_policy_drives_to_the_goal(whole_run: Path) -> None:
    loaded = load_policy(whole_run / "model_final.pt")
    assert loaded.config is not None
    assert loaded.choices["env"] == "point_goal"
    env = PointGoalEnv(64, seed=123)
    observation, _ = env.reset()
    num_reached = 0
    for _ in range(TIME_LIMIT):
        tensors = {name: torch.from_numpy(array) for name, array in observation.items()}
        with torch.no_grad():
            action = loaded.policy.distribution(tensors).decision()
        observation, _, terminated, _, _ = env.step(action.numpy())
        num_reached += int(terminated.sum())
    assert num_reached > 64  # most points reach the goal well before the time limit, and go again


def test_resuming_applies_overrides_on_top_of_the_checkpoints_config(
    whole_run: Path, tmp_path: Path
) -> None:
    train(tmp_path, f"resume={whole_run}", "ppo.total_samples=15872", "ppo.lr=0.0")
    config = OmegaConf.load(tmp_path / "config.yaml")
    assert config.ppo.num_envs == 16  # from the checkpoint, the demo's is another
    assert [line["losses/learning_rate"] for line in losses(tmp_path)] == [0.0]


def test_time_limit_completes_the_run_early(tmp_path: Path) -> None:
    short = ("experiment=point_goal", "ppo.total_samples=100_000_000", "max_minutes=0.02")
    out = train(tmp_path, *short).stdout
    samples = load_checkpoint(tmp_path / "model_final.pt").progress["samples"]
    assert 0 < samples < 1_000_000
    assert "at most 99,999,744 samples" in out
    assert f"{samples:,} samples; the policy is {tmp_path / 'model_final.pt'}" in out
    more = train(tmp_path, f"resume={tmp_path}", "max_minutes=0.03").stdout
    assert load_checkpoint(tmp_path / "model_final.pt").progress["samples"] > samples
    assert "the policy is" in more


def test_ranks_share_one_folder_and_one_schedule(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    result = subprocess.run(
        [
            *(sys.executable, *launcher, "-m", "carl_planner.train"),
            *("--config-dir", str(HERE / "toy_configs"), "experiment=point_goal"),
            *(f"output_root={tmp_path}", "ppo.total_samples=2048"),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (folder,) = (tmp_path / "point_goal").iterdir()
    checkpoint = load_checkpoint(folder / "model_final.pt")
    assert checkpoint.progress["samples"] == 2048
    assert [rank["env"]["num_steps"] for rank in checkpoint.ranks] == [128, 128]
    first, second = (rank["env"]["state"] for rank in checkpoint.ranks)
    assert first.shape == (8, 5)
    assert not np.allclose(first, second)
    assert len(read_metrics(folder)) == 4


@pytest.mark.slow
def test_launcher_jobs_share_the_sweeps_folder(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "carl_planner.train", "--config-dir", str(HERE / "toy_configs")),
        *("-m", "hydra/launcher=submitit_local", "experiment=point_goal", "seed=0,1"),
        *("ppo.total_samples=1024", f"output_root={tmp_path}"),
    ]
    subprocess.run(command, env=environment(), cwd=tmp_path, check=True, timeout=240)
    (sweep,) = (tmp_path / "multirun").iterdir()
    assert [(sweep / job / "model_final.pt").is_file() for job in ("0", "1")] == [True, True]


def test_folder_means_its_newest_state_or_else_its_final_policy(tmp_path: Path) -> None:
    assert checkpoint_path(str(tmp_path)) == tmp_path / "latest.pt"  # to be named as missing
    (tmp_path / "model_final.pt").touch()
    assert checkpoint_path(str(tmp_path)) == tmp_path / "model_final.pt"  # of an imitation
    (tmp_path / "latest.pt").touch()
    assert checkpoint_path(str(tmp_path)) == tmp_path / "latest.pt"
    assert checkpoint_path(str(tmp_path / "other.pt")) == tmp_path / "other.pt"


def test_a_folder_that_holds_a_training_is_refused_and_its_files_stay(whole_run: Path) -> None:
    before = {path.name: path.read_bytes() for path in whole_run.glob("model_*.pt")}
    result = train(whole_run, "experiment=point_goal", "seed=1", check=False)
    assert result.returncode != 0
    assert f"go on with it by resume={whole_run}" in result.stderr
    assert before == {path.name: path.read_bytes() for path in whole_run.glob("model_*.pt")}
    assert len(losses(whole_run)) == 30


def test_a_folder_that_another_run_writes_into_is_refused(tmp_path: Path) -> None:
    with locked_folder(tmp_path):
        result = train(tmp_path, "experiment=point_goal", check=False)
    assert result.returncode != 0
    assert f"another run writes into {tmp_path}" in result.stderr
    assert not (tmp_path / "metrics.jsonl").exists()
