"""Runs that are stopped and resumed repeat, loss by loss, a run that was never stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from train_runs import HERE, environment, losses, train, train_command

from carl_planner.checkpoint import load_checkpoint
from carl_planner.metrics import read_metrics
from sim_adapters.driving.env import DrivingVectorEnv

STOPS = (signal.SIGTERM, signal.SIGINT)
# Four worlds of the demo's town, with its traffic; every episode ends within 3 s
SMALL_DEMO = (
    *("experiment=demo", "scenarios.time_limit_s=3.0", "num_threads=1"),
    *("ppo.num_envs=4", "ppo.num_steps=32", "ppo.minibatch_size=64", "ppo.total_samples=640"),
)
STOP_AT_STEP = 72  # within the third of five rollouts


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder, "experiment=point_goal")
    return folder


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_run_stopped_by_a_signal_and_resumed_repeats_the_whole_run(
    whole_run: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    process = subprocess.Popen(
        train_command(tmp_path, "experiment=point_goal"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(read_metrics(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(stop)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"{stop.name}: stopping and saving" in out
    assert f"resume={tmp_path}/latest.pt" in out
    stopped = losses(tmp_path)
    assert 3 <= len(stopped) < 30, "the signal must fall into the run"
    assert stopped == losses(whole_run)[: len(stopped)]
    composed = (tmp_path / ".hydra" / "config.yaml").read_text()
    train(tmp_path, f"resume={tmp_path}")
    assert losses(tmp_path) == losses(whole_run)
    assert (tmp_path / ".hydra" / "config.yaml").read_text() == composed


def raise_at_step(patch: pytest.MonkeyPatch, stop: signal.Signals, last_step: int) -> None:
    """Let the driving worlds' step number `last_step` send this process a signal."""
    original, num_steps = DrivingVectorEnv.step, 0

    def step(env: DrivingVectorEnv, actions):
        nonlocal num_steps
        num_steps += 1
        if num_steps == last_step:
            signal.raise_signal(stop)
        return original(env, actions)

    patch.setattr(DrivingVectorEnv, "step", step)


def test_driving_stopped_within_a_rollout_and_resumed_repeats_the_whole_run(
    tmp_path: Path,
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, *SMALL_DEMO)
    lines = losses(whole)
    assert len(lines) == 5
    assert sum(line["episode/num_episodes"] for line in lines) >= 4 * 5, "worlds must be reset"
    with pytest.MonkeyPatch.context() as patch:
        raise_at_step(patch, signal.SIGINT, STOP_AT_STEP)
        out = train(parts, *SMALL_DEMO).stdout
    assert f"go on with: python -m carl_planner.train resume={parts}/latest.pt" in out
    assert losses(parts) == lines[:2]
    train(parts, f"resume={parts}")
    assert losses(parts) == lines


def test_two_ranks_stop_together_and_resume_as_if_never_stopped(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    result = subprocess.run(
        [sys.executable, *launcher, str(HERE / "two_ranks.py"), str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert len(whole) == 8
    assert parts == whole
    assert f"resume={tmp_path}/parts/latest.pt" in result.stdout
    checkpoint = load_checkpoint(tmp_path / "parts" / "model_final.pt")
    assert [int(rank["env"]["num_steps"]) for rank in checkpoint.ranks] == [256, 256]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_a_signal_ends_the_whole_sweep(stop: signal.Signals, tmp_path: Path) -> None:
    runs, output = tmp_path / "runs", tmp_path / "output.txt"
    words = ("experiment=point_goal", "seed=0,1,2", "ppo.total_samples=4_000_000")
    command = train_command(tmp_path, *words, f"hydra.sweep.dir={runs}")
    # To a file: nobody empties a pipe while the test waits for the first numbers
    with output.open("w") as stdout:
        process = subprocess.Popen(
            [*command[:3], "-m", *command[3:]],
            env=environment(),
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            if read_metrics(runs / "0"):
                break
            time.sleep(0.05)
        process.send_signal(stop)
        try:
            status = process.wait(timeout=120)
        finally:
            process.kill()
    said = output.read_text()
    assert status == 0, said
    assert f"resume={runs}/0/latest.pt trust=[point_goal_env]" in said
    assert (runs / "0" / "latest.pt").is_file()
    assert not (runs / "1").exists(), "the next run must not begin"
