"""Without the leaderboard there is one message with everything that is missing."""

from pathlib import Path

import pytest

from evaluation.leaderboard_jobs.evaluator_process import MissingUpstreamError, find_upstream

VARIABLES = ("LEADERBOARD_ROOT", "SCENARIO_RUNNER_ROOT", "CARLA_ROOT", "PYTHONPATH")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.path", [])
    return monkeypatch


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def install(root: Path) -> tuple[Path, Path, Path]:
    touch(root / "leaderboard" / "leaderboard" / "leaderboard_evaluator.py")
    touch(root / "runner" / "srunner" / "scenariomanager" / "carla_data_provider.py")
    touch(
        root / "carla" / "PythonAPI" / "carla" / "agents" / "navigation" / "global_route_planner.py"
    )
    return root / "leaderboard", root / "runner", root / "carla"


def test_everything_missing_is_named_at_once_with_the_way_to_get_it(bare):
    with pytest.raises(MissingUpstreamError) as caught:
        find_upstream()
    for text in (
        "LEADERBOARD_ROOT is not set",
        "SCENARIO_RUNNER_ROOT is not set",
        "agents",
        "git clone https://github.com/carla-simulator/leaderboard",
    ):
        assert text in str(caught.value)


def test_a_folder_that_is_something_else_is_named(bare, tmp_path):
    _, runner, carla = install(tmp_path)
    bare.setenv("CARLA_ROOT", str(carla))
    with pytest.raises(MissingUpstreamError, match=r"LEADERBOARD_ROOT=.*holds no"):
        find_upstream(str(tmp_path), str(runner))


def test_roots_are_found_in_the_environment(bare, tmp_path):
    leaderboard, runner, carla = install(tmp_path)
    bare.setenv("LEADERBOARD_ROOT", str(leaderboard))
    bare.setenv("SCENARIO_RUNNER_ROOT", str(runner))
    bare.setenv("CARLA_ROOT", str(carla))
    upstream = find_upstream()
    assert upstream.evaluator.is_file()
    environment = upstream.environment(tmp_path)
    assert environment["SCENARIO_RUNNER_ROOT"] == str(runner)
    folders = environment["PYTHONPATH"].split(":")
    assert folders[:3] == [str(leaderboard), str(runner), str(carla / "PythonAPI" / "carla")]


def test_options_come_before_the_environment(bare, tmp_path):
    leaderboard, runner, carla = install(tmp_path)
    bare.setenv("LEADERBOARD_ROOT", str(tmp_path / "elsewhere"))
    bare.setenv("PYTHONPATH", str(carla / "PythonAPI" / "carla"))
    assert find_upstream(str(leaderboard), str(runner)).leaderboard == leaderboard.resolve()
