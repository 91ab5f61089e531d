"""RewardBreakdown: what every reward returns, whatever its formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from rewards.driving_events import DrivingEvents


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
