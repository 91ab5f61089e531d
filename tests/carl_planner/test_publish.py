"""A published policy drives, begins a run, and holds nothing else."""

import csv
import json
from pathlib import Path

import pytest
import torch

from carl_planner.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from carl_planner.publish import publish


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    checkpoint = Checkpoint(
        policy={"layer.weight": torch.ones(3, 4), "layer.bias": torch.zeros(3)},
        config={"seed": 7, "ppo": {"total_samples": 2_000}, "resume": "/home/me/run"},
        choices={"reward": "carl", "policy": "mlp"},
        observation_spec={"vector": {"shape": [4], "dtype": "float32"}},
        action_spec={"shape": [2]},
        optimizer={"state": torch.ones(100_000)},
        progress={"samples": 1_000, "elapsed_s": 7200.0},
    )
    save_checkpoint(folder / "latest.pt", checkpoint)
    lines = [{"samples": n, "episode/return": n / 10} for n in (500, 1_000)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_weights_and_config_are_kept_and_the_optimizer_is_not(run: Path, tmp_path: Path):
    publish(run, "mine", tmp_path / "out")
    published, trained = (
        load_checkpoint(tmp_path / "out/mine.pt"),
        load_checkpoint(run / "latest.pt"),
    )
    assert torch.equal(published.policy["layer.weight"], trained.policy["layer.weight"])
    assert published.choices == trained.choices
    assert published.config["ppo"] == trained.config["ppo"]
    assert "/home/me" not in str(published.config)
    assert "/home/me" not in (tmp_path / "out/mine.config.yaml").read_text()
    assert not published.is_resumable
    assert (tmp_path / "out/mine.pt").stat().st_size < 10_000


def test_the_card_says_how_far_it_was_trained_and_takes_over_tables(run: Path, tmp_path: Path):
    table = tmp_path / "table.md"
    table.write_text("| hits | 3 |")
    publish(run, "mine", tmp_path / "out", description="A test.", tables=[table])
    card = (tmp_path / "out/mine.md").read_text()
    for statement in ("# mine", "A test.", "1,000 of 2,000", "2.0 h", "| parameters | 15 |"):
        assert statement in card
    assert "| hits | 3 |" in card
    assert "| seed | 7 |" in card


def test_curves_are_written_as_numbers_and_as_a_picture(run: Path, tmp_path: Path):
    publish(run, "mine", tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out/mine.curves.csv").open()))
    assert [row["episode/return"] for row in rows] == ["50.0", "100.0"]
    assert (tmp_path / "out/mine.curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b"])
def test_names_that_leave_the_folder_are_refused(run: Path, tmp_path: Path, name: str):
    with pytest.raises(CheckpointError, match="expected letters"):
        publish(run, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"model_final\.pt or latest\.pt"):
        publish(tmp_path, "mine", tmp_path / "out")
