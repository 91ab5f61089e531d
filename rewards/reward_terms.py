"""What a reward is made of, functions of the events checked once, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents, uneventful


class RewardBreakdown(NamedTuple):
    """Reward and episode end of one step of all E drivers."""

    reward: Tensor  # (E,) float64
    terminated: Tensor  # (E,) bool, ended by the episode's own rules
    truncated: Tensor  # (E,) bool, cut off; never together with terminated
    terms: dict[str, Tensor]  # (E,) each; factors and summands by the name that config and log use
    # (E,) bool each, which terminations and truncations these are, by the name that config and log
    # use; the next step overwrites them
    ends: Mapping[str, Tensor]


class Reward(Protocol):
    """Judges one step of all drivers by its events alone."""

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Reward, episode ends and every term by name."""
        ...


Term = Callable[[DrivingEvents], Tensor]


def product(terms: Mapping[str, Tensor]) -> Tensor:
    """Product of all terms (at least one), (E,)."""
    result, *others = terms.values()
    for term in others:
        result = result * term
    return result


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
    return {name: _plain(term) for name, term in terms.items()}


def _plain(term: Term) -> Term:
    """The term without the check that hydra runs in every call of its partials.

    Hydra vets the target again in each call, 0.13 ms that a step pays a dozen times. The target
    has just passed that check in the trial call, and neither it nor its keywords change later.
    """
    if isinstance(term, partial):
        return partial(term.func, *term.args, **term.keywords)
    return term


def checked_names(
    group: str, names: Iterable[str], terminations: Container[str]
) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
        ValueError: one of them is no termination of this reward.
    """
    if unknown := [name for name in names if name not in terminations]:
        raise ValueError(
            f"reward {group} names {unknown}, which are not among its terminations: add them "
            "there, or correct the names"
        )
    return tuple(names)
