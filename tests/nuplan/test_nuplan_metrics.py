"""The eight metrics on hand-made traces; expected values are worked from the definitions.

The map is `tiny_map`'s: lanes 11 (y = -1.75) and 12 (y = -5.25) run east from x = 0 to 100, an
intersection follows to 120, then lanes 13 and 14. Limits are 11 m/s. The ego's box is 5.176 m by
2.297 m.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluation.nuplan_metrics import (
    MetricScores,
    ScenarioScores,
    collisions,
    drivable_area,
    lane_graph,
    progress,
    score_scenarios,
)
from evaluation.nuplan_metrics.collisions import bearing_rad, is_ahead, is_behind
from evaluation.nuplan_metrics.scoring import scenario_score
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene import area_lookup
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.driven_traces import (
    NUM_SAMPLES,
    Car,
    Thing,
    ego_trace,
    log_of,
    renamed,
    shorter,
    track_trace,
)
from tests.nuplan.tiny_map import LOCATION, tiny_layers, write_map

pytestmark = pytest.mark.usefixtures("own_map_cache")

RIGHT_LANE_Y = -5.25
HALF_LENGTH_M, HALF_WIDTH_M = 2.588, 1.1485
KERNEL_MODULES = (
    collisions,
    drivable_area,
    lane_graph,
    progress,
    area_lookup,
)
WESTWARDS_RAD = math.pi
FIRST_TO_LAST_S = 14.9


@pytest.fixture
def maps(tiny_maps: MapBank) -> MapBank:
    return tiny_maps


def scores_of(
    maps: MapBank, ego: Car, things: Sequence[Thing] = (), expert: Car | None = None
) -> ScenarioScores:
    log = log_of(expert or ego, num_tracks=len(things))
    (scores,) = score_scenarios(ego_trace(ego), track_trace(things), [log], maps)
    return scores


def metrics_of(
    maps: MapBank, ego: Car, things: Sequence[Thing] = (), expert: Car | None = None
) -> MetricScores:
    scores = scores_of(maps, ego, things, expert)
    assert scores.metrics is not None, scores.failure
    return scores.metrics


def test_alone_in_its_lane_at_the_expert_s_speed_everything_is_perfect(maps: MapBank) -> None:
    scores = scores_of(maps, Car(10.0, RIGHT_LANE_Y, 5.0))
    # The expert has one frame more: 150 steps against 149
    progress = 149.0 / 150.0
    assert scores.metrics == pytest.approx((1, 1, 1, 1, progress, 1, 1, 1), abs=1e-9)
    assert scores.score == pytest.approx((5 * progress + 5 + 4 + 2) / 16, abs=1e-9)


def test_multipliers_multiply_and_the_rest_is_weighted() -> None:
    metrics = MetricScores(0.5, 1.0, 0.5, 1.0, 0.8, 0.0, 0.25, 1.0)
    assert scenario_score(metrics) == pytest.approx(0.25 * (5 * 0.8 + 0 + 4 * 0.25 + 2) / 16)


# Progress ------------------------------------------------------------------------------------


def test_progress_runs_on_through_the_junction(maps: MapBank) -> None:
    # Expert: 150 m from lane 12 through connector 22 into lane 14; ego: 74.5 m of them
    metrics = metrics_of(maps, Car(10.0, RIGHT_LANE_Y, 5.0), expert=Car(10.0, RIGHT_LANE_Y, 10.0))
    assert metrics.ego_progress_along_expert_route == pytest.approx(74.5 / 150.0, abs=1e-9)
    assert metrics.ego_is_making_progress == 1.0


def test_less_than_a_fifth_of_the_way_is_no_progress(maps: MapBank) -> None:
    metrics = metrics_of(maps, Car(10.0, RIGHT_LANE_Y, 1.9), expert=Car(10.0, RIGHT_LANE_Y, 10.0))
    assert metrics.ego_progress_along_expert_route == pytest.approx(28.31 / 150.0, abs=1e-9)
    assert metrics.ego_is_making_progress == 0.0


def test_a_standing_expert_excuses_a_standing_ego(maps: MapBank) -> None:
    still = Car(10.0, RIGHT_LANE_Y, 0.0)
    assert metrics_of(maps, still).ego_progress_along_expert_route == 1.0


def test_driving_back_more_than_two_metres_scores_nothing(maps: MapBank) -> None:
    backwards = Car(50.0, RIGHT_LANE_Y, 0.2, course_rad=WESTWARDS_RAD)  # 2.98 m
    metrics = metrics_of(maps, backwards, expert=Car(50.0, RIGHT_LANE_Y, 0.0))
    assert metrics.ego_progress_along_expert_route == 0.0


def test_an_expert_off_all_lanes_excuses_everybody(maps: MapBank) -> None:
    in_the_car_park = Car(25.0, -11.0, 0.1)
    metrics = metrics_of(maps, Car(10.0, RIGHT_LANE_Y, 0.0), expert=in_the_car_park)
    assert metrics.ego_progress_along_expert_route == 1.0


# Direction, area, speed ----------------------------------------------------------------------


@pytest.mark.parametrize(("speed_mps", "score"), [(1.8, 1.0), (1.9, 0.5), (5.4, 0.5), (5.5, 0.0)])
def test_the_last_second_against_the_traffic_holds_eleven_steps(
    maps: MapBank, speed_mps: float, score: float
) -> None:
    # 1.1 s x 1.8 m/s = 1.98 m < 2 m; x 5.5 m/s = 6.05 m > 6 m
    wrong_way = Car(99.0, RIGHT_LANE_Y, speed_mps, WESTWARDS_RAD)
    assert metrics_of(maps, wrong_way).driving_direction_compliance == score


@pytest.mark.parametrize(("outside_m", "score"), [(-0.1, 1.0), (0.29, 1.0), (0.31, 0.0)])
def test_a_corner_may_leave_the_road_by_less_than_thirty_centimetres(
    maps: MapBank, outside_m: float, score: float
) -> None:
    beside_the_edge = Car(50.0, -7.0 + HALF_WIDTH_M - outside_m, 2.0)  # the road ends at y = -7
    assert metrics_of(maps, beside_the_edge).drivable_area_compliance == score


def test_a_car_park_is_drivable(maps: MapBank) -> None:
    assert metrics_of(maps, Car(23.0, -11.0, 0.5)).drivable_area_compliance == 1.0
    assert metrics_of(maps, Car(60.0, -11.0, 0.5)).drivable_area_compliance == 0.0


def test_overspeed_costs_its_mean_over_the_tolerance(maps: MapBank) -> None:
    # 1.115 m/s too fast at all 150 samples; the devkit divides by the 14.9 s between them
    fast = Car(5.0, RIGHT_LANE_Y, 12.115)
    expected = 1.0 - 1.115 * NUM_SAMPLES * 0.1 / (2.23 * FIRST_TO_LAST_S)
    assert metrics_of(maps, fast).speed_limit_compliance == pytest.approx(expected, abs=1e-9)
    assert metrics_of(maps, Car(5.0, RIGHT_LANE_Y, 11.0)).speed_limit_compliance == 1.0


def test_without_a_limit_there_is_no_overspeed(maps: MapBank, tmp_path: Path) -> None:
    layers = tiny_layers()
    for lane in layers["lanes_polygons"]:
        lane["speed_limit_mps"] = math.nan
    write_map(tmp_path, layers)
    unlimited = load_nuplan_maps(tmp_path, [LOCATION])
    assert metrics_of(unlimited, Car(5.0, RIGHT_LANE_Y, 14.0)).speed_limit_compliance == 1.0


# Collisions ----------------------------------------------------------------------------------

DRIVING = Car(10.0, RIGHT_LANE_Y, 5.0)


def test_hitting_a_standing_car_is_the_ego_s_fault(maps: MapBank) -> None:
    metrics = metrics_of(maps, DRIVING, [Thing(50.0, RIGHT_LANE_Y)])
    assert metrics.no_ego_at_fault_collisions == 0.0
    assert metrics.time_to_collision_within_bound == 0.0


def test_one_cone_costs_half_and_two_cost_all(maps: MapBank) -> None:
    cones = [Thing(x, RIGHT_LANE_Y, TrackType.TRAFFIC_CONE) for x in (40.0, 60.0)]
    assert metrics_of(maps, DRIVING, cones[:1]).no_ego_at_fault_collisions == 0.5
    assert metrics_of(maps, DRIVING, cones).no_ego_at_fault_collisions == 0.0


def test_a_pedestrian_costs_all(maps: MapBank) -> None:
    walker = Thing(40.0, RIGHT_LANE_Y, TrackType.PEDESTRIAN, length_m=0.5, width_m=0.5)
    assert metrics_of(maps, DRIVING, [walker]).no_ego_at_fault_collisions == 0.0


def test_a_standing_ego_is_never_at_fault(maps: MapBank) -> None:
    still = Car(50.0, RIGHT_LANE_Y, 0.0)
    rammer = Thing(20.0, RIGHT_LANE_Y, speed_mps=4.0)
    metrics = metrics_of(maps, still, [rammer])
    assert metrics.no_ego_at_fault_collisions == 1.0
    assert metrics.time_to_collision_within_bound == 1.0


def test_being_hit_from_behind_is_not_the_ego_s_fault(maps: MapBank) -> None:
    rammer = Thing(2.0, RIGHT_LANE_Y, speed_mps=6.5)
    metrics = metrics_of(maps, DRIVING, [rammer])
    assert metrics.no_ego_at_fault_collisions == 1.0
    assert metrics.time_to_collision_within_bound == 1.0


@pytest.mark.parametrize(("y", "score"), [(RIGHT_LANE_Y, 1.0), (-3.5, 0.0)])
def test_a_touch_from_the_side_counts_between_lanes_only(
    maps: MapBank, y: float, score: float
) -> None:
    # A car beside the ego's rear half drives along and comes nearer at 0.2 m/s
    beside = Thing(9.0, y + 3.0, speed_mps=math.hypot(5.0, 0.2), yaw_rad=-math.atan2(0.2, 5.0))
    assert metrics_of(maps, Car(10.0, y, 5.0), [beside]).no_ego_at_fault_collisions == score


# Time to collision ---------------------------------------------------------------------------


@pytest.mark.parametrize(("gap_m", "score"), [(9.1, 1.0), (8.9, 0.0)])
def test_a_standing_car_must_stay_a_second_away(maps: MapBank, gap_m: float, score: float) -> None:
    # The lead drives as fast as the ego for 150 samples, but stands in the projection of nobody:
    # both keep their gap, and the lead is slower by 10 m/s than the ego
    ego = Car(5.0, RIGHT_LANE_Y, 10.0)
    trace = track_trace([Thing(5.0 + 2.0 * HALF_LENGTH_M + gap_m, RIGHT_LANE_Y, speed_mps=10.0)])
    trace.length_m[:] = 2.0 * HALF_LENGTH_M
    trace.vx_mps[:] = 0.0  # as if it stood: 10 m/s of closing speed at every sample
    (scores,) = score_scenarios(ego_trace(ego), trace, [log_of(ego, num_tracks=1)], maps)
    assert scores.metrics is not None
    # Steps of 0.1 s: 9.1 m are met at 1.0 s, 8.9 m at 0.9 s; the bound is 0.95 s
    expected_s = math.ceil(gap_m) / 10.0
    assert scores.details["min_time_to_collision_s"] == pytest.approx(expected_s)
    assert scores.metrics.time_to_collision_within_bound == score


def test_tracks_beside_count_in_an_intersection_only(maps: MapBank) -> None:
    # A car 3 m to the left heads across the ego's way at 4 m/s, beyond 30 degrees ahead
    for x, score in ((40.0, 1.0), (105.0, 0.0)):
        ego = Car(x, RIGHT_LANE_Y, 0.5)
        crossing = Thing(x + 2.0, RIGHT_LANE_Y + 6.0, speed_mps=0.0, yaw_rad=-math.pi / 2)
        trace = track_trace([crossing])
        trace.vy_mps[:] = -4.0
        (scores,) = score_scenarios(ego_trace(ego), trace, [log_of(ego, num_tracks=1)], maps)
        assert scores.metrics is not None
        assert scores.metrics.time_to_collision_within_bound == score


# Comfort -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("acceleration_mps2", "score"), [(2.39, 1.0), (2.40, 0.0), (-4.04, 1.0)])
def test_steady_acceleration_is_bounded_strictly(
    maps: MapBank, acceleration_mps2: float, score: float
) -> None:
    ego = Car(10.0, RIGHT_LANE_Y, 5.0)
    trace = ego_trace(ego, np.full(NUM_SAMPLES, acceleration_mps2))
    (scores,) = score_scenarios(trace, track_trace([]), [log_of(ego)], maps)
    assert scores.metrics is not None
    assert scores.metrics.ego_is_comfortable == score


def test_a_steady_rise_of_acceleration_is_a_constant_jerk(maps: MapBank) -> None:
    ego = Car(10.0, RIGHT_LANE_Y, 5.0)
    trace = ego_trace(ego, 0.1 * 0.1 * np.arange(NUM_SAMPLES))  # 0.1 m/s^3
    (scores,) = score_scenarios(trace, track_trace([]), [log_of(ego)], maps)
    # A line passes both filters unchanged, but the even window of 8 shifts the ends' fits
    assert scores.details["max_lon_jerk_mps3"] == pytest.approx(0.1, abs=0.02)


# What can't be scored ------------------------------------------------------------------------


def test_traces_that_are_too_short_fail_by_name(maps: MapBank) -> None:
    ego = Car(10.0, RIGHT_LANE_Y, 5.0)
    trace = shorter(ego_trace(ego), 3)
    (scores,) = score_scenarios(trace, track_trace([]), [log_of(ego)], maps)
    assert scores.metrics is None
    assert "comfort needs 4 samples" in scores.failure
    with pytest.raises(ValueError, match="has no score"):
        _ = scores.score


def test_overlapping_lanes_fail_by_name(tmp_path: Path) -> None:
    layers = tiny_layers()
    lanes = {lane["fid"]: lane for lane in layers["lanes_polygons"]}
    lanes[11]["geometry"] = lanes[12]["geometry"]
    write_map(tmp_path, layers)
    overlapping = load_nuplan_maps(tmp_path, [LOCATION])
    scores = scores_of(overlapping, Car(10.0, RIGHT_LANE_Y, 5.0))
    assert scores.metrics is None
    assert "two lanes of the map overlap" in scores.failure


def test_an_unknown_map_fails_by_name_and_leaves_the_others_alone(maps: MapBank) -> None:
    ego = Car(10.0, RIGHT_LANE_Y, 5.0)
    both = [np.concatenate([one, one]) for one in ego_trace(ego)]
    tracks = [np.concatenate([one, one]) for one in track_trace([])]
    log = log_of(ego)
    lost, scored = score_scenarios(
        type(ego_trace(ego))(*both),
        type(track_trace([]))(*tracks),
        [renamed(log, "atlantis"), log],
        maps,
    )
    assert "atlantis" in lost.failure
    assert scored.metrics is not None


@pytest.mark.kernel
def test_kernels_score_as_plain_python_does(maps: MapBank, monkeypatch: pytest.MonkeyPatch) -> None:
    ego = Car(80.0, -3.5, 6.0, 0.02)
    things = [Thing(104.0, -2.0, yaw_rad=0.5), Thing(70.0, -1.75, speed_mps=7.0)]
    arguments = (
        shorter(ego_trace(ego), 60),
        track_trace(things),
        [log_of(ego, num_tracks=2)],
        maps,
    )
    compiled = score_scenarios(*arguments)
    assert compiled[0].metrics is not None
    for module in KERNEL_MODULES:
        for name, function in list(vars(module).items()):
            if hasattr(function, "py_func"):
                monkeypatch.setattr(module, name, function.py_func)
    assert score_scenarios(*arguments) == compiled


# The devkit's bearing ------------------------------------------------------------------------


def numpy_bearing(dx: float, dy: float, yaw_rad: float) -> float:
    """The devkit's formula."""
    offset = np.array([dx, dy])
    heading = np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
    with np.errstate(invalid="ignore"):
        return float(np.arccos(np.dot(heading, offset / np.linalg.norm(offset))))


