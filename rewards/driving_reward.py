"""DrivingReward: CaRL's simple reward, route progress scaled by soft penalties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents
from rewards.reward_terms import RewardBreakdown, Term, checked_names, checked_terms, product


class StepEnds(NamedTuple):
    """Which drivers' episodes end in a step, and why."""

    terminated: Tensor  # (E,) bool, by the episode's own rules
    truncated: Tensor  # (E,) bool, cut off; never together with terminated
    by_name: Mapping[str, Tensor]  # (E,) bool each, until the next step

    def any_of(self, names: Iterable[str]) -> Tensor:
        """Whether one of the named ends happened, (E,) bool."""
        happened = torch.zeros_like(self.terminated)
        for name in names:
            happened |= self.by_name[name]
        return happened


class EpisodeEnds:
    """Lists of named predicates.

    Args:
        terminations: Predicates that end an episode by its own rules.
        truncations: Predicates that cut it off. A step that does both counts as terminated, and a
            lost world as truncated; only ends of the kind that counts are reported by name.

    Raises:
        ValueError: a predicate does not work on events, for instance because of a misspelt key, or
            a name stands in both lists.
    """

    def __init__(self, terminations: Mapping[str, Term], truncations: Mapping[str, Term]) -> None:
        if twice := sorted(terminations.keys() & truncations.keys()):
            raise ValueError(
                f"reward lists {twice} under terminations and under truncations: take each from "
                "one of them"
            )
        self._predicates = checked_terms("terminations", terminations, dtype=torch.bool)
        self._predicates |= checked_terms("truncations", truncations, dtype=torch.bool)
        self._num_terminations = len(terminations)
        self._allocate(0)

    def __call__(self, events: DrivingEvents) -> StepEnds:
        """Judge one step of all E drivers."""
        if len(events.collision) != self._terminating.shape[1]:
            self._allocate(len(events.collision))
        for name, predicate in self._predicates.items():
            self._by_name[name].copy_(predicate(events))
        terminated = self._terminating.any(0) & ~events.simulator_failed
        truncated = self._truncating.any(0) & ~terminated
        self._terminating &= terminated
        self._truncating &= truncated
        return StepEnds(terminated, truncated, self._by_name)

    def _allocate(self, num_agents: int) -> None:
        # Made inside a caller's inference mode they could not be written to outside of it
        with torch.inference_mode(False):
            happened = torch.zeros((len(self._predicates), num_agents), dtype=torch.bool)
            self._terminating = happened[: self._num_terminations]
            self._truncating = happened[self._num_terminations :]
            self._by_name = dict(zip(self._predicates, happened, strict=True))


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
