"""EpisodeLog: what each running episode has added up to, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents

# Facts of the last step that tell why an episode ended; logged as `episode/<name>`.
END_FACTS = (
    "collision",
    "too_near_pedestrian",
    "ran_red_light",
    "ran_stop_sign",
    "blocked",
    "off_route",
    "left_route_line",
    "route_finished",
    "timed_out",
    "simulator_failed",
)


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

    def restart(self) -> None:
        """Count episodes from the first again."""
        self.episode[:] = -1

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

    def summary(self, events: DrivingEvents) -> dict[str, np.ndarray]:
        """Accounts and end facts of all worlds, (E,) each; only finished ones mean anything."""
        ends = {name: getattr(events, name).numpy().astype(np.float32) for name in END_FACTS}
        return {
            "return": self.episode_return.copy(),
            "length": self.length.copy(),
            "route_completion": self.route_percent.copy(),
            **ends,
        }
