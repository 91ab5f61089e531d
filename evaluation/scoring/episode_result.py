"""EpisodeResult: how one planner drove one route once, with its infractions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Infraction: one rule broken on a route, with the penalty of CARLA's leaderboard 2.0


class InfractionKind(StrEnum):
    """Keys of the leaderboard's result file, in its order."""

    COLLISION_LAYOUT = "collisions_layout"
    COLLISION_PEDESTRIAN = "collisions_pedestrian"
    COLLISION_VEHICLE = "collisions_vehicle"
    RED_LIGHT = "red_light"
    STOP_SIGN = "stop_infraction"
    OUTSIDE_ROUTE_LANES = "outside_route_lanes"
    MINIMUM_SPEED = "min_speed_infractions"
    # Limit: the embedded world reports neither of these two; no longest6 route has the first.
    YIELD_EMERGENCY = "yield_emergency_vehicle_infractions"
    SCENARIO_TIMEOUT = "scenario_timeouts"
    ROUTE_DEVIATION = "route_dev"
    BLOCKED = "vehicle_blocked"
    ROUTE_TIMEOUT = "route_timeout"


FIXED_PENALTIES = {
    InfractionKind.COLLISION_PEDESTRIAN: 0.5,
    InfractionKind.COLLISION_VEHICLE: 0.6,
    InfractionKind.COLLISION_LAYOUT: 0.65,
    InfractionKind.RED_LIGHT: 0.7,
    InfractionKind.STOP_SIGN: 0.8,
    InfractionKind.SCENARIO_TIMEOUT: 0.7,
    InfractionKind.YIELD_EMERGENCY: 0.7,
}
NAMES = {
    InfractionKind.COLLISION_LAYOUT: "static collision",
    InfractionKind.COLLISION_PEDESTRIAN: "pedestrian collision",
    InfractionKind.COLLISION_VEHICLE: "vehicle collision",
    InfractionKind.RED_LIGHT: "red light",
    InfractionKind.STOP_SIGN: "stop sign",
    InfractionKind.OUTSIDE_ROUTE_LANES: "outside its lanes",
    InfractionKind.MINIMUM_SPEED: "slower than traffic",
    InfractionKind.YIELD_EMERGENCY: "emergency vehicle held up",
    InfractionKind.SCENARIO_TIMEOUT: "scenario timeout",
    InfractionKind.ROUTE_DEVIATION: "route left",
    InfractionKind.BLOCKED: "blocked",
    InfractionKind.ROUTE_TIMEOUT: "route timeout",
}
MINIMUM_SPEED_WEIGHT = 0.3
# These only stop the route; what they cost is the rest of it.
ROUTE_ENDS = (InfractionKind.ROUTE_DEVIATION, InfractionKind.BLOCKED, InfractionKind.ROUTE_TIMEOUT)


@dataclass(frozen=True)
class Infraction:
    """One event; positions are in our right-handed world frame."""

    kind: InfractionKind
    time_s: float  # since the episode began
    x: float  # [m] ego centre
    y: float
    z: float
    percent: float = 0.0  # OUTSIDE: of the driven route; MINIMUM_SPEED: ego's of traffic's speed
    other_id: int = 0  # COLLISION: the other actor, 0 is map geometry
    other_type: str = ""  # COLLISION: what it was


def shortfall_percent(infraction: Infraction) -> float:
    """By how much the ego was slower than the traffic [%]; 0 for infractions of other kinds."""
    if infraction.kind is not InfractionKind.MINIMUM_SPEED:
        return 0.0
    return 100.0 - min(infraction.percent, 100.0)


def penalty_factor(infraction: Infraction) -> float:
    """What the event multiplies the infraction score by, in [0, 1]."""
    if infraction.kind in FIXED_PENALTIES:
        return FIXED_PENALTIES[infraction.kind]
    if infraction.kind is InfractionKind.OUTSIDE_ROUTE_LANES:
        return 1.0 - min(infraction.percent, 100.0) / 100.0
    if infraction.kind is InfractionKind.MINIMUM_SPEED:
        return 1.0 - MINIMUM_SPEED_WEIGHT * (1.0 - min(infraction.percent, 100.0) / 100.0)
    return 1.0