def numpy_fuses() -> bool:
    """Whether numpy's product of two pairs rounds once, as where the devkit's scores come from."""
    pairs = np.random.default_rng(0).normal(size=(100, 2))
    return any(np.dot(pair, pair) != pair[0] * pair[0] + pair[1] * pair[1] for pair in pairs)


@pytest.mark.skipif(not numpy_fuses(), reason="this machine's numpy multiplies and adds in two")
def test_bearings_are_numpy_s_even_where_rounding_makes_them_nan() -> None:
    draws = np.random.default_rng(5)
    num_nan = 0
    for yaw in draws.uniform(-math.pi, math.pi, 3000):
        distance = draws.uniform(1.0, 80.0)
        offset = draws.choice([0.0, 1e-8, 0.5, math.pi])
        dx, dy = distance * math.cos(yaw + offset), distance * math.sin(yaw + offset)
        ours = bearing_rad(dx, dy, float(np.cos(yaw)), float(np.sin(yaw)))
        theirs = numpy_bearing(dx, dy, yaw)
        if math.isnan(theirs):
            num_nan += 1
            assert math.isnan(ours)
            assert not is_ahead(ours)
            assert not is_behind(ours)
        else:
            assert ours == pytest.approx(theirs, abs=1e-15)
    assert num_nan > 50  # straight ahead or behind, where numpy's product rounds beyond one
