"""Stop and yield signs as CARLA's level handles them: they turn a vehicle's light state red.

A vehicle that enters the box of a stop sign sees red for at least two seconds, one at a yield sign
only while others are on the ways that cross or join its own; both look again at intervals. It is
this red that makes a TrafficManager stop where no light stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import GREEN, ActorRegistry
from sim_adapters.carla.headless.road_furniture import RoadThing
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import MapBank

_RED = 0
_LEAST_STOP_S = 2.0
_LOOK_AGAIN_S = {"traffic.stop": 1.0, "traffic.yield": 0.5}
_CHECKED_SHARE = 0.45  # of the lane's width to each side of its centre line


@dataclass
class _Wait:
    """One vehicle in the box of one sign."""

    sign: int
    next_look_s: float
    is_red: bool = True


class PrioritySigns:
    """Who waits at which sign.

    Args:
        bank: The town.
        signs: All signs, by index.
    """

    def __init__(self, bank: MapBank, signs: list[RoadThing]) -> None:
        self._bank = bank
        self._signs = signs
        self._waits: dict[int, _Wait] = {}
        self._checked_points: dict[int, NDArray[np.float64]] = {}

    def update(self, now_s: float, registry: ActorRegistry, touched: NDArray[np.int32]) -> None:
        """Set the light states of all vehicles in boxes of signs.

        Args:
            now_s: Time of the episode.
            registry: All actors.
            touched: Sign whose box each row overlaps, -1 none.
        """
        rows = registry.rows_of(Kind.VEHICLE)
        records = registry.arrays.records
        waits: dict[int, _Wait] = {}
        for row in rows[touched[rows] >= 0]:
            actor_id, sign = registry.by_row[row].actor_id, int(touched[row])
            wait = self._waits.get(actor_id)
            if wait is None or wait.sign != sign:
                is_stop = self._signs[sign].type_id == "traffic.stop"
                wait = _Wait(sign, now_s + (_LEAST_STOP_S if is_stop else 0.0))
            if wait.is_red and now_s >= wait.next_look_s:
                wait.is_red = self._is_taken(sign, int(row), registry)
                wait.next_look_s = now_s + _LOOK_AGAIN_S[self._signs[sign].type_id]
            waits[actor_id] = wait
            if not records["has_light"][row]:
                records["light_state"][row] = _RED if wait.is_red else GREEN
        self._waits = waits

    def _is_taken(self, sign: int, own_row: int, registry: ActorRegistry) -> bool:
        """Whether another vehicle is on a way that crosses or joins one behind the sign."""
        points = self._points_to_check(sign)
        rows = registry.rows_of(Kind.VEHICLE)
        rows = rows[rows != own_row]
        pose, body = registry.arrays.pose, registry.arrays.body
        x, y, z, margin = points[:, :, None]
        dx, dy = x - pose.x[rows], y - pose.y[rows]
        cos, sin = np.cos(pose.yaw[rows]), np.sin(pose.yaw[rows])
        inside = np.abs(cos * dx + sin * dy - body.center_x[rows]) < body.half_length[rows] + margin
        inside &= np.abs(cos * dy - sin * dx - body.center_y[rows]) < body.half_width[rows] + margin
        inside &= np.abs(z - pose.z[rows]) < SAME_LEVEL_M
        return bool(inside.any())

    def _points_to_check(self, sign: int) -> NDArray[np.float64]:
        """x, y, z and margin of the points of conflicting lanes, (4, K)."""
        if sign not in self._checked_points:
            lanes, links, points = self._bank.lanes, self._bank.links, self._bank.points
            approach = self._signs[sign].lane
            ways = _row(links.successor_first, links.successor, approach)
            conflicts = {
                int(other)
                for way in ways
                if lanes.junction[way] >= 0
                for other in _row(links.conflict_first, links.conflict, int(way))
            }
            chosen = [
                point
                for lane in sorted(conflicts)
                for point in range(lanes.first_point[lane], lanes.first_point[lane + 1])
            ]
            margin = _CHECKED_SHARE * points.width_m[chosen]
            columns = [points.x[chosen], points.y[chosen], points.z[chosen], margin]
            self._checked_points[sign] = np.array(columns).reshape(4, -1)
        return self._checked_points[sign]


def _row(first: NDArray[np.int32], values: NDArray[np.int32], index: int) -> NDArray[np.int32]:
    return values[first[index] : first[index + 1]]
