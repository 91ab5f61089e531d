import logging
import os
import sys
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_module

from evaluation import look as command
from evaluation.look import look, tell
from evaluation.report.in_words import drive_in_words, planner_in_words, python_to_type
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult, Infraction, InfractionKind
from evaluation.viewer.page_file import open_page
from tests.evaluation.fake_drive import completed_drive


def result(*infractions: Infraction) -> EpisodeResult:
    return completed_drive(
        **{"route_id": "12", "town": "Town02", "length_m": 500.0, "infractions": infractions},
        **{"duration_s": 95.0, "mean_speed_mps": 5.3},
    )


def test_a_drive_in_words():
    assert drive_in_words(result()) == (
        "Town02, route 12: arrived after 100 % of 500 m and 95 s, 100 of 100 points: no infraction"
    )
    red = Infraction(InfractionKind.RED_LIGHT, 61.0, 0.0, 0.0, 0.0)
    slow = Infraction(InfractionKind.MINIMUM_SPEED, 95.0, 0.0, 0.0, 0.0, percent=40.0)
    once = "red light at 1:01; slower than traffic in a quarter of the route, by 60 %"
    assert drive_in_words(result(red, slow)).endswith(f"57 of 100 points: {once}")
    twice = drive_in_words(result(slow, red, replace(slow, percent=75.0)))
    assert twice.endswith(
        "red light at 1:01; slower than traffic in 2 quarters of the route, by 60 and 25 %"
    )
    blocked = Infraction(InfractionKind.BLOCKED, 95.0, 0.0, 0.0, 0.0)
    stood = replace(result(blocked), end=EpisodeEnd.BLOCKED, route_completion=4.0)
    assert drive_in_words(stood).startswith(
        "Town02, route 12: stood still for three minutes after 4 % of 500 m"
    )


@pytest.mark.parametrize("end", list(EpisodeEnd))
def test_every_end_has_words(end):
    assert "None" not in drive_in_words(replace(result(), end=end))


def test_it_drives_the_routes_writes_the_page_and_says_what_to_do_next(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    with initialize_config_module("configs", version_base="1.3"):
        config = compose(
            "look",
            overrides=["driver=constant_speed", "routes_shown=[15,12]", f"output={tmp_path}"],
        )
    results = look(config)
    assert [one.route_id for one in results] == ["15", "12"]
    assert (tmp_path / "view.html").stat().st_size > 100_000
    opened = []
    monkeypatch.setattr(command, "open_page", lambda address: bool(opened.append(address)) or True)
    caplog.clear()
    tell(results, tmp_path, opens=True)
    assert opened == [(tmp_path / "view.html").as_uri()]
    assert caplog.messages[0] == drive_in_words(results[0])
    assert caplog.messages[-2].startswith("opened in your browser: file://")
    assert "evaluation.play" in caplog.messages[-1]
    tell(results, tmp_path, opens=False)
    assert caplog.messages[-2].startswith("open in a browser: file://")


def test_without_a_screen_no_browser_fills_the_terminal(monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda address: pytest.fail(address))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert open_page("file:///x") is False


def drives(*completions: float) -> list[EpisodeResult]:
    return [
        replace(result(), route_id=str(i), route_completion=completion)
        for i, completion in enumerate(completions)
    ]


def test_a_planner_among_others_in_words():
    planners = {
        "untrained": drives(0.0, 0.0, 0.0),
        "trained": drives(71.0, 69.0, 70.0),
        "constant_speed": drives(10.0, 20.0, 30.0),
        "idm": drives(80.0, 78.0, 79.0),
    }
    assert planner_in_words(planners, "trained") == (
        "the trained policy, 70 of 100 points: better than its untrained self and constant speed; "
        "9 points below the rule-based driver"
    )


def test_differences_within_the_spread_of_the_routes_are_called_so():
    planners = {"trained": drives(70.0, 70.0, 70.0), "idm": drives(100.0, 60.0, 56.0)}
    assert planner_in_words(planners, "trained") == (
        "the trained policy, 70 of 100 points: 2 points below the rule-based driver, "
        "not told apart by these routes"
    )
    same = {"trained": drives(70.0, 70.0), "idm": drives(70.0, 70.0)}
    assert planner_in_words(same, "trained").endswith(": like the rule-based driver")


def test_the_next_command_works_in_the_shell_that_is_there(monkeypatch, tmp_path):
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    python = folder / "python"
    python.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(folder))
    assert python_to_type() == "python"
    monkeypatch.setenv("PATH", os.defpath)  # `make look` activates nothing
    monkeypatch.chdir(tmp_path)
    assert python_to_type() == os.path.join(".venv", "bin", "python")
    monkeypatch.chdir(folder)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert python_to_type() == str(python)
