"""EpisodeEnds: which events terminate an episode and which cut it off, chosen in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents
from rewards.reward_terms import Term, checked_terms


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
