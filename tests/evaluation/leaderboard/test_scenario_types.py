"""Every scenario type of leaderboard 2 on a short route of ours: both judges say the same.

The routes are those of `python -m evaluation.scenario_routes output=tests/data/scenario_types.xml`,
each where the unmodified scenario_runner can build its scenario. Needs the leaderboard, as
test_with_the_leaderboard.py does. The blind follower runs into what stands in its way.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from evaluation.leaderboard_jobs.evaluator_process import MissingUpstreamError, find_upstream
from evaluation.leaderboard_parity import RouteParity, run_parity
from evaluation.longest6_official import run_official
from evaluation.scenario_routes import NEEDS, TOWNS
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.scene.map_bank import LaneKind
from tests.evaluation.leaderboard.constant_checkpoints import save_constant_policy

FIRST_PORT = 24_200  # of these tests
ROUTES = Path(__file__).parents[2] / "data" / "scenario_types.xml"
PYTHON = os.environ.get("LEADERBOARD_PYTHON", sys.executable)
SPECS = {spec.triggers[0].scenario_type: spec for spec in read_routes(ROUTES)}
TWO_WAYS = [name for name in SPECS if name.endswith("TwoWays")]


def test_a_route_has_one_scenario_and_is_named_by_its_type():
    assert all(len(spec.triggers) == 1 for spec in SPECS.values())
    assert [sorted(NEEDS)[int(spec.route_id)] for spec in SPECS.values()] == list(SPECS)


def test_only_the_type_that_needs_a_bicycle_lane_has_no_route():
    assert set(NEEDS) - set(SPECS) == {"CrossingBicycleFlow"}
    maps = load_map_bank(TOWNS.split(","))
    assert not np.any(maps.lanes.kind == LaneKind.BIKING)


def judge_both(folder: Path, spec: RouteSpec, *overrides: str) -> RouteParity:
    """Drive a route officially, then let our referee judge the same ticks."""
    try:
        find_upstream()
    except MissingUpstreamError as error:
        pytest.skip(str(error).splitlines()[0])
    common = [
        *("server.kind=headless", f"server.first_port={FIRST_PORT}", "server.start_timeout_s=600"),
        *(f"routes={ROUTES}", f"route=[{spec.route_id}]", f"python={PYTHON}", "record=true"),
        *("timeout_s=300", "hang_s=600", "attempts=2", f"output={folder}"),
    ]
    with initialize_config_module("configs", version_base="1.3"):
        run_official(compose("longest6_official", [*common, *overrides]))
        (parity,) = run_parity(compose("leaderboard_parity", [f"run={folder}"]))
    return parity


@pytest.mark.slow
@pytest.mark.carla
@pytest.mark.parametrize("scenario_type", SPECS)
@pytest.mark.parametrize("planner", ["blind_follower", "idm"])
def test_both_judges_agree_on_every_scenario_type(tmp_path, scenario_type, planner):
    parity = judge_both(tmp_path, SPECS[scenario_type], f"driver={planner}")
    assert parity.differences == ()
    assert parity.our_score == pytest.approx(parity.official_score, abs=0.01)


@pytest.mark.slow
@pytest.mark.carla
@pytest.mark.parametrize("scenario_type", TWO_WAYS)
def test_both_judges_agree_on_the_oncoming_lane(tmp_path, scenario_type):
    checkpoint = save_constant_policy(tmp_path / "left.pt", -0.03, 0.4)  # across and off the road
    parity = judge_both(tmp_path / "run", SPECS[scenario_type], f"checkpoint={checkpoint}")
    assert parity.differences == ()
    assert parity.our_score == pytest.approx(parity.official_score, abs=0.01)
