"""The devkit's planners on the hand-made road, worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from evaluation.nuplan_drivers.idm_planner import IdmPlanner, RouteError, find_way
from evaluation.nuplan_drivers.yardsticks import ConstantSpeed, LogReplay
from evaluation.val14.rollout import drive_frame, logged_worlds, simulate
from sim_adapters.nuplan.scenario_log import LoggedLight, ScenarioLog, TrackType
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.hand_made_logs import Box, make_log, make_nuplan_maps

EAST, HALF_LENGTH, AXLE = -1.75, 2.588, 1.461


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return make_nuplan_maps(speed_limit_mps=10.0)


def _final_x(maps: MapBank, log: ScenarioLog, driver: IdmPlanner | ConstantSpeed) -> float:
    ego, _ = simulate([log], maps, driver)
    return float(ego.x[0, ego.num_samples[0] - 1])


def test_way_follows_the_route_s_blocks(maps: MapBank) -> None:
    assert find_way(make_log(), maps) == [0, 1, 2]
    assert find_way(make_log(start_x=105.0), maps) == [1, 2]  # starts in the second block


def test_routes_that_the_map_lacks_are_refused(maps: MapBank) -> None:
    log = make_log()
    with pytest.raises(RouteError, match="1 blocks"):
        find_way(_with_route(log, (200,)), maps)
    with pytest.raises(RouteError, match="3 blocks, 2 of them"):
        find_way(_with_route(log, (200, 201, 999)), maps)


def _with_route(log: ScenarioLog, fids: tuple[int, ...]) -> ScenarioLog:
    return replace(log, route_fids=fids)


def test_scenario_without_a_way_has_no_samples(maps: MapBank) -> None:
    good = make_log(num_frames=20)
    bad = _with_route(make_log(num_frames=20), (200,))
    ego, _ = simulate([bad, good], maps, IdmPlanner())
    assert ego.num_samples.tolist() == [0, 19]


def test_idm_plan_on_a_free_road_is_the_law_in_half_seconds(maps: MapBank) -> None:
    driver, log = IdmPlanner(), make_log(speed_mps=5.0)
    simulator = NuplanSimulator(maps, 1, max_actors=4)
    simulator.reset(np.arange(1), [logged_scenario(log)])
    worlds = logged_worlds(simulator, None)
    driver.begin_episodes(np.arange(1), worlds)
    drive_frame(worlds, driver, simulator)
    end = 219.0  # of 220: the last vertex is left out
    s, v = 10.0 + AXLE, 5.0
    plan = driver._plans
    for sample in range(17):
        assert plan.x[0, sample] == pytest.approx(s - AXLE, abs=1e-9)
        wish = 1.0 + 1.5 * v + v * v / (2.0 * math.sqrt(3.0))
        acceleration = 1.0 - (v / 10.0) ** 4 - (wish / (end - s - HALF_LENGTH)) ** 2
        s, v = s + 0.5 * v, v + 0.5 * min(max(acceleration, -3.0), 1.0)


def test_idm_planner_stops_behind_a_cone_and_before_red(maps: MapBank) -> None:
    cone: Box = ("cone", TrackType.TRAFFIC_CONE, 60.0, EAST, 0.0, 0.0)
    front = _final_x(maps, make_log(frames=[[cone]]), IdmPlanner()) + AXLE + HALF_LENGTH
    assert 50.0 < front < 58.0
    red = make_log(start_x=60.0, lights=[{101: LoggedLight.RED}])
    assert 90.0 < _final_x(maps, red, IdmPlanner()) + AXLE + HALF_LENGTH < 100.0
    yellow = make_log(start_x=60.0, lights=[{101: LoggedLight.YELLOW}])
    assert _final_x(maps, yellow, IdmPlanner()) > 120.0  # the devkit's planner ignores yellow


def test_idm_planner_does_not_see_beyond_forty_metres(maps: MapBank) -> None:
    driver = IdmPlanner()
    cone: Box = ("cone", TrackType.TRAFFIC_CONE, 10.0 + AXLE + 40.3, EAST, 0.0, 0.0)
    log = make_log(frames=[[cone]])
    simulator = NuplanSimulator(maps, 1, max_actors=4)
    simulator.reset(np.arange(1), [logged_scenario(log)])
    worlds = logged_worlds(simulator, None)
    driver.begin_episodes(np.arange(1), worlds)
    drive_frame(worlds, driver, simulator)
    assert driver._plans.x[0, 16] > 10.0 + 40.0
    drive_frame(worlds, driver, simulator)  # half a metre on
    assert driver._plans.x[0, 16] < 10.0 + 40.0


def test_constant_speed_slows_down_to_five(maps: MapBank) -> None:
    ego, _ = simulate([make_log(speed_mps=8.0, num_frames=150)], maps, ConstantSpeed())
    assert ego.motion[0, 148, 0] == pytest.approx(5.0, abs=0.05)
    assert ego.y[0, 148] == pytest.approx(EAST, abs=1e-9)


def test_log_replay_follows_a_steady_human_exactly(maps: MapBank) -> None:
    log = make_log(speed_mps=6.0)
    ego, _ = simulate([log], maps, LogReplay())
    np.testing.assert_allclose(ego.x[0], log.ego.x[:-1], atol=1e-6)


def test_scenarios_of_different_lengths_share_a_batch(maps: MapBank) -> None:
    logs = [make_log(num_frames=n, speed_mps=4.0 + n / 50) for n in (30, 150, 60)]
    together, _ = simulate(logs, maps, LogReplay())
    assert together.num_samples.tolist() == [29, 149, 59]
    for row, log in enumerate(logs):
        alone, _ = simulate([log], maps, LogReplay())
        count = log.num_frames - 1
        np.testing.assert_array_equal(together.x[row, :count], alone.x[0])
        assert not together.x[row, count:].any()


def test_traces_hold_tracks_with_their_types(maps: MapBank) -> None:
    frame: list[Box] = [
        ("cone", TrackType.TRAFFIC_CONE, 60.0, 8.0, 0.0, 0.0),
        ("walker", TrackType.PEDESTRIAN, 50.0, 8.0, 0.5, 1.0),
    ]
    _, tracks = simulate([make_log(num_frames=10, frames=[frame])], maps, LogReplay())
    assert tracks.num_boxes[0].tolist() == [2] * 9
    assert tracks.type[0, 4].tolist() == [TrackType.PEDESTRIAN, TrackType.TRAFFIC_CONE]
    assert tracks.track[0, 4].tolist() == [1, 0]
    assert tracks.vx_mps[0, 4, 0] == pytest.approx(math.cos(0.5))
