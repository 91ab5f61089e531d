"""CaRL's rewards for nuPlan beside its own: paid for survival, and rules added up step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rewards.driving_events import DrivingEvents
from rewards.driving_reward import EpisodeEnds
from rewards.reward_terms import RewardBreakdown, Term, checked_names, checked_terms, product

_ROUTE_PERCENT = 100.0  # what a flawless episode earns


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


class WeightedSumReward:
    """gates x weighted mean of progress and kept rules; nothing in the step of an infraction.

    A rule that is kept in all of `expected_steps` steps earns as much as the whole route.

    Args:
        progress: Percent of the route gained in the step.
        progress_weight: Weight of the progress.
        rules: Terms in [0, 1] by name that are paid for every step.
        weights: Weight of each rule.
        gates: Factors in [0, 1] by name that scale everything.
        expected_steps: Steps of a typical episode.
        terminations: Predicates by name that end an episode.
        truncations: Predicates by name that cut it off.
        forfeiting: Terminations whose step earns nothing.

    Raises:
        ValueError: a term cannot be called, or names do not fit together.

    Source: CaRL's nuPlan form, 100 gates [5 d + (5 ttc + 4 speed + 2 comfort) / 150] / 16; its
    CARLA form spreads over 2,000 steps.
    """

    def __init__(
        self,
        progress: Term,
        progress_weight: float,
        rules: Mapping[str, Term],
        weights: Mapping[str, float],
        gates: Mapping[str, Term],
        expected_steps: int,
        terminations: Mapping[str, Term],
        truncations: Mapping[str, Term],
        forfeiting: Sequence[str],
    ) -> None:
        if set(rules) != set(weights):
            raise ValueError(
                f"reward rules are {sorted(rules)}, weights are given for {sorted(weights)}: "
                "each rule needs one weight"
            )
        self.progress = checked_terms("progress", {"progress": progress})["progress"]
        self.progress_weight = progress_weight
        self.rules, self.weights = checked_terms("rules", rules), dict(weights)
        self.gates = checked_terms("gates", gates)
        self.expected_steps = expected_steps
        self.episode_ends = EpisodeEnds(terminations, truncations)
        self.forfeiting = checked_names("forfeiting", forfeiting, terminations)

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Judge one step of all E drivers."""
        ends = self.episode_ends(events)
        void = ends.any_of(self.forfeiting) | events.simulator_failed
        total_weight = self.progress_weight + sum(self.weights.values())
        terms = {"progress": self.progress(events)}
        earned = self.progress_weight / total_weight * terms["progress"]
        for name, rule in self.rules.items():
            terms[name] = rule(events)
            per_step = self.weights[name] / total_weight * _ROUTE_PERCENT / self.expected_steps
            earned = earned + per_step * terms[name]
        gates = {name: gate(events) for name, gate in self.gates.items()}
        reward = product({"earned": earned} | gates).masked_fill(void, 0.0)
        terms |= gates
        return RewardBreakdown(reward, ends.terminated, ends.truncated, terms, ends.by_name)
