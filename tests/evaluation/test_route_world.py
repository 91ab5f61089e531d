"""A route driven from Python, as docs/python.md prints it."""

import re
from pathlib import Path

import numpy as np
import pytest

from evaluation.drivers.rule_drivers import ConstantSpeedDriver
from evaluation.route_world import RouteWorld
from evaluation.scoring.episode_result import EpisodeResult
from sim_adapters.maps.route_file import RouteSpec, write_routes

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
ROUTE = RouteSpec("1", "Town01", np.array([[392.315, -218.54, 0.0], [392.33, -267.582, 0.0]]))


@pytest.fixture
def routes(tmp_path: Path) -> str:
    write_routes(tmp_path / "route.xml", [ROUTE])
    return f"routes={tmp_path / 'route.xml'}"


def test_page_drives_a_route_in_five_lines(routes: str, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line]
    assert len(lines) == 5
    # A route of 49 m in place of the demo's: the shipped policy is not what is tested
    program = block[1].replace('["benchmark=demo", "route=12"]', f'["{routes}"]')
    names: dict[str, object] = {}
    exec(program, names)
    result = names["result"]
    assert isinstance(result, EpisodeResult)
    assert result.route_id == "1"
    assert f"{result.driving_score}" in capsys.readouterr().out


def test_same_seed_is_the_same_drive_and_unknown_routes_are_refused(routes: str) -> None:
    with RouteWorld(ConstantSpeedDriver(6.0), [routes]) as world:
        first, again, other = (world.drive(seed=seed) for seed in (0, 0, 1))
        assert first.route_completion > 50.0  # straight on along a straight road
        assert first.duration_s == again.duration_s
        assert first.mean_actors == again.mean_actors
        assert first.mean_actors != other.mean_actors
        with pytest.raises(ValueError, match="there is no route '7' here; there are 1"):
            world.drive("7")
