"""The commands as hydra's users expect them: groups, sweeps, own folders, launchers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_result import TINY_RUN, TINY_WORLD, CommandResult, environment, short_route
from omegaconf import OmegaConf

from carl_planner.checkpoint import load_checkpoint
from carl_planner.metrics import read_metrics

TRAIN, EVALUATE = "carl_planner.train", "evaluation.evaluate"
HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
# The toy environment of the learner's tests: a point that looks for its goal.
TOY_FOLDER = ("--config-dir", str(HERE.parent / "carl_planner" / "toy_configs"))
TOY_RUN = ("experiment=point_goal", "ppo.total_samples=512")
Runner = Callable[..., CommandResult]


def test_config_can_be_shown_resolved_without_a_run(run_command: Runner, tmp_path: Path) -> None:
    result = run_command(TRAIN, "experiment=demo", "--cfg", "job", "--resolve", folder=tmp_path)
    assert result.status == 0, result.err
    config = OmegaConf.create(result.out)
    assert config.env.rollout_storage == config.ppo.rollout_storage
    assert config.scenarios.towns == ["Town01"]
    assert list(tmp_path.iterdir()) == []


def test_help_lists_groups_and_options(run_command: Runner) -> None:
    for module in (TRAIN, EVALUATE):
        out = run_command(module, "--help").out
        for group in ("observation", "reward", "simulator"):
            options = sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))
            assert f"{group}: {', '.join(options)}" in out


@pytest.fixture(scope="module")
def own_folder_run(run_command: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own environment, small, with experiment and reward of a user's folder."""
    folder = tmp_path_factory.mktemp("own_folder")
    result = run_command(
        *(TRAIN, "--config-dir", str(HERE / "user_folder" / "configs"), *TINY_RUN),
        *("experiment=keep_moving", f"hydra.run.dir={folder}"),
    )
    assert result.status == 0, result.err
    return folder


def test_users_own_folder_brings_experiment_and_reward_term(own_folder_run: Path) -> None:
    last = read_metrics(own_folder_run)[-1]
    assert last["samples"] == 128
    # A car that starts at rest cannot average its full 5 m/s over 3.2 s.
    assert 0.0 <= last["reward/keep_moving"] < 1.0
    assert "reward/overspeed" in last, "the rest of CaRL's reward is inherited"


def test_policy_with_a_users_own_reward_is_evaluated_once_trusted(
    run_command: Runner, own_folder_run: Path, tmp_path: Path
) -> None:
    evaluate = (
        *(EVALUATE, f"checkpoint={own_folder_run}", f"routes={short_route(tmp_path)}"),
        *(*TINY_WORLD, "video=false", f"output={tmp_path}/results"),
    )
    assert "add trust=[keep_moving_term]" in run_command(*evaluate).error()
    result = run_command(*evaluate, "trust=[keep_moving_term]")
    assert result.status == 0, result.err
    assert (tmp_path / "results" / "results.json").is_file()


def test_checkpoint_for_another_observation_is_refused(
    run_command: Runner, own_folder_run: Path
) -> None:
    resume = (
        TRAIN,
        f"resume={own_folder_run}",
        "ppo.total_samples=256",
        "trust=[keep_moving_term]",
    )
    other_size = run_command(*resume, "observation.num_actors=3").error()
    assert "use observation=vector" in other_size
    other_kind = run_command(*resume, "observation=carl_bev_64").error()
    assert "'bev'" in other_kind
    assert "needs a Box 'vector'" in other_kind


@pytest.mark.slow
def test_groups_are_chosen_by_name(run_command: Runner, tmp_path: Path) -> None:
    result = run_command(
        *(TRAIN, *TINY_RUN, "reward=survival", "scenarios.time_limit_s=60"),
        f"hydra.run.dir={tmp_path}",
    )
    assert result.status == 0, result.err
    config = OmegaConf.load(tmp_path / "config.yaml")
    assert config.reward._target_ == "rewards.SurvivalReward"
    assert load_checkpoint(tmp_path / "model_final.pt").choices["reward"] == "survival"


def sweep_runs(folder: Path) -> list[int]:
    """Seeds of the finished runs of the only sweep below `folder`, in the order of its jobs."""
    (sweep,) = (folder / "outputs" / "multirun").iterdir()
    return [
        OmegaConf.load(sweep / job / "config.yaml").seed
        for job in ("0", "1")
        if (sweep / job / "model_final.pt").is_file()
    ]


def test_sweep_runs_each_seed_in_a_folder_of_its_own(run_command: Runner, tmp_path: Path) -> None:
    result = run_command(TRAIN, *TOY_FOLDER, "-m", *TOY_RUN, "seed=3,5", folder=tmp_path)
    assert result.status == 0, result.err
    assert sweep_runs(tmp_path) == [3, 5]


@pytest.mark.slow
def test_submitit_launcher_runs_each_seed_in_a_process_of_its_own(tmp_path: Path) -> None:
    launcher = ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5")
    result = run_process(tmp_path, "-m", TRAIN, *TOY_FOLDER, "-m", *TOY_RUN, "seed=3,5", *launcher)
    assert result.returncode == 0, result.stderr
    assert sweep_runs(tmp_path) == [3, 5]


@pytest.mark.slow
def test_two_ranks_of_the_driving_world_share_one_run_folder(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    result = run_process(tmp_path, *launcher, "-m", TRAIN, *TINY_RUN)
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "outputs" / "demo").iterdir()
    checkpoint = load_checkpoint(folder / "model_final.pt")
    assert checkpoint.progress["samples"] == 128
    assert len(checkpoint.ranks) == 2
    assert [line["samples"] for line in read_metrics(folder)] == [64, 128]


def run_process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: launchers start processes of their own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
