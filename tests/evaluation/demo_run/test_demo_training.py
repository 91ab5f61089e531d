import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, save_checkpoint
from evaluation.demo_run.training import different_settings, train, training_overrides
from sim_adapters.gymnasium_envs import compose_training_config


def demo_config(folder: Path, **changed: object) -> DictConfig:
    options = {
        "output": str(folder),
        "experiment": "demo",
        "seed": 0,
        "train_minutes": 9,
        "train_processes": 1,
        "train_overrides": [],
    }
    return OmegaConf.create({**options, **changed})


@pytest.fixture(scope="module")
def default_training(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What the demo's training saves where no option is given, without its tensors."""
    overrides = training_overrides(demo_config(tmp_path_factory.mktemp("demo")))
    settings: Any = OmegaConf.to_container(compose_training_config(overrides))
    return Checkpoint({}, settings, {"experiment": "demo"}, {}, {"shape": [2]})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Commands of the trainings that were started; each leaves a final model."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        commands.append(command)
        (tmp_path / "training").mkdir(exist_ok=True)
        (tmp_path / "training" / "model_final.pt").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


@pytest.fixture
def keep(tmp_path: Path, default_training: Checkpoint) -> Callable[[str], Path]:
    """`keep(name)`: a training of the demo as it is left that checkpoint."""

    def save(name: str) -> Path:
        folder = tmp_path / "training"
        folder.mkdir()
        save_checkpoint(folder / name, default_training)
        return folder

    return save


def test_without_a_training_one_is_started_with_the_options_of_the_demo(tmp_path, started):
    config = demo_config(tmp_path, seed=3, train_minutes=2, train_overrides=["ppo.lr=1e-4"])
    folder = tmp_path / "training"
    assert train(config, folder) == folder / "model_final.pt"
    assert started[0][1:] == [
        "-m",
        "carl_planner.train",
        "experiment=demo",
        "seed=3",
        "max_minutes=2",
        "schedule_by_time=true",
        "ppo.lr=1e-4",
        f"hydra.run.dir={folder}",
    ]


def test_a_finished_training_with_these_settings_is_not_repeated(tmp_path, started, keep, caplog):
    caplog.set_level(logging.INFO)
    folder = keep("model_final.pt")
    assert train(demo_config(tmp_path), folder) == folder / "model_final.pt"
    assert started == []
    assert "done already" in caplog.text


def test_a_stopped_training_with_these_settings_goes_on(tmp_path, started, keep):
    folder = keep("latest.pt")
    assert train(demo_config(tmp_path), folder) == folder / "model_final.pt"
    assert started[0][1:] == ["-m", "carl_planner.train", f"resume={folder}"]


@pytest.mark.parametrize(
    ("name", "changed", "found", "asked"),
    [
        ("model_final.pt", {"seed": 1}, "seed=0", "seed=1"),
        ("latest.pt", {"seed": 1}, "seed=0", "seed=1"),
        ("model_final.pt", {"train_minutes": 0.5}, "train_minutes=9", "train_minutes=0.5"),
        (
            "latest.pt",
            {"train_overrides": ["ppo.num_envs=32"]},
            "ppo.num_envs=64",
            "ppo.num_envs=32",
        ),
    ],
)
def test_a_training_with_other_settings_is_refused(
    tmp_path, started, keep, name, changed, found, asked
):
    folder = keep(name)
    with pytest.raises(CheckpointError) as refusal:
        train(demo_config(tmp_path, **changed), folder)
    assert str(refusal.value) == (
        f"{folder} holds a training with {found}, asked for is {asked}: "
        f"choose another folder with output=DIR, or delete {folder}"
    )
    assert started == []


def test_a_training_of_another_experiment_is_refused_in_one_short_sentence(tmp_path, keep):
    folder = keep("model_final.pt")
    config = demo_config(tmp_path, experiment="scaling_vector")
    with pytest.raises(CheckpointError, match=r"with experiment=demo, .* and [0-9]+ more, asked"):
        train(config, folder)


def test_a_training_that_fails_is_an_error_that_says_how_to_go_on(tmp_path, monkeypatch):
    fails = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: fails)
    with pytest.raises(ChildProcessError, match=r"status 1 .* start the demo again to go on"):
        train(demo_config(tmp_path), tmp_path / "training")


def test_settings_are_compared_by_what_they_mean():
    config = {"seed": 0, "max_minutes": 9, "a": {"b": 1, "c": "${seed}"}, "gone": None}
    found = Checkpoint({}, config, {"experiment": "demo"}, {}, {})
    asked = OmegaConf.create({"seed": 0, "max_minutes": 9.0, "a": {"b": 2, "c": 0}, "new": [1]})
    assert different_settings(found, asked, "demo") == {
        "a.b": (1, 2),
        "gone": (None, "absent"),
        "new": ("absent", [1]),
    }


def test_the_training_keeps_its_own_traffic(tmp_path):
    with initialize_config_module("configs", version_base="1.3"):
        evaluated = compose("demo").simulator.traffic
    overrides = training_overrides(demo_config(tmp_path))
    trained = compose_training_config(overrides).simulator.traffic
    assert trained.num_vehicles == 30
    # Room for more actors than the 30 that every route must have
    assert evaluated.num_vehicles > trained.num_vehicles
    assert evaluated.radius_m > trained.radius_m
    # A setting of another type would compile the world's kernels once more
    assert [type(value) for value in evaluated.values()] == [type(v) for v in trained.values()]