def infraction_score(infractions: Iterable[Infraction]) -> float:
    """Product of what the events multiply it by, in [0, 1]."""
    return math.prod(penalty_factor(infraction) for infraction in infractions)


# MinimumSpeedTest: whether the ego has kept pace with the traffic around it.
#
# Source: scenario_runner `MinimumSpeedRouteTest` with the leaderboard's four checkpoints: each time
# a quarter of the route is passed, the ego's mean speed is compared with the mean speed of all
# background vehicles over the same ticks.

NUM_CHECKPOINTS = 4
LAST_CHECKPOINT_PERCENT = 95.0  # a route that gets this far has its last quarter judged


class MinimumSpeedTest:
    """Speed sums of E drivers since their last checkpoint."""

    def __init__(self, num_agents: int) -> None:
        self._ego_mps = np.zeros(num_agents)
        self._traffic_mps = np.zeros(num_agents)
        self._ticks = np.zeros(num_agents)
        self._checkpoint_percent = np.zeros(num_agents)  # route percent at the last checkpoint

    def restart(self, agent: int) -> None:
        """Begin a new route."""
        self._clear(agent)
        self._checkpoint_percent[agent] = 0.0

    def add_step(self, ego_mps: NDArray[np.float64], traffic_mps: NDArray[np.float64]) -> None:
        """Add one tick of all drivers; `traffic_mps` (E,) is NaN in a world without traffic."""
        seen = np.isfinite(traffic_mps)
        self._ego_mps[seen] += ego_mps[seen]
        self._traffic_mps[seen] += traffic_mps[seen]
        self._ticks += seen

    def agents_at_checkpoint(self, route_percent: NDArray[np.float64]) -> NDArray[np.int64]:
        """Drivers that have passed another quarter of their route."""
        passed = route_percent - self._checkpoint_percent
        return np.flatnonzero(passed > 100.0 / NUM_CHECKPOINTS)

    def close_checkpoint(self, agent: int, route_percent: float) -> float:
        """Judge the stretch that ends here: ego's speed in percent of the traffic's, 100 if none.

        The next stretch begins at `route_percent`.
        """
        ego, traffic = self._ego_mps[agent], self._traffic_mps[agent]
        percent = round(float(ego / traffic) * 100.0, 2) if traffic > 0.0 else 100.0
        self._clear(agent)
        self._checkpoint_percent[agent] = route_percent
        return percent

    def _clear(self, agent: int) -> None:
        self._ego_mps[agent] = self._traffic_mps[agent] = self._ticks[agent] = 0.0


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
        return infraction_score(self.infractions)

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


def infraction_text(infraction: Infraction, result: EpisodeResult) -> str:
    """The leaderboard's sentence for one infraction, in CARLA's frame (y right)."""
    x, y, z = infraction.x, 0.0 - infraction.y, infraction.z
    place = f"(x={x:.3f}, y={y:.3f}, z={z:.3f})"
    other = f"type={infraction.other_type} and id={infraction.other_id}"
    collided = f"Agent collided against object with {other} at {place}"
    return {
        InfractionKind.COLLISION_LAYOUT: collided,
        InfractionKind.COLLISION_PEDESTRIAN: collided,
        InfractionKind.COLLISION_VEHICLE: collided,
        InfractionKind.RED_LIGHT: f"Agent ran a red light at {place}",
        InfractionKind.STOP_SIGN: f"Agent ran a stop at {place}",
        InfractionKind.OUTSIDE_ROUTE_LANES: (
            f"Agent went outside its route lanes for about {result.outside_lanes_m:.3f} meters "
            f"({infraction.percent}% of the completed route)"
        ),
        InfractionKind.MINIMUM_SPEED: (
            f"Average speed is {infraction.percent}% of the surrounding traffic's one"
        ),
        InfractionKind.YIELD_EMERGENCY: "Agent failed to yield to an emergency vehicle",
        InfractionKind.SCENARIO_TIMEOUT: "Agent timed out a scenario",
        InfractionKind.ROUTE_DEVIATION: f"Agent deviated from the route at {place}",
        InfractionKind.BLOCKED: f"Agent got blocked at {place}",
        InfractionKind.ROUTE_TIMEOUT: "Route timeout.",
    }[infraction.kind]
