"""Scenario: what a world is reset to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class RouteCommand(IntEnum):
    """CARLA's RoadOption codes."""

    VOID = 0
    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    LANE_FOLLOW = 4
    CHANGE_LEFT = 5
    CHANGE_RIGHT = 6


@dataclass(frozen=True)
class Route:
    """A dense route, about one point a metre; all arrays have shape (P,)."""

    x: NDArray[np.float64]  # [m] right-handed world frame
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    lane: NDArray[np.int32]  # index into MapBank.lanes, -1 unknown
    in_junction: NDArray[np.bool_]
    command: NDArray[np.uint8]  # RouteCommand

    @property
    def cumulative_m(self) -> NDArray[np.float64]:
        """3-D arc length from the first point, shape (P,)."""
        steps = np.sqrt(np.diff(self.x) ** 2 + np.diff(self.y) ** 2 + np.diff(self.z) ** 2)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        """3-D arc length of the whole route."""
        return float(self.cumulative_m[-1])


@dataclass(frozen=True)
class ScenarioTrigger:
    """One scripted event of a route; the leaderboard's scenario element, in our frame."""

    name: str
    scenario_type: str  # leaderboard type, e.g. "DynamicObjectCrossing"
    x: float  # [m] trigger point, right-handed world frame
    y: float
    z: float
    yaw_rad: float
    # Children of the XML element: `distance` is its value, `frequency.from` another attribute; y
    # and yaw of places are mirrored as the trigger's. Missing ones take the leaderboard's defaults.
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A map, a route and what happens on it. The start pose is the route's first point."""

    scenario_id: str  # unique within its file, e.g. "Town01_05"
    town: str  # "Town01", the name the MapBank knows
    route: Route
    seed: int  # all randomness of the world derives from it
    triggers: tuple[ScenarioTrigger, ...] = ()
    time_limit_s: float = 1200.0  # CaRL's eval_time
