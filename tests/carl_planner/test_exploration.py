"""Roach's exploration loss and its limit on the policy's change."""

from typing import Any

import numpy as np
import pytest
import torch

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.exploration import GO, NONE, STOP, TURN, Exploration, exploration_loss_sum
from carl_planner.policy import ExplorationSuggestions

ACTIONS = ("steer", "acceleration")


def make_exploration(**suggestions: dict[str, str]) -> Exploration:
    return Exploration(coef=0.05, num_steps=3, action_names=ACTIONS, suggestions=suggestions)


def ended(**facts: list[float]) -> dict[str, Any]:
    return {
        "finished_episode": {k: np.array(v) for k, v in facts.items()},
        "_finished_episode": np.array([1, 0]) > 0,
    }


def test_steps_before_an_end_get_its_suggestion() -> None:
    exploration = make_exploration(blocked={"acceleration": "go"}, lost={"steer": "turn"})
    suggestion = np.zeros((8, 2, 2), np.int64)
    # World 1 did not end, whatever its facts say.
    exploration.write(suggestion, 5, ended(blocked=[1.0, 1.0], lost=[0.0, 0.0]))
    expected = np.zeros((8, 2, 2), np.int64)
    expected[2:5, 0] = [NONE, GO]
    np.testing.assert_array_equal(suggestion, expected)


def test_later_facts_win_and_the_rollouts_start_limits_the_reach() -> None:
    exploration = make_exploration(
        lost={"steer": "turn", "acceleration": "go"}, collision={"acceleration": "stop"}
    )
    suggestion = np.zeros((8, 2, 2), np.int64)
    exploration.write(suggestion, 2, ended(lost=[1.0, 0.0], collision=[1.0, 0.0]))
    assert suggestion[:2, 0].tolist() == [[NONE, STOP]] * 2
    assert not suggestion[2:].any()


def test_a_suggestion_for_no_end_of_the_reward_is_refused() -> None:
    exploration = make_exploration(left_route_line={"steer": "turn"})
    with pytest.raises(ValueError, match=r"\['left_route_line'\], which end no episode"):
        exploration.write(np.zeros((8, 2, 2), np.int64), 5, ended(collision=[1.0, 0.0]))


def test_loss_is_the_divergence_from_the_suggested_beta() -> None:
    policy = BetaDistribution(torch.tensor([[2.0, 3.0]] * 2), torch.tensor([[1.5, 1.2]] * 2))
    codes = torch.tensor([[TURN, GO], [NONE, STOP]])
    beta = torch.distributions.Beta
    steer, acceleration = beta(2.0, 1.5), beta(3.0, 1.2)
    kl = torch.distributions.kl_divergence
    expected = (
        kl(steer, beta(1.0, 1.0))
        + kl(acceleration, beta(2.5, 1.0))
        + kl(acceleration, beta(1.0, 1.5))
    ) / 2
    found = exploration_loss_sum(policy, codes, ExplorationSuggestions())
    torch.testing.assert_close(found, expected)


def test_misspelt_suggestion_is_refused() -> None:
    with pytest.raises(ValueError, match=r"collision says acceleration: brake"):
        make_exploration(collision={"acceleration": "brake"})
