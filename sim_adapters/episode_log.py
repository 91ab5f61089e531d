"""EpisodeLog: what each running episode has added up to, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class EpisodeLog:
    """Accounts of E running episodes."""

    num_envs: int
    episode: NDArray[np.int64] = field(init=False)  # (E,) index of the running episode
    length: NDArray[np.int64] = field(init=False)  # (E,) steps so far
    episode_return: NDArray[np.float64] = field(init=False)  # (E,) undiscounted
    route_percent: NDArray[np.float64] = field(init=False)  # (E,)

    def __post_init__(self) -> None:
        """Allocate the accounts."""
        self.episode = np.full(self.num_envs, -1, np.int64)
        self.length = np.zeros(self.num_envs, np.int64)
        self.episode_return = np.zeros(self.num_envs)
        self.route_percent = np.zeros(self.num_envs)

    def restart(self, worlds: NDArray[np.int64]) -> None:
        """Count the episodes of `worlds` from the first again."""
        self.episode[worlds] = -1

    def start(self, worlds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Open the next episode of `worlds`; returns their indices."""
        self.episode[worlds] += 1
        for account in (self.length, self.episode_return, self.route_percent):
            account[worlds] = 0
        return self.episode[worlds]

    def add_step(self, reward: NDArray[np.float32], route_percent: NDArray[np.floating]) -> None:
        """Add one step of every world."""
        self.length += 1
        self.episode_return += reward
        self.route_percent[:] = route_percent

    def summary(self, ends: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Accounts of all worlds and why each ended, (E,) each; only finished ones mean anything.

        Args:
            ends: `RewardBreakdown.ends` of the step; 1.0 where the episode ended so, else 0.0.
        """
        return {
            "return": self.episode_return.copy(),
            "length": self.length.copy(),
            "route_completion": self.route_percent.copy(),
            **{name: happened.numpy().astype(np.float32) for name, happened in ends.items()},
        }
