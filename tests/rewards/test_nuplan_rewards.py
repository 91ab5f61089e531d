"""CaRL's three nuPlan rewards, worked by hand from its formulas."""

from __future__ import annotations

import pytest

from rewards.soft_penalties import lane_edge
from tests.rewards.reward_scenes import events_with, load_reward

# A lane of 2 x 1.75 m, the ego 1 m off its centre: x = (1 - 0.5) / (1.75 - 0.5) = 0.4
BESIDE = {"lane_offset_m": 1.0, "lane_width_m": 3.5}
LANE = 0.8


@pytest.mark.parametrize(
    ("offset", "width", "in_junction", "factor"),
    [
        (0.5, 3.5, False, 1.0),
        (1.0, 3.5, False, LANE),
        (1.75, 3.5, False, 0.5),
        (9.0, 3.5, False, 0.5),
        (1.0, 3.5, True, 1.0),
        (0.1, 0.6, False, 0.5),  # half a lane narrower than the tolerance: (-0.4) / (-0.2)
    ],
)
def test_lane_edge(offset: float, width: float, in_junction: bool, factor: float):
    events = events_with(lane_offset_m=offset, lane_width_m=width, in_junction=in_junction)
    assert lane_edge(events).item() == pytest.approx(factor, abs=1e-5)


def test_regular_is_progress_times_all_factors():
    reward = load_reward("nuplan_regular")
    events = events_with(
        route_percent_gained=2.0,
        overspeed_mps=1.115,
        num_comfort_active=2,
        ttc_active=True,
        **BESIDE,
    )
    # 2 x lane 0.8 x speed 0.5 x comfort 4/6 x gaps 0.5
    assert reward(events).reward.item() == pytest.approx(2.0 * LANE * 0.5 * 4.0 / 6.0 * 0.5)


def test_score_adds_rules_a_step_and_scales_by_lane_and_route():
    reward = load_reward("nuplan_score")
    calm = events_with(route_percent_gained=2.0, overspeed_mps=1.115, **BESIDE)
    # 100 x lane x [5 x 0.02 + (5 + 4 x 0.5 + 2) / 150] / 16
    assert reward(calm).reward.item() == pytest.approx(100 * LANE * (0.1 + 9 / 150) / 16)
    tense = events_with(route_percent_gained=2.0, num_comfort_active=1, ttc_active=True)
    assert reward(tense).reward.item() == pytest.approx(100 * (0.1 + 4 / 150) / 16)
    astray = events_with(route_percent_gained=2.0, outside_route_lanes=True)
    assert reward(astray).reward.item() == 0.0


def test_survival_pays_a_fifth_for_being_there():
    reward = load_reward("nuplan_survival")
    events = events_with(route_percent_gained=2.0, ttc_active=True, **BESIDE)
    expected = 100 * (0.8 * 0.02 * LANE * 0.5 + 0.2 / 150)
    assert reward(events).reward.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["nuplan_regular", "nuplan_score", "nuplan_survival"])
def test_infractions_end_the_episode_and_their_step_earns_nothing(name: str):
    events = events_with(
        route_percent_gained=2.0,
        collision=[True, False, False, False],
        off_road_fraction=[0.0, 0.25, 0.0, 0.0],
        timed_out=[False, False, True, False],
    )
    outcome = load_reward(name)(events)
    assert outcome.terminated.tolist() == [True, True, False, False]
    assert outcome.truncated.tolist() == [False, False, True, False]
    assert outcome.reward[:2].tolist() == [0.0, 0.0]
    assert (outcome.reward[2:] > 0.0).all()


@pytest.mark.parametrize(
    ("name", "best"),
    [("nuplan_regular", 100.0), ("nuplan_score", 99.0), ("nuplan_survival", 100.0)],
)
def test_a_flawless_episode_of_148_steps_earns_what_carl_says(name: str, best: float):
    events = events_with(route_percent_gained=100.0 / 148)
    total = 148 * load_reward(name)(events).reward.item()
    assert total == pytest.approx(best, abs=0.5)


def test_a_red_light_ends_the_episode_only_where_it_is_listed():
    events = events_with(route_percent_gained=2.0, ran_red_light=True)
    assert not load_reward("nuplan_regular")(events).terminated.item()
    strict = load_reward(
        "nuplan_regular",
        "+reward.terminations.ran_red_light={_target_: rewards.terminations.ran_red_light, "
        "_partial_: true}",
        "reward.forfeiting=[collision,off_road,ran_red_light]",
    )
    outcome = strict(events)
    assert outcome.terminated.item()
    assert outcome.reward.item() == 0.0


def test_a_terminal_penalty_is_paid_once_on_collision():
    events = events_with(route_percent_gained=2.0, collision=[True, False])
    outcome = load_reward("nuplan_regular", "reward.terminal_penalty=5")(events)
    assert outcome.reward.tolist() == pytest.approx([-5.0, 2.0])
