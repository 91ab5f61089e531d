"""DrivingReward: CaRL's simple reward, route progress scaled by soft penalties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from rewards.driving_events import DrivingEvents
from rewards.episode_ends import EpisodeEnds
from rewards.reward_breakdown import RewardBreakdown
from rewards.reward_terms import Term, checked_names, checked_terms, product

__all__ = ["DrivingReward", "RewardBreakdown"]


class DrivingReward:
    """progress x product of the soft penalties, minus a penalty for the worst episode ends.

    Args:
        progress: What the driver is paid for [percent of the route].
        soft_penalties: Factors in [0, 1] by name.
        terminations: Predicates by name that end an episode.
        truncations: Predicates by name that cut an episode off.
        penalised: Names of the terminations that cost `terminal_penalty`, or the share of it that
            each costs; of several at once the dearest counts.
        terminal_penalty: Taken off in the step that ends so [percent of the route].
        forfeiting: Names of the terminations whose step earns no progress.

    Raises:
        ValueError: a term cannot be called, or a name is no termination.

    Source: CaRL, r_t = dRC_t x prod(p_i) + T. On CARLA the last step's own progress is still paid,
    on nuPlan the step of an infraction earns nothing.
    """

    def __init__(
        self,
        progress: Term,
        soft_penalties: Mapping[str, Term],
        terminations: Mapping[str, Term],
        truncations: Mapping[str, Term],
        penalised: Sequence[str] | Mapping[str, float],
        terminal_penalty: float,
        forfeiting: Sequence[str] = (),
    ) -> None:
        self.progress = checked_terms("progress", {"progress": progress})["progress"]
        self.soft_penalties = checked_terms("soft_penalties", soft_penalties)
        self.episode_ends = EpisodeEnds(terminations, truncations)
        shares = penalised if isinstance(penalised, Mapping) else dict.fromkeys(penalised, 1.0)
        checked_names("penalised", shares, terminations)
        self.penalised = {name: float(share) for name, share in shares.items()}
        self.terminal_penalty = terminal_penalty
        self.forfeiting = checked_names("forfeiting", forfeiting, terminations)

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Judge one step of all E drivers."""
        terms = {"progress": self.progress(events)}
        terms |= {name: factor(events) for name, factor in self.soft_penalties.items()}
        reward = product(terms)
        ends = self.episode_ends(events)
        if self.forfeiting:
            reward = reward.masked_fill(ends.any_of(self.forfeiting), 0.0)
        cost = torch.zeros_like(reward)
        for name, share in self.penalised.items():
            cost = torch.maximum(cost, share * ends.by_name[name].to(reward.dtype))
        terms["terminal"] = -self.terminal_penalty * cost
        reward = reward + terms["terminal"]
        return RewardBreakdown(reward, ends.terminated, ends.truncated, terms, ends.by_name)
