import dataclasses

import numpy as np
import pytest

from evaluation.scoring.episode_result import (
    EpisodeResult,
    Infraction,
    InfractionKind,
    penalty_factor,
)
from evaluation.scoring.scores import benchmark_scores, mean_interval, ratio_interval
from tests.evaluation.fake_drive import completed_drive


def infraction(kind: InfractionKind, percent: float = 0.0) -> Infraction:
    return Infraction(kind, time_s=1.0, x=0.0, y=0.0, z=0.0, percent=percent)


def result(
    route_id: str = "1", seed: int = 0, completion: float = 100.0, *infractions: Infraction
) -> EpisodeResult:
    return completed_drive(
        **{"route_id": route_id, "seed": seed, "route_completion": completion},
        **{"infractions": infractions, "outside_lanes_m": 50.0, "episode_return": completion},
    )


@pytest.mark.parametrize(
    ("kind", "factor"),
    [
        (InfractionKind.COLLISION_PEDESTRIAN, 0.5),
        (InfractionKind.COLLISION_VEHICLE, 0.6),
        (InfractionKind.COLLISION_LAYOUT, 0.65),
        (InfractionKind.RED_LIGHT, 0.7),
        (InfractionKind.STOP_SIGN, 0.8),
        (InfractionKind.SCENARIO_TIMEOUT, 0.7),
        (InfractionKind.YIELD_EMERGENCY, 0.7),
        (InfractionKind.ROUTE_DEVIATION, 1.0),
        (InfractionKind.BLOCKED, 1.0),
        (InfractionKind.ROUTE_TIMEOUT, 1.0),
    ],
)
def test_leaderboard_coefficients(kind, factor):
    assert penalty_factor(infraction(kind)) == factor


def test_driving_outside_the_lanes_costs_its_share_of_the_way():
    assert penalty_factor(infraction(InfractionKind.OUTSIDE_ROUTE_LANES, 12.5)) == 0.875


def test_half_the_speed_of_traffic_costs_15_percent():
    # 30 % of the missing half is lost
    assert penalty_factor(infraction(InfractionKind.MINIMUM_SPEED, 50.0)) == pytest.approx(0.85)


def test_driving_score_is_completion_times_all_penalties():
    drive = result(
        "1",
        0,
        80.0,
        infraction(InfractionKind.COLLISION_VEHICLE),
        infraction(InfractionKind.COLLISION_VEHICLE),
        infraction(InfractionKind.RED_LIGHT),
    )
    assert drive.driving_score == pytest.approx(80.0 * 0.6 * 0.6 * 0.7)


def test_a_flawless_route_is_perfect_and_a_flawed_one_completed():
    assert result().status == "Perfect"
    assert result("1", 0, 100.0, infraction(InfractionKind.STOP_SIGN)).status == "Completed"


def test_infractions_are_counted_per_driven_kilometre_of_all_routes():
    red = infraction(InfractionKind.RED_LIGHT)
    scores = benchmark_scores([result("1", 0, 100.0, red, red), result("2", 0, 50.0, red)])
    assert scores.driven_km == pytest.approx(1.5)
    assert scores.infractions_per_km.value == pytest.approx(2.0)
    assert scores.per_km[InfractionKind.RED_LIGHT].value == pytest.approx(2.0)
    assert scores.driving_score.value == pytest.approx((100 * 0.49 + 50 * 0.7) / 2)
    assert scores.outside_lanes_percent.value == pytest.approx(100 * 100 / 1500)
    assert scores.mean_speed_kmh.value == pytest.approx(36.0)


def test_a_missing_episode_is_refused():
    with pytest.raises(ValueError, match=r"missing: \[\('2', 1\)\]"):
        benchmark_scores([result("1", 0), result("1", 1), result("2", 0)])


def test_an_episode_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="expected each pair once"):
        benchmark_scores([result("1"), dataclasses.replace(result("1"), town="Town02")])


def test_interval_of_equal_values_is_a_point():
    interval = mean_interval(np.full((5, 2), 7.0))
    assert (interval.value, interval.low, interval.high) == (7.0, 7.0, 7.0)


def test_interval_has_the_width_of_the_mean_of_independent_routes():
    values = np.random.default_rng(0).normal(size=(400, 1))
    interval = mean_interval(values)
    # 95 % of a mean of 400 unit normals: +-1.96 / 20
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_seeds_of_one_route_do_not_count_as_new_routes():
    routes = np.random.default_rng(0).normal(size=(100, 1))
    one, five = mean_interval(routes), mean_interval(np.repeat(routes, 5, axis=1))
    assert five.high - five.low == pytest.approx(one.high - one.low, rel=0.1)


def test_seeds_that_differ_widen_the_interval_of_equal_routes():
    seeds = np.tile([0.0, 10.0], (50, 1))
    interval = mean_interval(seeds)
    # Two seeds drawn per route: standard deviation 5 / sqrt(2) a route, 0.5 of the mean of 50
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5, rel=0.15)


def test_interval_repeats_with_its_seed():
    values = np.arange(12.0).reshape(6, 2)
    assert mean_interval(values) == mean_interval(values)


def test_a_rate_over_no_distance_is_not_a_number():
    interval = ratio_interval(np.ones((3, 1)), np.zeros((3, 1)))
    assert np.isnan([interval.value, interval.low, interval.high]).all()
