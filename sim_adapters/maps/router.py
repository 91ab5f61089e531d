"""Router: from a few waypoints to the dense route between them, as CARLA's planner traces them.

Each waypoint snaps to a driving lane and the shortest drivable way joins them. CARLA takes the
nearest lane, which inside a junction, where lanes overlap, may be one that the route cannot
drive without a detour round the block. Here all lanes almost as near are candidates and the
cheapest chain wins (the Viterbi algorithm).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.maps.route_search import LaneNetwork, RoutePlace, Stretch, Way, find_ways
from sim_adapters.maps.route_shape import (
    LEAST_SIDE_STEP_M,
    points_as_given,
    shape_points,
    shape_route,
)
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LANE_GRID_CELL_M, LANE_GRID_REACH_M, LaneKind, MapBank
from sim_adapters.scene.scenario import Route

# Overlapping lanes of a junction stay in, the lane beside (3 to 4 m away) does not
_CANDIDATE_MARGIN_M = 2.0
_SNAP_COST_PER_M = 10.0  # metres of detour that a metre nearer to the waypoint is worth


class Snap(NamedTuple):
    """A lane that a waypoint may mean."""

    place: RoutePlace
    distance_m: float


class Router:
    """Traces routes on the maps of one MapBank; about a millisecond a waypoint."""

    def __init__(self, maps: MapBank) -> None:
        self.maps = maps
        self.network = LaneNetwork(maps)

    def trace(self, town: str, waypoints: NDArray[np.float64]) -> Route:
        """Dense route through all waypoints in their order.

        Args:
            town: Name of a map of the bank.
            waypoints: (W, 3) x, y, z [m], W >= 2. Heights that are all below 1 m are taken for
                missing: route files of the older towns hold zeros, bridges or not.

        Raises:
            ValueError: unknown town, a waypoint off the map, or no drivable way between two.
        """
        map_index = self.maps.map_index(town)
        has_heights = bool(np.abs(waypoints[:, 2]).max() > 1.0)
        candidates = []
        for number, (x, y, z) in enumerate(waypoints.tolist()):
            snaps = self.nearby_lanes(map_index, x, y, z if has_heights else None)
            if not snaps:
                raise ValueError(
                    f"waypoint {number} at x={x:.1f} m, y={-y:.1f} m (CARLA's frame) is further "
                    f"than {LANE_GRID_REACH_M:g} m from any driving lane of {town}: "
                    f"correct the waypoint or the town"
                )
            candidates.append(snaps)
        return shape_route(self.maps, self._cheapest_chain(town, candidates))

    def nearby_lanes(self, map_index: int, x: float, y: float, z: float | None) -> list[Snap]:
        """Driving lanes about as near to a place as the nearest one, nearest first."""
        best: dict[int, Snap] = {}
        points, lanes = self.maps.points, self.maps.lanes
        near = self._grid_points(map_index, x, y)
        distance = np.hypot(points.x[near] - x, points.y[near] - y)
        for row in np.argsort(distance, kind="stable"):
            point, lane = int(near[row]), int(points.lane[near[row]])
            if lane in best or lanes.kind[lane] != LaneKind.DRIVING:
                continue
            if z is not None and abs(points.z[point] - z) > SAME_LEVEL_M:
                continue
            yaw = points.yaw_rad[point]
            ahead_m = math.cos(yaw) * (x - points.x[point]) + math.sin(yaw) * (y - points.y[point])
            s_m = min(max(points.s_m[point] + ahead_m, 0.0), lanes.length_m[lane])
            best[lane] = Snap(RoutePlace(lane, float(s_m)), float(distance[row]))
        snaps = sorted(best.values(), key=lambda snap: snap.distance_m)
        return [
            snap
            for snap in snaps
            if snap.distance_m <= min(snaps[0].distance_m + _CANDIDATE_MARGIN_M, LANE_GRID_REACH_M)
        ]

    def _grid_points(self, map_index: int, x: float, y: float) -> NDArray[np.int32]:
        grid = self.maps.grid
        column = math.floor((x - grid.origin_x[map_index]) / LANE_GRID_CELL_M)
        row = math.floor((y - grid.origin_y[map_index]) / LANE_GRID_CELL_M)
        if not (0 <= column < grid.num_x[map_index] and 0 <= row < grid.num_y[map_index]):
            return grid.point[:0]
        cell = grid.first_cell[map_index] + row * grid.num_x[map_index] + column
        return grid.point[grid.first_entry[cell] : grid.first_entry[cell + 1]]

    def _cheapest_chain(self, town: str, candidates: Sequence[list[Snap]]) -> list[Stretch]:
        """Stretches of the cheapest way through one candidate of each waypoint."""
        costs = [_SNAP_COST_PER_M * snap.distance_m for snap in candidates[0]]
        chains: list[list[Stretch]] = [[] for _ in costs]
        for number, (old, new) in enumerate(itertools.pairwise(candidates)):
            places = [snap.place for snap in new]
            ways = [find_ways(self.network, snap.place, places) for snap in old]
            costs, chains = _extend(costs, chains, ways, new)
            if not costs or min(costs) == math.inf:
                raise ValueError(
                    f"no drivable way from waypoint {number} to waypoint {number + 1} in {town}: "
                    f"they are on roads that do not connect in driving direction"
                )
        return chains[int(np.argmin(costs))]


def _extend(
    costs: list[float],
    chains: list[list[Stretch]],
    ways: list[list[Way | None]],
    new: list[Snap],
) -> tuple[list[float], list[list[Stretch]]]:
    """One step of Viterbi: the best chain that ends at each new candidate."""
    new_costs, new_chains = [], []
    for column, snap in enumerate(new):
        best, chain = math.inf, []
        for cost, old_chain, row in zip(costs, chains, ways, strict=True):
            way = row[column]
            if way is not None and cost + way.cost_m < best:
                best, chain = cost + way.cost_m, [*old_chain, *way.stretches]
        new_costs.append(best + _SNAP_COST_PER_M * snap.distance_m)
        new_chains.append(chain)
    return new_costs, new_chains


# A route that somebody else planned, CARLA's navigation: in our dense shape, or as it stands

_LEAST_STEP_M = 0.05  # legs of a plan overlap: what does not lead on is left out
_YAW_COST_M = 5.0  # per radian, between overlapping lanes of a junction
_ENDING_COST_M = 0.01  # a point on a seam is the following lane's, as CARLA has it
_SEAM_M = 0.01


def route_of_plan(router: Router, town: str, position: FloatArray, yaw_rad: FloatArray) -> Route:
    """The plan's own way, uniformly spaced, with smooth lane changes and the lanes it uses.

    Args:
        router: Of the maps.
        town: Name of a map of its bank.
        position: (K, 3) x, y, z [m] of points on lane centres in driving order, about a metre
            apart, in our frame.
        yaw_rad: (K,) direction of travel.

    Raises:
        ValueError: unknown town, fewer than two points, or a point off the map.
    """
    map_index = router.maps.map_index(town)
    rows = _leading_on(position, yaw_rad)
    if len(rows) < 2:
        raise ValueError(f"a plan of {len(rows)} points leads nowhere: expected two or more")
    position, yaw_rad = position[rows], yaw_rad[rows]
    lanes = [_lane_of(router, map_index, *row) for row in np.column_stack([position, yaw_rad])]
    return shape_points(router.maps, position, yaw_rad, np.array(lanes, np.int32))


def route_of_points(router: Router, town: str, position: FloatArray, yaw_rad: FloatArray) -> Route:
    """The plan itself, point by point, as CaRL's agent takes it from the leaderboard's evaluator.

    Points that stand close together or behind one another stay, and so do the sudden steps aside
    of lane changes. Arguments and errors are those of `route_of_plan`.
    """
    map_index = router.maps.map_index(town)
    if len(position) < 2:
        raise ValueError(f"a plan of {len(position)} points leads nowhere: expected two or more")
    lanes = [_lane_of(router, map_index, *row) for row in np.column_stack([position, yaw_rad])]
    return points_as_given(router.maps, position, yaw_rad, np.array(lanes, np.int32))


def _leading_on(position: FloatArray, yaw_rad: FloatArray) -> list[int]:
    """Rows that lie ahead of, or a lane beside, the last one kept."""
    rows = [0] if len(position) else []
    for row in range(1, len(position)):
        step = position[row, :2] - position[rows[-1], :2]
        yaw = yaw_rad[rows[-1]]
        ahead = step[0] * np.cos(yaw) + step[1] * np.sin(yaw)
        beside = step[1] * np.cos(yaw) - step[0] * np.sin(yaw)
        if ahead > _LEAST_STEP_M or (abs(beside) > LEAST_SIDE_STEP_M and ahead > -_LEAST_STEP_M):
            rows.append(row)
    return rows


def _lane_of(router: Router, map_index: int, x: float, y: float, z: float, yaw: float) -> int:
    """The driving lane at a place that leads in this direction."""
    snaps = router.nearby_lanes(map_index, x, y, z) or router.nearby_lanes(map_index, x, y, None)
    if not snaps:
        raise ValueError(
            f"the plan passes x={x:.1f} m, y={-y:.1f} m (CARLA's frame), where the map has no "
            f"driving lane: is it the map of another version of the town?"
        )
    lanes, points = router.maps.lanes, router.maps.points
    costs = []
    for snap in snaps:
        first, last = lanes.first_point[snap.place.lane], lanes.first_point[snap.place.lane + 1]
        row = first + min(
            int(np.searchsorted(points.s_m[first:last], snap.place.s_m)), last - first - 1
        )
        turn = np.arctan2(np.sin(points.yaw_rad[row] - yaw), np.cos(points.yaw_rad[row] - yaw))
        is_at_end = snap.place.s_m > lanes.length_m[snap.place.lane] - _SEAM_M
        ending = _ENDING_COST_M if is_at_end else 0.0
        costs.append(snap.distance_m + _YAW_COST_M * abs(turn) + ending)
    return snaps[int(np.argmin(costs))].place.lane
