"""EpisodeEnds: which events terminate an episode and which cut it off, chosen in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents
from rewards.reward_terms import Term, checked_terms


class EpisodeEnds:
    """Lists of named predicates.

    Args:
        terminations: Predicates that end an episode by its own rules.
        truncations: Predicates that cut it off. A step that does both counts as terminated.

    Raises:
        ValueError: a predicate does not work on events, for instance because of a misspelt key.
    """

    def __init__(self, terminations: Mapping[str, Term], truncations: Mapping[str, Term]) -> None:
        self.terminations = checked_terms("terminations", terminations, dtype=torch.bool)
        self.truncations = checked_terms("truncations", truncations, dtype=torch.bool)

    def __call__(self, events: DrivingEvents) -> tuple[Tensor, Tensor]:
        """Terminated and truncated, (E,) bool; a lost world is never called terminated."""
        terminated = self.any_termination(events, self.terminations) & ~events.simulator_failed
        truncated = _any(events, self.truncations.values()) & ~terminated
        return terminated, truncated

    def any_termination(self, events: DrivingEvents, names: Iterable[str]) -> Tensor:
        """Whether one of the named terminations happened, (E,) bool."""
        return _any(events, (self.terminations[name] for name in names))


def _any(events: DrivingEvents, predicates: Iterable[Term]) -> Tensor:
    happened = torch.zeros_like(events.collision)
    for predicate in predicates:
        happened |= predicate(events)
    return happened
