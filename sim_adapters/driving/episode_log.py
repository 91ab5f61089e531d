"""What running episodes have added up to, and why they ended; what a held action has brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rewards.reward_breakdown import RewardBreakdown


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

    def add_step(
        self,
        reward: NDArray[np.float32],
        route_percent: NDArray[np.floating],
        running: NDArray[np.bool_],
    ) -> None:
        """Add one step of the worlds whose episode is still running."""
        self.length += running
        self.episode_return[running] += reward[running]
        np.copyto(self.route_percent, route_percent, where=running)

    def summary(self, ends: Mapping[str, NDArray[np.bool_]]) -> dict[str, np.ndarray]:
        """Accounts of all worlds and why each ended, (E,) each; only finished ones mean anything.

        Args:
            ends: Whether the episode ended so, by name; becomes 1.0 or 0.0.
        """
        return {
            "return": self.episode_return.copy(),
            "length": self.length.copy(),
            "route_completion": self.route_percent.copy(),
            **{name: happened.astype(np.float32) for name, happened in ends.items()},
        }


class DecisionLog:
    """What one decision, held for some steps, has brought E drivers until their episodes ended.

    Steps after a driver's end belong to nobody: they are neither rewarded nor counted.
    """

    def __init__(self, num_envs: int) -> None:
        self.running = np.ones(num_envs, np.bool_)  # (E,) no end yet
        self.terminated = np.zeros(num_envs, np.bool_)  # (E,)
        self.truncated = np.zeros(num_envs, np.bool_)  # (E,)
        self.ends: dict[str, NDArray[np.bool_]] = {}  # (E,) each, as in `RewardBreakdown`
        self._reward = np.zeros(num_envs)
        self._terms: dict[str, np.ndarray] = {}
        self._num_steps = np.zeros(num_envs, np.int64)

    def add_step(self, outcome: RewardBreakdown) -> NDArray[np.bool_]:
        """Add one step of the drivers that are running; returns who ended in it, (E,)."""
        running = self.running
        self._num_steps += running
        np.add(self._reward, outcome.reward.numpy(), out=self._reward, where=running)
        for name, term in outcome.terms.items():
            total = self._terms.setdefault(name, np.zeros(len(running)))
            np.add(total, term.numpy(), out=total, where=running)
        terminated = outcome.terminated.numpy() & running
        truncated = outcome.truncated.numpy() & running
        ended = terminated | truncated
        for name, happened in outcome.ends.items():
            so_far = self.ends.setdefault(name, np.zeros(len(running), np.bool_))
            so_far |= happened.numpy() & ended
        self.terminated |= terminated
        self.truncated |= truncated
        self.running = running & ~ended
        return ended

    @property
    def reward(self) -> NDArray[np.float32]:
        """Sum over the steps of each driver, (E,)."""
        return self._reward.astype(np.float32)

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """Reward terms, means over the steps of each driver, (E,) each."""
        return {name: total / self._num_steps for name, total in self._terms.items()}
