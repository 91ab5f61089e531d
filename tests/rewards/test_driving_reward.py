"""CaRL's reward as its config builds it, worked by hand."""

from functools import partial

import pytest
import torch

from rewards import DrivingReward, soft_penalties, terminations
from rewards.driving_events import CollisionKind
from rewards.route_progress import route_progress
from tests.rewards.reward_scenes import events_with, load_reward


@pytest.fixture(scope="module")
def carl():
    return load_reward("carl")


def test_progress_is_scaled_by_every_open_penalty(carl):
    # Two comfort windows and an open gap window, centred in the lane
    events = events_with(route_percent_gained=0.2, ttc_active=True, num_comfort_active=2)
    assert carl(events).reward.item() == pytest.approx(0.2 * 0.5 * (1 - 0.5 * 2 / 6))


def test_ten_metres_a_second_on_a_kilometre_earn_a_tenth_a_step(carl):
    # 1 m in 0.1 s of 1,000 m is 0.1 percent
    events = events_with(route_percent_gained=100.0 * 10.0 * 0.1 / 1000.0, speed_mps=10.0)
    assert carl(events).reward.item() == pytest.approx(0.1)


def test_a_whole_undisturbed_route_earns_100(carl):
    rewards = [carl(events_with(route_percent_gained=0.1)).reward.item() for _ in range(1000)]
    assert sum(rewards) == pytest.approx(100.0)


@pytest.mark.parametrize("fact", ["collision", "ran_red_light"])
def test_collisions_and_red_lights_cost_one_and_still_pay_the_last_progress(carl, fact):
    outcome = carl(events_with(route_percent_gained=0.1, **{fact: True}))
    assert outcome.reward.item() == pytest.approx(0.1 - 1.0)
    assert outcome.terminated.item()
    assert outcome.terms["terminal"].item() == -1.0


def test_both_at_once_cost_one_not_two(carl):
    assert carl(events_with(collision=True, ran_red_light=True)).reward.item() == -1.0


@pytest.mark.parametrize("fact", ["ran_stop_sign", "blocked", "off_route", "route_finished"])
def test_other_ends_terminate_without_penalty(carl, fact):
    outcome = carl(events_with(route_percent_gained=0.1, **{fact: True}))
    assert outcome.terminated.item()
    assert not outcome.truncated.item()
    assert outcome.reward.item() == pytest.approx(0.1)


def test_off_road_terminates_beyond_95_percent(carl):
    outcome = carl(events_with(off_road_fraction=[0.95, 0.975]))
    assert outcome.terminated.tolist() == [False, True]


def test_time_limit_truncates_without_terminal_penalty(carl):
    outcome = carl(events_with(timed_out=True))
    assert (outcome.terminated.item(), outcome.truncated.item()) == (False, True)
    assert outcome.reward.item() == 0.0


def test_a_step_that_terminates_and_times_out_counts_as_terminated(carl):
    outcome = carl(events_with(timed_out=True, collision=True))
    assert (outcome.terminated.item(), outcome.truncated.item()) == (True, False)


def test_a_lost_world_is_truncated_and_earns_nothing(carl):
    outcome = carl(events_with(simulator_failed=True))
    assert (outcome.terminated.item(), outcome.truncated.item()) == (False, True)
    assert outcome.reward.item() == 0.0


def test_an_uneventful_step_goes_on(carl):
    outcome = carl(events_with())
    assert not outcome.terminated.item()
    assert not outcome.truncated.item()


def test_every_term_is_reported_by_its_config_name(carl):
    outcome = carl(events_with(route_percent_gained=[0.1, 0.3], overspeed_mps=[0.0, 1.115]))
    assert list(outcome.terms) == [
        "progress",
        "outside_route_lanes",
        "overspeed",
        "time_to_collision",
        "comfort",
        "lane_distance",
        "terminal",
    ]
    assert outcome.terms["overspeed"].tolist() == pytest.approx([1.0, 0.5])
    assert outcome.reward.tolist() == pytest.approx([0.1, 0.15])
    assert outcome.reward.dtype == torch.float64


