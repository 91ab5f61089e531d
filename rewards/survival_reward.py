"""SurvivalReward: CaRL's progress reward with a share paid for every step survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rewards.driving_events import DrivingEvents
from rewards.episode_ends import EpisodeEnds
from rewards.reward_breakdown import RewardBreakdown
from rewards.reward_terms import Term, checked_names, checked_terms, product

_ROUTE_PERCENT = 100.0


class SurvivalReward:
    """(1 - ratio) x progress x soft penalties + ratio x an equal share of 100 each step.

    Args:
        progress: Percent of the route gained in the step.
        soft_penalties: Factors in [0, 1] by name that scale the progress.
        survival_ratio: Share of the whole that is paid for being there, in [0, 1].
        expected_steps: Steps of a typical episode.
        terminations: Predicates by name that end an episode.
        truncations: Predicates by name that cut it off.
        forfeiting: Terminations whose step earns nothing.

    Raises:
        ValueError: a term cannot be called, or a name is no termination.

    Source: CaRL's nuPlan form "survival", ratio 0.2 over 150 steps.
    """

    def __init__(
        self,
        progress: Term,
        soft_penalties: Mapping[str, Term],
        survival_ratio: float,
        expected_steps: int,
        terminations: Mapping[str, Term],
        truncations: Mapping[str, Term],
        forfeiting: Sequence[str],
    ) -> None:
        self.progress = checked_terms("progress", {"progress": progress})["progress"]
        self.soft_penalties = checked_terms("soft_penalties", soft_penalties)
        self.survival_ratio = survival_ratio
        self.expected_steps = expected_steps
        self.episode_ends = EpisodeEnds(terminations, truncations)
        self.forfeiting = checked_names("forfeiting", forfeiting, terminations)

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Judge one step of all E drivers."""
        ends = self.episode_ends(events)
        void = ends.any_of(self.forfeiting) | events.simulator_failed
        terms = {"progress": self.progress(events)}
        terms |= {name: factor(events) for name, factor in self.soft_penalties.items()}
        scaled = (1.0 - self.survival_ratio) * product(terms)
        survived = (~void).to(scaled.dtype)
        terms["survival"] = survived * self.survival_ratio * _ROUTE_PERCENT / self.expected_steps
        reward = survived * scaled + terms["survival"]
        return RewardBreakdown(reward, ends.terminated, ends.truncated, terms, ends.by_name)
