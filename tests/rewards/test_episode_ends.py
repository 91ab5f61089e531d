"""Why episodes end, by the names of the reward's YAML."""

import pytest
import torch

from rewards import terminations
from rewards.driving_reward import EpisodeEnds
from tests.rewards.reward_scenes import events_with, load_reward


def ends_of(reward: str, **facts) -> dict[str, list[bool]]:
    """The ends that happened to at least one driver."""
    ends = load_reward(reward)(events_with(**facts)).ends
    return {name: row.tolist() for name, row in ends.items() if row.any()}


@pytest.mark.parametrize("fact", ["collision", "blocked", "route_finished", "timed_out"])
def test_an_end_has_the_name_of_its_predicate(fact):
    assert ends_of("carl", **{fact: [False, True]}) == {fact: [False, True]}


def test_leaving_the_road_is_an_end_of_its_own():
    assert ends_of("carl", off_road_fraction=[0.9, 0.96]) == {"off_road": [False, True]}
    assert ends_of("nuplan_regular", off_road_fraction=[0.0, 0.25]) == {"off_road": [False, True]}


def test_a_fact_that_ends_nothing_is_no_end():
    facts = {"left_route_line": True, "too_near_pedestrian": True, "in_oncoming_lane": True}
    assert ends_of("carl", **facts) == {}
    assert ends_of("nuplan_regular", ran_red_light=True) == {}
    assert ends_of("roach", **facts) == {"left_route_line": [True], "too_near_pedestrian": [True]}
    assert ends_of("carl_oncoming_terminal", **facts) == {"in_oncoming_lane": [True]}


def test_all_terminations_of_a_step_are_named():
    both = {"collision": [True], "ran_red_light": [True]}
    assert ends_of("carl", collision=True, ran_red_light=True) == both


def test_what_does_not_count_is_not_named():
    # A step that terminates is not cut off too, and a lost world tells nothing of its driver
    assert ends_of("carl", collision=True, timed_out=True) == {"collision": [True]}
    lost = ends_of("carl", collision=True, simulator_failed=True)
    assert lost == {"simulator_failed": [True]}


@pytest.mark.parametrize(
    "name", ["carl", "roach", "survival", "weighted_sum", "nuplan_score", "nuplan_survival"]
)
def test_every_end_has_a_name_and_every_name_is_an_end(name):
    reward = load_reward(name)
    facts = ["collision", "blocked", "off_route", "left_route_line", "ran_stop_sign", "timed_out"]
    for fact in facts:
        outcome = reward(events_with(**{fact: [True, False]}))
        named = torch.stack(tuple(outcome.ends.values())).any(0)
        assert torch.equal(named, outcome.terminated | outcome.truncated)
        assert not named[1]


def test_a_reward_built_while_inferring_judges_later_steps():
    with torch.inference_mode():
        ends = EpisodeEnds({"collision": terminations.collision}, {})
        ends(events_with(collision=[True, False]))
    assert ends(events_with(collision=[False, True])).by_name["collision"].tolist() == [False, True]


def test_a_name_in_both_lists_is_refused():
    both = {"blocked": terminations.blocked}
    with pytest.raises(ValueError, match=r"\['blocked'\] under terminations and under truncations"):
        EpisodeEnds(both, both)
