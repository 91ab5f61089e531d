"""A tracker gets what metrics.jsonl gets; a stand-in takes the place of wandb and trackio."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from train_runs import train

from carl_planner.metrics import read_metrics

SHORT = ("experiment=point_goal", "ppo.total_samples=1024")


class StandIn(ModuleType):
    """Takes the calls of both packages and remembers them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.num_finished = 0

    def init(self, **keywords: Any) -> "StandIn":
        self.begun = keywords
        return self

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.num_finished += 1


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_tracker_gets_every_line_of_the_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = StandIn(name)
    monkeypatch.setitem(sys.modules, name, package)
    folder = tmp_path / "point_goal" / "today"
    train(folder, *SHORT, f"tracker={name}", "tracker_project=mine")
    lines = read_metrics(folder)
    assert [step for step, _ in package.logged] == [512, 1024]
    assert [values for _, values in package.logged] == lines
    assert package.begun["project"] == "mine"
    assert package.begun["name"] == "point_goal_today"
    assert package.begun["config"]["ppo"]["num_envs"] == 16
    assert ("id" in package.begun) == (name == "wandb")
    assert package.num_finished == 1


def test_resumed_run_goes_on_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = StandIn("wandb")
    monkeypatch.setitem(sys.modules, "wandb", package)
    folder = tmp_path / "point_goal" / "today"
    train(folder, *SHORT, "tracker=wandb")
    train(folder, f"resume={folder}", "ppo.total_samples=2048")
    assert [step for step, _ in package.logged] == [512, 1024, 1536, 2048]
    assert package.begun["id"] == "point_goal_today"
    assert package.begun["resume"] == "allow"


def test_unknown_and_missing_trackers_are_named_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = train(tmp_path / "a", *SHORT, "tracker=notebook", check=False)
    assert "choose null, wandb or trackio" in unknown.stderr
    monkeypatch.setitem(sys.modules, "trackio", None)
    missing = train(tmp_path / "b", *SHORT, "tracker=trackio", check=False)
    assert "pip install trackio" in missing.stderr
    assert not (tmp_path / "a").exists()
