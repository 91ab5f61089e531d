"""Where pedestrians walk: sidewalks joined at their ends, and places to cross the road.

Derived once from a MapBank. CARLA's walkers use a navigation mesh that no map file holds; OpenDRIVE
gives sidewalk lanes and, in most towns, crosswalk polygons. Towns without crosswalks (01, 02) get
one crossing at every arm of a junction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from shapely.geometry import Polygon

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LaneKind, MapBank

LINK_GAP_M = 5.0  # sidewalk ends nearer than this are joined by a straight walk
CROSSWALK_REACH_M = 6.0  # from a crosswalk's end to the sidewalk
ARM_SETBACK_M = 3.0  # of a crossing from the junction where no crosswalk is drawn
MAX_CROSSING_M = 30.0
MIN_CROSSING_M = 4.0
_SIGNAL_REACH_M = 20.0  # from a crosswalk to the end of the arm that it crosses


class Sidewalks(NamedTuple):
    """Sidewalk lanes of all maps; end e of lane i (0 first point, 1 last) is row 2 i + e."""

    point_first: IntArray  # (M + 1,) CSR per map: sidewalk points, where people may appear
    point: IntArray
    link_first: IntArray  # (2 N + 1,) CSR per lane end
    link_lane: IntArray  # sidewalk lane reached from there ...
    link_end: IntArray  # ... and the end of it at which one arrives
    anchor_first: IntArray  # (N + 1,) CSR per lane: ends of crossings on it
    anchor_m: FloatArray  # where along the lane
    anchor_crossing: IntArray
    anchor_side: IntArray  # which end of the crossing, 0 or 1


class Crossings(NamedTuple):
    """Places to cross, from end 0 to end 1 or back, (C,); columns of (C, 2) arrays are ends."""

    lane: IntArray  # (C, 2) sidewalk lane
    s_m: FloatArray  # (C, 2) along it
    x: FloatArray  # (C, 2)
    y: FloatArray
    z: FloatArray
    signal: IntArray  # light of the arm that is crossed (global index), -1 none


class Footways(NamedTuple):
    """Where people walk."""

    sidewalks: Sidewalks
    crossings: Crossings


class _Arm(NamedTuple):
    """End of an approach lane at a junction."""

    x: float
    y: float
    z: float
    yaw_rad: float
    signal: int


def build_sidewalks(maps: MapBank) -> Footways:
    """Walking graph and crossings of all maps of the bank."""
    per_map = [_sidewalk_points(maps, index) for index in range(len(maps.towns))]
    ends = [
        pair
        for index, points in enumerate(per_map)
        if points.size
        for pair in _crossing_ends(maps, index, points)
    ]
    crossings = _make_crossings(maps, ends)
    num_lanes = maps.lanes.kind.size
    anchor_lane = crossings.lane.reshape(-1)
    order = np.argsort(anchor_lane, kind="stable")
    link_first, link_lane, link_end = _links(maps, per_map)
    return Footways(
        Sidewalks(
            point_first=_starts(np.array([points.size for points in per_map])),
            point=np.concatenate(per_map).astype(np.int32),
            link_first=link_first,
            link_lane=link_lane,
            link_end=link_end,
            anchor_first=_starts(np.bincount(anchor_lane, minlength=num_lanes)),
            anchor_m=crossings.s_m.reshape(-1)[order],
            anchor_crossing=(order // 2).astype(np.int32),
            anchor_side=(order % 2).astype(np.int32),
        ),
        crossings,
    )


def _starts(counts: NDArray[np.int64]) -> IntArray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _sidewalk_points(maps: MapBank, map_index: int) -> IntArray:
    first, last = maps.ranges.point[map_index], maps.ranges.point[map_index + 1]
    on_sidewalk = maps.lanes.kind[maps.points.lane[first:last]] == LaneKind.SIDEWALK
    return (first + np.flatnonzero(on_sidewalk)).astype(np.int32)


def _positions(maps: MapBank, rows: IntArray) -> FloatArray:
    points = maps.points
    # Levels are pulled apart so that a nearest neighbour is one that can be walked to
    return np.column_stack([points.x[rows], points.y[rows], 2.0 * points.z[rows]])


def _links(maps: MapBank, per_map: list[IntArray]) -> tuple[IntArray, IntArray, IntArray]:
    """CSR over lane ends: which other lane ends lie within LINK_GAP_M."""
    num_rows = 2 * maps.lanes.kind.size
    targets: list[list[int]] = [[] for _ in range(num_rows)]
    for points in per_map:
        lanes = np.unique(maps.points.lane[points])
        rows = np.column_stack([2 * lanes, 2 * lanes + 1]).reshape(-1)
        end_points = np.column_stack(
            [maps.lanes.first_point[lanes], maps.lanes.first_point[lanes + 1] - 1]
        ).reshape(-1)
        if rows.size == 0:
            continue
        tree = KDTree(_positions(maps, end_points.astype(np.int32)))
        for one, other in sorted(tree.query_pairs(LINK_GAP_M)):
            if rows[one] // 2 != rows[other] // 2:
                targets[rows[one]].append(int(rows[other]))
                targets[rows[other]].append(int(rows[one]))
    flat = np.array([row for linked in targets for row in linked], np.int32)
    first = _starts(np.array([len(linked) for linked in targets]))
    return first, (flat // 2).astype(np.int32), (flat % 2).astype(np.int32)


def _arms(maps: MapBank, map_index: int) -> list[_Arm]:
    """Ends of all driving lanes that lead into a junction."""
    lanes, links, points = maps.lanes, maps.links, maps.points
    arms = []
    for lane in range(maps.ranges.lane[map_index], maps.ranges.lane[map_index + 1]):
        if lanes.kind[lane] != LaneKind.DRIVING or lanes.junction[lane] >= 0:
            continue
        ways = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        ways = ways[lanes.junction[ways] >= 0]
        if ways.size == 0:
            continue
        row = lanes.first_point[lane + 1] - 1
        arms.append(
            _Arm(
                float(points.x[row]),
                float(points.y[row]),
                float(points.z[row]),
                float(points.yaw_rad[row]),
                int(maps.rules.signal[ways].max()),
            )
        )
    return arms


def _crossing_ends(maps: MapBank, map_index: int, points: IntArray) -> list[tuple[int, int, int]]:
    """(sidewalk point, sidewalk point, signal) of every crossing of one map."""
    arms = _arms(maps, map_index)
    first, last = maps.ranges.crosswalk[map_index], maps.ranges.crosswalk[map_index + 1]
    found: list[tuple[int, int, int]] = []
    if last > first:
        tree = KDTree(_positions(maps, points))
        for crosswalk in range(first, last):
            ends = _crosswalk_ends(maps, crosswalk, points, tree)
            if ends is not None:
                found.append((*ends, _signal_near(maps, ends, arms)))
    else:
        for arm in arms:
            ends = _arm_ends(maps, arm, points)
            if ends is not None:
                found.append((*ends, arm.signal))
    unique = {(min(one, other), max(one, other)): signal for one, other, signal in found}
    return [(one, other, signal) for (one, other), signal in sorted(unique.items())]


def _crosswalk_ends(
    maps: MapBank, crosswalk: int, points: IntArray, tree: KDTree
) -> tuple[int, int] | None:
    """Sidewalk points that a crosswalk joins, along whichever of its axes has them closest."""
    walks = maps.crosswalks
    rows = slice(walks.first_corner[crosswalk], walks.first_corner[crosswalk + 1])
    corners = np.column_stack([walks.x[rows], walks.y[rows]])
    height = 2.0 * float(walks.z[rows].mean())
    box = Polygon(corners).minimum_rotated_rectangle
    if not isinstance(box, Polygon):
        return None
    ring = np.asarray(box.exterior.coords)[:4]
    sides = [(ring[0] + ring[1]) / 2, (ring[1] + ring[2]) / 2]
    opposite = [(ring[2] + ring[3]) / 2, (ring[3] + ring[0]) / 2]
    best: tuple[float, tuple[int, int]] | None = None
    for one, other in zip(sides, opposite, strict=True):
        queries = np.array([[*one, height], [*other, height]])
        distances, nearest = (np.asarray(part) for part in tree.query(queries))
        ends = int(points[nearest[0]]), int(points[nearest[1]])
        if distances.max() > CROSSWALK_REACH_M or not _spans_road(maps, ends):
            continue
        if best is None or distances.sum() < best[0]:
            best = float(distances.sum()), ends
    return None if best is None else best[1]


def _spans_road(maps: MapBank, ends: tuple[int, int]) -> bool:
    """Whether two sidewalk points belong to different lanes a road's width apart."""
    x, y, z = maps.points.x, maps.points.y, maps.points.z
    one, other = ends
    length_m = math.hypot(x[one] - x[other], y[one] - y[other])
    differs = maps.points.lane[one] != maps.points.lane[other]
    is_level = abs(z[one] - z[other]) < SAME_LEVEL_M
    return bool(differs and is_level and MIN_CROSSING_M <= length_m <= MAX_CROSSING_M)


