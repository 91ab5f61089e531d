"""Infraction: one rule broken on a route, with the penalty of CARLA's leaderboard 2.0.

Source: leaderboard 2.0 `statistics_manager`; the coefficients are those of the CARLA 0.9.15
release, in which slow driving still costs points.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


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
    InfractionKind.MINIMUM_SPEED: "slow quarter",
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


def penalty_factor(infraction: Infraction) -> float:
    """What the event multiplies the infraction score by, in [0, 1]."""
    if infraction.kind in FIXED_PENALTIES:
        return FIXED_PENALTIES[infraction.kind]
    if infraction.kind is InfractionKind.OUTSIDE_ROUTE_LANES:
        return 1.0 - min(infraction.percent, 100.0) / 100.0
    if infraction.kind is InfractionKind.MINIMUM_SPEED:
        return 1.0 - MINIMUM_SPEED_WEIGHT * (1.0 - min(infraction.percent, 100.0) / 100.0)
    return 1.0


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
