"""EpisodeResult: how one planner drove one route once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.scoring.infractions import Infraction, InfractionKind, penalty_factor

# EpisodeRecords: what the running episodes of a batch have added up to.


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


class EpisodeEnd(StrEnum):
    """Why the episode ended, in the leaderboard's words."""

    COMPLETED = "Completed"
    ROUTE_DEVIATION = "Failed - Agent deviated from the route"
    BLOCKED = "Failed - Agent got blocked"
    TIMEOUT = "Failed - Agent timed out"
    SIMULATOR_FAILED = "Failed - Simulation crashed"
    STOPPED = "Stopped by the driver"  # in `evaluation.play`; not the leaderboard's


@dataclass(frozen=True)
class EpisodeResult:
    """One route driven once."""

    route_id: str
    town: str
    seed: int
    length_m: float
    route_completion: float  # [0, 100] percent
    infractions: tuple[Infraction, ...]
    end: EpisodeEnd
    duration_s: float  # simulated
    wall_s: float  # of the batch while this episode ran
    mean_actors: float  # valid actors beside the ego, averaged over the steps
    mean_speed_mps: float
    outside_lanes_m: float
    episode_return: float  # undiscounted, of the checkpoint's own reward
    num_triggers: int = 0  # scenarios of the route
    num_started: int = 0  # of them, begun; the others lie beyond the end of the drive

    @property
    def infraction_score(self) -> float:
        """Product of all penalties, in [0, 1] (leaderboard: score_penalty)."""
        return math.prod(penalty_factor(infraction) for infraction in self.infractions)

    @property
    def driving_score(self) -> float:
        """Route completion times infraction score, in [0, 100] (leaderboard: score_composed)."""
        return max(self.route_completion * self.infraction_score, 0.0)

    @property
    def driven_km(self) -> float:
        """Completed part of the route."""
        return self.length_m * self.route_completion / 1e5

    @property
    def status(self) -> str:
        """The leaderboard's status text."""
        perfect = self.end is EpisodeEnd.COMPLETED and self.driving_score == 100.0
        return "Perfect" if perfect else str(self.end)

    def count(self, kind: InfractionKind) -> int:
        """How many infractions of `kind` happened."""
        return Counter(infraction.kind for infraction in self.infractions)[kind]

    def as_row(self) -> dict[str, Any]:
        """All fields and scores as JSON values."""
        return asdict(self) | {
            "infraction_score": self.infraction_score,
            "driving_score": self.driving_score,
        }


def result_from_row(row: dict[str, Any]) -> EpisodeResult:
    """The result that `as_row` gave."""
    fields = dict(row)
    del fields["infraction_score"], fields["driving_score"]
    fields["end"] = EpisodeEnd(fields["end"])
    fields["infractions"] = tuple(
        Infraction(**(entry | {"kind": InfractionKind(entry["kind"])}))
        for entry in fields["infractions"]
    )
    return EpisodeResult(**fields)
