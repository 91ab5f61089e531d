"""The rewards that CaRL's is compared with, worked by hand from their configs."""

import math

import pytest

from tests.rewards.reward_scenes import events_with, load_reward


@pytest.fixture(scope="module")
def roach():
    return load_reward("roach")


@pytest.mark.parametrize(
    ("hazard", "desired"),
    [
        ({}, 6.0),
        ({"lead_vehicle_m": 8.0}, 0.0),
        ({"lead_vehicle_m": 9.0}, 1.2),  # 6 x 1 m / 5 m
        ({"lead_pedestrian_m": 6.0}, 0.0),
        ({"lead_pedestrian_m": 8.5}, 3.0),
        ({"red_light_m": 5.0}, 0.0),
        ({"red_light_m": 12.0}, 6.0),
        ({"stop_sign_m": 7.0}, 2.4),
        ({"stop_sign_m": 7.0, "red_light_m": 6.0}, 1.2),
    ],
)
def test_roach_slows_down_before_the_nearest_hazard(roach, hazard, desired):
    events = events_with(**hazard)
    assert roach.desired_speed_mps(events).item() == pytest.approx(desired)
    at_that_speed = events_with(speed_mps=desired, **hazard)
    assert roach(at_that_speed).terms["speed"].item() == pytest.approx(1.0)


def test_roach_sums_its_terms(roach):
    events = events_with(
        speed_mps=[6.0, 12.0, 3.0],
        route_lateral_m=[0.0, -1.0, 0.5],
        route_heading_error_rad=[0.0, 0.1, -0.2],
        steer_change=[0.0, 0.02, 0.01],
    )
    # 1;  1 - 6/6 - 0.5 - 0.1 - 0.1;  1 - 3/6 - 0.25 - 0.2
    assert roach(events).reward.tolist() == pytest.approx([1.0, -0.7, 0.05])


def test_roach_pays_one_at_any_end_and_the_speed_at_infractions(roach):
    events = events_with(
        speed_mps=[6.0, 6.0, 0.0, 2.0],
        collision=[True, False, False, False],
        left_route_line=[False, True, False, False],
        blocked=[False, False, True, False],
        too_near_pedestrian=[False, False, False, True],
    )
    outcome = roach(events)
    assert outcome.terms["terminal"].tolist() == [-7.0, -1.0, -1.0, -3.0]
    assert outcome.terminated.all()


def test_roach_cuts_the_episode_off_at_the_routes_end(roach):
    outcome = roach(events_with(route_finished=True, speed_mps=6.0))
    assert (outcome.terminated.item(), outcome.truncated.item()) == (False, True)
    assert outcome.reward.item() == 1.0


@pytest.mark.parametrize("name", ["carl", "roach", "weighted_sum", "survival"])
def test_a_lost_world_earns_nothing_and_is_cut_off(name):
    outcome = load_reward(name)(events_with(simulator_failed=True))
    assert outcome.reward.item() == 0.0
    assert outcome.truncated.item()
    assert not outcome.terminated.item()


def test_weighted_sum_by_hand():
    reward = load_reward("weighted_sum")
    # (5 x 0.1 + (5 + 4 + 2) x 100 / 2000) / 16 on the lane's centre
    calm = events_with(route_percent_gained=0.1)
    assert reward(calm).reward.item() == pytest.approx((0.5 + 11 * 0.05) / 16)
    # Rules broken: an open window, half the tolerated excess, a comfort window
    bad = events_with(
        route_percent_gained=0.1, ttc_active=True, overspeed_mps=1.115, num_comfort_active=1
    )
    assert reward(bad).reward.item() == pytest.approx((0.5 + 4 * 0.5 * 0.05) / 16)
    # Half way from the tolerance of 0.5 m to the edge at 1.75 m a quarter is lost
    beside = events_with(route_percent_gained=0.1, lane_offset_m=1.125)
    assert reward(beside).reward.item() == pytest.approx(0.75 * (0.5 + 0.55) / 16)


def test_weighted_sum_of_a_flawless_episode_is_100():
    reward = load_reward("weighted_sum")
    step = reward(events_with(route_percent_gained=100.0 / 2000)).reward.item()
    assert 2000 * step == pytest.approx(100.0)


def test_weighted_sum_of_nuplan_has_150_steps():
    reward = load_reward("weighted_sum", "reward.expected_steps=150")
    # CaRL on nuPlan: 100 [5 d + (5 + 4 + 2) / 150] / 16 with d = 0.01
    step = reward(events_with(route_percent_gained=1.0)).reward.item()
    assert step == pytest.approx(100 * (5 * 0.01 + 11 / 150) / 16)


def test_survival_by_hand():
    reward = load_reward("survival")
    outcome = reward(events_with(route_percent_gained=0.1, ttc_active=True))
    assert outcome.reward.item() == pytest.approx(0.8 * 0.1 * 0.5 + 0.2 * 100 / 2000)
    assert outcome.terms["survival"].item() == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["weighted_sum", "survival"])
def test_an_infraction_forfeits_the_step_but_the_routes_end_does_not(name):
    reward = load_reward(name)
    for fact in ("collision", "ran_red_light", "ran_stop_sign", "off_route"):
        outcome = reward(events_with(route_percent_gained=0.1, **{fact: True}))
        assert outcome.reward.item() == 0.0
        assert outcome.terminated.item()
    assert reward(events_with(route_percent_gained=0.1, route_finished=True)).reward.item() > 0.0


def test_weights_must_match_rules():
    with pytest.raises(Exception, match="each rule needs one weight"):
        load_reward("weighted_sum", "+reward.weights.politeness=1.0")


@pytest.mark.parametrize("name", ["carl", "roach", "weighted_sum", "survival"])
def test_rewards_are_finite_whatever_happens(name):
    everything = events_with(
        route_percent_gained=1.0,
        route_lateral_m=40.0,
        route_heading_error_rad=-math.pi,
        collision=True,
        speed_mps=40.0,
        overspeed_mps=30.0,
        lead_vehicle_m=0.0,
        lane_width_m=0.0,
        lane_offset_m=8.0,
    )
    assert load_reward(name)(everything).reward.isfinite().all()
