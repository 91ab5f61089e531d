"""EpisodeRecords: what the running episodes of a batch have added up to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluation.scoring.episode_result import EpisodeEnd
from evaluation.scoring.infractions import Infraction


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode's sums so far."""

    length_m: float
    num_steps: int
    route_percent: float
    gained_m: float  # along the route
    outside_m: float  # of that, outside the lanes
    speed_sum_mps: float  # over the steps
    actor_sum: int  # over the steps, without the ego
    num_started: int  # scenario triggers
    episode_return: float
    infractions: tuple[Infraction, ...]
    end: EpisodeEnd | None


@dataclass
class EpisodeRecords:
    """The records of E drivers, (E,) each."""

    num_agents: int
    length_m: NDArray[np.float64] = field(init=False)
    num_steps: NDArray[np.int64] = field(init=False)
    route_percent: NDArray[np.float64] = field(init=False)
    budget_s: NDArray[np.float64] = field(init=False)  # game time allowed so far
    gained_m: NDArray[np.float64] = field(init=False)
    outside_m: NDArray[np.float64] = field(init=False)
    speed_sum_mps: NDArray[np.float64] = field(init=False)
    actor_sum: NDArray[np.int64] = field(init=False)
    num_started: NDArray[np.int64] = field(init=False)
    episode_return: NDArray[np.float64] = field(init=False)
    infractions: list[list[Infraction]] = field(init=False)
    ends: list[EpisodeEnd | None] = field(init=False)

    def __post_init__(self) -> None:
        """Allocate empty records."""
        for name in _FLOATS:
            setattr(self, name, np.zeros(self.num_agents))
        for name in _COUNTS:
            setattr(self, name, np.zeros(self.num_agents, np.int64))
        self.infractions = [[] for _ in range(self.num_agents)]
        self.ends = [None] * self.num_agents

    @property
    def running(self) -> NDArray[np.bool_]:
        """Whose episode has not ended yet, (E,)."""
        return np.array([end is None for end in self.ends])

    def open(self, agent: int, length_m: float, budget_s: float) -> None:
        """Begin the record of a new episode."""
        for name in (*_FLOATS, *_COUNTS):
            getattr(self, name)[agent] = 0
        self.length_m[agent], self.budget_s[agent] = length_m, budget_s
        self.infractions[agent], self.ends[agent] = [], None

    def read(self, agent: int) -> EpisodeRecord:
        """A copy of one driver's record."""
        return EpisodeRecord(
            length_m=float(self.length_m[agent]),
            num_steps=int(self.num_steps[agent]),
            route_percent=float(self.route_percent[agent]),
            gained_m=float(self.gained_m[agent]),
            outside_m=float(self.outside_m[agent]),
            speed_sum_mps=float(self.speed_sum_mps[agent]),
            actor_sum=int(self.actor_sum[agent]),
            num_started=int(self.num_started[agent]),
            episode_return=float(self.episode_return[agent]),
            infractions=tuple(self.infractions[agent]),
            end=self.ends[agent],
        )


_FLOATS = (
    "length_m",
    "route_percent",
    "budget_s",
    "gained_m",
    "outside_m",
    "speed_sum_mps",
    "episode_return",
)
_COUNTS = ("num_steps", "actor_sum", "num_started")
