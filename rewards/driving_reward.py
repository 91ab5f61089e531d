"""DrivingReward: CaRL's simple reward, route progress scaled by soft penalties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        penalised: Names of the terminations that cost `terminal_penalty`.
        terminal_penalty: Taken off in the step that ends so [percent of the route].

    Raises:
        ValueError: a term cannot be called, or `penalised` names no termination.

    Source: CaRL, r_t = dRC_t x prod(p_i) + T. The last step's own progress is still paid.
    """

    def __init__(
        self,
        progress: Term,
        soft_penalties: Mapping[str, Term],
        terminations: Mapping[str, Term],
        truncations: Mapping[str, Term],
        penalised: Sequence[str],
        terminal_penalty: float,
    ) -> None:
        self.progress = checked_terms("progress", {"progress": progress})["progress"]
        self.soft_penalties = checked_terms("soft_penalties", soft_penalties)
        self.episode_ends = EpisodeEnds(terminations, truncations)
        self.penalised = checked_names("penalised", penalised, terminations)
        self.terminal_penalty = terminal_penalty

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Judge one step of all E drivers."""
        terms = {"progress": self.progress(events)}
        terms |= {name: factor(events) for name, factor in self.soft_penalties.items()}
        reward = product(terms)
        terminated, truncated = self.episode_ends(events)
        fatal = terminated & self.episode_ends.any_termination(events, self.penalised)
        terms["terminal"] = -self.terminal_penalty * fatal.to(reward.dtype)
        return RewardBreakdown(reward + terms["terminal"], terminated, truncated, terms)
