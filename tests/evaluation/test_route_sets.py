"""The committed route sets hold what the benchmarks promise, and can be made again."""

import shlex
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.embedded.route_triggers import PROPOSALS, find_crossings
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import read_routes
from sim_adapters.maps.route_scenarios import load_scenarios
from sim_adapters.scene.scenario import RouteCommand

FOLDER = Path(str(files("evaluation"))) / "routes"


def making_command(path: Path) -> list[str]:
    """Overrides of the command that the head of a route file names."""
    line = path.read_text().splitlines()[1]
    _, command = line.removesuffix(" -->").split("sim_adapters.embedded.routes ")
    return [word for word in shlex.split(command) if not word.startswith("output=")]


def test_own_benchmark_has_six_long_routes_with_scenarios_in_each_town() -> None:
    specs = read_routes(FOLDER / "embedded36.xml")
    assert Counter(spec.town for spec in specs) == {f"Town0{n}": 6 for n in range(1, 7)}
    assert all(len(spec.triggers) >= 6 for spec in specs)
    types = {trigger.scenario_type for spec in specs for trigger in spec.triggers}
    assert types == set(PROPOSALS)
    for spec in specs:
        chords_m = np.linalg.norm(np.diff(spec.waypoints, axis=0), axis=1).sum()
        assert 900.0 < chords_m < 2000.0


def test_held_out_routes_are_long_enough_and_cross_lights_in_both_towns() -> None:
    maps = load_map_bank(["Town01", "Town02"])
    scenarios = load_scenarios(FOLDER / "demo_heldout.xml", maps)
    assert Counter(scenario.town for scenario in scenarios) == {"Town01": 10, "Town02": 10}
    for scenario in scenarios:
        assert scenario.route.length_m >= 400.0
        crossings = find_crossings(scenario.route, maps)
        assert any(crossing.is_signalised for crossing in crossings)
        assert {crossing.turn for crossing in crossings} & {RouteCommand.LEFT, RouteCommand.RIGHT}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo_heldout.xml", "embedded36.xml"])
def test_set_is_made_again_by_the_command_in_its_head(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    module = [sys.executable, "-m", "sim_adapters.embedded.routes"]
    subprocess.run([*module, *making_command(FOLDER / name), f"output={output}"], check=True)
    old, new = (path.read_text().splitlines() for path in (FOLDER / name, output))
    assert old[2:] == new[2:]  # line 2 names the output


def test_command_writes_the_routes_asked_for(tmp_path: Path) -> None:
    output = tmp_path / "new" / "routes.xml.gz"
    words = ["town=Town02", "num_routes=2", "length_m=300", "seed=4", f"output={output}"]
    done = subprocess.run(
        [sys.executable, "-m", "sim_adapters.embedded.routes", *words],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "2 routes with" in done.stdout
    assert [spec.route_id for spec in read_routes(output)] == ["0", "1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]  # no run folders


def test_command_refuses_a_misspelt_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sim_adapters.embedded.routes", "lenght_m=300"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "lenght_m" in done.stderr
