"""Roach's exploration loss: what the driver might better have done before an episode's end.

The steps before an end get a suggested Beta per action, such as "stop" before a collision, and the
loss pulls the policy towards it. CaRL does without. Source: Zhang et al. 2021, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.policy import ExplorationSuggestions

NONE, GO, STOP, TURN = range(4)
CODES = {"go": GO, "stop": STOP, "turn": TURN}


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Which suggestions follow from which end, and how strongly they count."""

    coef: float  # on the mean over samples and actions
    num_steps: int  # before the last one that a suggestion is written to
    action_names: Sequence[str]  # of the action's columns
    # Episode end by its name in the reward -> action name -> "go", "stop" or "turn"; later ones win
    suggestions: Mapping[str, Mapping[str, str]]

    def __post_init__(self) -> None:
        for end, by_action in self.suggestions.items():
            for action, word in by_action.items():
                if action not in self.action_names or word not in CODES:
                    raise ValueError(
                        f"exploration.suggestions.{end} says {action}: {word}, expected one of "
                        f"{list(self.action_names)} with one of {list(CODES)}"
                    )

    def write(self, suggestion: np.ndarray, t: int, info: Mapping[str, Any]) -> None:
        """Mark the steps before the episodes that ended in step t.

        Args:
            suggestion: (T, E, actions) codes; as in Roach, steps of an even earlier episode within
                reach are marked too.
            t: The step.
            info: Of the environment's step.

        Raises:
            ValueError: a suggestion is for an end that the reward does not have.
        """
        if "finished_episode" not in info:
            return
        if unknown := [end for end in self.suggestions if end not in info["finished_episode"]]:
            raise ValueError(
                f"ppo.exploration.suggestions has {unknown}, which end no episode of this reward: "
                "leave them out (~ppo.exploration.suggestions.NAME) or take reward=roach"
            )
        steps = slice(max(0, t - self.num_steps), t)
        for end, by_action in self.suggestions.items():
            worlds = np.flatnonzero((info["finished_episode"][end] > 0) & info["_finished_episode"])
            if not len(worlds):
                continue
            words = [by_action.get(action) for action in self.action_names]
            suggestion[steps, worlds] = [CODES[word] if word else NONE for word in words]


def exploration_loss_sum(
    distribution: BetaDistribution, suggestion: Tensor, suggestions: ExplorationSuggestions
) -> Tensor:
    """Sum over samples of the mean over actions of KL(policy || suggested).

    Args:
        distribution: Of the policy, (N, actions).
        suggestion: (N, actions) codes; where there is none the loss is zero.
        suggestions: (alpha, beta) by code.
    """
    table = torch.stack(
        (suggestions.suggest_go, suggestions.suggest_stop, suggestions.suggest_turn)
    )
    chosen = table[(suggestion - 1).clamp_min(0)]
    target = BetaDistribution(chosen[..., 0], chosen[..., 1])
    divergence = distribution.kl_divergence_by_action(target)
    return (divergence * (suggestion != NONE)).sum() / suggestion.shape[1]