def test_drivers_are_judged_one_by_one(carl):
    many = events_with(collision=[True, False, False], route_percent_gained=[0.0, 0.1, 0.2])
    assert carl(many).reward.tolist() == pytest.approx([-1.0, 0.1, 0.2])
    assert carl(many).terminated.tolist() == [True, False, False]


def test_oncoming_lane_ends_the_episode_where_the_config_says_so(carl):
    events = events_with(in_oncoming_lane=True, outside_route_lanes=True)
    assert not carl(events).terminated.item()
    assert load_reward("carl_oncoming_terminal")(events).terminated.item()


def build(**changes) -> DrivingReward:
    parts = {
        "progress": route_progress,
        "soft_penalties": {},
        "terminations": {"collision": terminations.collision},
        "truncations": {},
        "penalised": ["collision"],
        "terminal_penalty": 1.0,
    }
    return DrivingReward(**(parts | changes))


def test_a_misspelt_key_is_refused_when_the_reward_is_built():
    misspelt = partial(soft_penalties.overspeed, tolerance=2.23)
    with pytest.raises(ValueError, match=r"soft_penalties\.overspeed cannot be called.*tolerance"):
        build(soft_penalties={"overspeed": misspelt})


def test_a_misspelt_key_on_the_command_line_is_refused():
    with pytest.raises(Exception, match="tolerance"):
        load_reward("carl", "+reward.soft_penalties.overspeed.tolerance=2")


def test_a_predicate_among_the_factors_is_refused():
    with pytest.raises(ValueError, match=r"soft_penalties\.collision gave .*bool"):
        build(soft_penalties={"collision": terminations.collision})


def test_a_penalty_on_what_does_not_terminate_is_refused():
    with pytest.raises(ValueError, match=r"ran_red_light.*not among its terminations"):
        build(penalised=["collision", "ran_red_light"])


@pytest.fixture(scope="module")
def driver():
    return load_reward("driver")


@pytest.mark.parametrize(
    ("facts", "cost"),
    [
        # Leaderboard 2.0 leaves 0.50, 0.60, 0.65, 0.70 and 0.80 of the score: doubled what is lost
        ({"collision": True, "collision_kind": CollisionKind.PEDESTRIAN}, 10.0),
        ({"collision": True, "collision_kind": CollisionKind.VEHICLE}, 8.0),
        ({"collision": True, "collision_kind": CollisionKind.STATIC}, 7.0),
        ({"ran_red_light": True}, 6.0),
        ({"ran_stop_sign": True}, 4.0),
        ({"blocked": True}, 10.0),
        ({"off_route": True}, 10.0),
        ({"off_road_fraction": 0.6}, 10.0),
        ({"ran_red_light": True, "ran_stop_sign": True}, 6.0),  # the dearest of several
    ],
)
def test_the_drivers_failures_cost_what_they_cost_the_score(driver, facts, cost):
    outcome = driver(events_with(route_percent_gained=0.2, speed_mps=8.0, **facts))
    assert outcome.terminated.item()
    assert outcome.reward.item() == pytest.approx(0.2 - cost)


def test_the_driver_is_not_punished_for_arriving_or_for_time(driver):
    arrived = driver(events_with(route_percent_gained=0.2, speed_mps=8.0, route_finished=True))
    assert (arrived.terminated.item(), arrived.reward.item()) == (True, pytest.approx(0.2))
    late = driver(events_with(timed_out=True))
    assert (late.truncated.item(), late.reward.item()) == (True, 0.0)


def test_the_drivers_metre_is_worth_less_when_crept_and_nothing_outside_its_lanes(driver):
    events = events_with(
        route_percent_gained=0.2,
        speed_mps=[8.0, 2.0, 8.0],
        outside_route_lanes=[False, False, True],
    )
    # 0.5 + 0.5 x 2 / 8 of it at 2 m/s
    assert driver(events).reward.tolist() == pytest.approx([0.2, 0.2 * 0.625, 0.0])


def test_a_share_for_what_does_not_terminate_is_refused():
    with pytest.raises(ValueError, match=r"ran_red_light.*not among its terminations"):
        build(penalised={"collision": 1.0, "ran_red_light": 0.6})
