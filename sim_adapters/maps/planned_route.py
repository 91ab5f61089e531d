"""A route that somebody else planned, CARLA's navigation: in our dense shape, or as it stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.route_shape import LEAST_SIDE_STEP_M, points_as_given, shape_points
from sim_adapters.maps.router import Router
from sim_adapters.scene.scenario import Route

_LEAST_STEP_M = 0.05  # legs of a plan overlap: what does not lead on is left out
_YAW_COST_M = 5.0  # per radian, between overlapping lanes of a junction
_ENDING_COST_M = 0.01  # a point on a seam is the following lane's, as CARLA has it
_SEAM_M = 0.01

FloatArray = NDArray[np.float64]


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
