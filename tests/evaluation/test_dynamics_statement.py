"""Reports call the dynamics validated only after a check against CARLA's own drives."""

import math
from pathlib import Path

import pytest

from evaluation.dynamics_check import check, find_recordings
from sim_adapters.world.dynamics import ego_step
from sim_adapters.world.dynamics_check import UNVALIDATED, dynamics_statement, read_recordings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path / "cache"))


def _drive(path: Path, *, is_carla: int, speed_factor: float = 1.0) -> Path:
    """Seven seconds of the model's own driving, with a speedometer that may be off."""
    lines = ["steer,throttle,brake,x_m,y_m,yaw_deg,speed_kmh,is_carla"]
    state = (10.0, 5.0, 0.2, 2.0)
    for _ in range(160):
        x, y, yaw, v = state
        shown = (x, -y, -math.degrees(yaw), 3.6 * v * speed_factor)
        lines.append(",".join(str(value) for value in (-0.05, 0.9, 0.0, *shown, is_carla)))
        state = ego_step(*state, 0.05, 0.9, 0.0, 0.05)
    path.write_text("\n".join(lines))
    return path


def test_without_a_check_the_dynamics_are_unvalidated() -> None:
    assert dynamics_statement() == UNVALIDATED


def test_a_check_against_carla_is_told_with_its_errors(tmp_path: Path) -> None:
    path = _drive(tmp_path / "drive.csv", is_carla=1, speed_factor=1.1)
    said = check(read_recordings(path))
    assert dynamics_statement().startswith("compared with 1 recorded CARLA drives")
    assert "m/s after 5 s" in dynamics_statement()
    assert dynamics_statement() in said


def test_a_drive_on_another_server_validates_nothing(tmp_path: Path) -> None:
    said = check(read_recordings(_drive(tmp_path / "drive.csv", is_carla=0)))
    assert "they validate nothing" in said
    assert dynamics_statement() == UNVALIDATED


def test_a_check_of_other_sources_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(read_recordings(_drive(tmp_path / "drive.csv", is_carla=1)))
    monkeypatch.setattr("sim_adapters.world.dynamics_check._sources_hash", lambda: "changed")
    assert dynamics_statement() == UNVALIDATED


def test_a_lack_of_recordings_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"record=drive.csv running_is_carla=true"):
        find_recordings(None)
    with pytest.raises(FileNotFoundError, match=r"pass recording=FILE.csv"):
        read_recordings(tmp_path / "nothing.csv")
