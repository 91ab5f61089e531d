"""EpisodeEnds: which events terminate an episode and which cut it off, chosen in YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents, uneventful

Term = Callable[[DrivingEvents], Tensor]


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


def checked_terms(
    group: str, terms: Mapping[str, Term], *, dtype: torch.dtype = torch.float64
) -> dict[str, Term]:
    """The terms as a dict, each tried once on uneventful events.

    A wrong key under `_partial_` passes hydra and would only fail at the first step of a run.

    Raises:
        ValueError: a term cannot be called with events alone or gives another shape or type.
    """
    events = uneventful(2)
    for name, term in terms.items():
        try:
            value = term(events)
        except TypeError as error:
            raise ValueError(
                f"reward {group}.{name} cannot be called: {error}. Check its keys in "
                f"configs/reward, and that it is written with _partial_: true"
            ) from error
        if not isinstance(value, Tensor) or value.shape != (2,) or value.dtype != dtype:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            kind = value.dtype if isinstance(value, Tensor) else ""
            raise ValueError(
                f"reward {group}.{name} gave {found} {kind} for two drivers, expected one "
                f"{dtype} for each, shape (2,)"
            )
    return dict(terms)