def _signal_near(maps: MapBank, ends: tuple[int, int], arms: list[_Arm]) -> int:
    """Light of the arm that ends nearest to the middle of a crossing, -1 none."""
    rows = list(ends)
    x, y, z = (float(c[rows].mean()) for c in (maps.points.x, maps.points.y, maps.points.z))
    near = [
        (math.hypot(arm.x - x, arm.y - y), arm.signal)
        for arm in arms
        if abs(arm.z - z) < SAME_LEVEL_M
    ]
    distance_m, signal = min(near, default=(math.inf, -1))
    return signal if distance_m < _SIGNAL_REACH_M else -1


def _arm_ends(maps: MapBank, arm: _Arm, points: IntArray) -> tuple[int, int] | None:
    """Nearest sidewalk points straight to the left and right of an arm's end."""
    cos, sin = math.cos(arm.yaw_rad), math.sin(arm.yaw_rad)
    dx, dy = maps.points.x[points] - arm.x, maps.points.y[points] - arm.y
    ahead, left = cos * dx + sin * dy + ARM_SETBACK_M, cos * dy - sin * dx
    beside = (np.abs(ahead) < 1.0) & (np.abs(maps.points.z[points] - arm.z) < SAME_LEVEL_M)
    found = []
    for side in (left, -left):
        rows = np.flatnonzero(beside & (side > 0.0) & (side < MAX_CROSSING_M))
        if rows.size == 0:
            return None
        found.append(int(points[rows[np.argmin(side[rows])]]))
    ends = found[0], found[1]
    return ends if _spans_road(maps, ends) else None


def _make_crossings(maps: MapBank, ends: list[tuple[int, int, int]]) -> Crossings:
    rows = np.array([[one, other] for one, other, _ in ends], np.int32).reshape(-1, 2)
    points = maps.points
    return Crossings(
        lane=points.lane[rows],
        s_m=points.s_m[rows],
        x=points.x[rows],
        y=points.y[rows],
        z=points.z[rows],
        signal=np.array([signal for _, _, signal in ends], np.int32),
    )
