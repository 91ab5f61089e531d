"""EpisodeResult: how one planner drove one route once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from evaluation.scoring.infractions import Infraction, InfractionKind, penalty_factor


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
