"""Lane graph of one town: centre lines at 1 m, links, neighbours and roundabouts."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import IntArray
from sim_adapters.maps.lane_samples import LaneKey, SampledLane
from sim_adapters.scene.map_bank import LaneKind, LanePoints, Lanes

POINT_STEP_M = 1.0
LEAST_STEP_M = 0.05
MAX_BEND_RAD = np.radians(45.0)
MAX_BENT_SHARE = 0.05
MAX_LINK_GAP_M = 1.0
MAX_LINK_TURN_RAD = np.radians(30.0)
_CHANGE_RIGHT = 1  # carla.LaneChange flags
_CHANGE_LEFT = 2


def build_points(samples: list[SampledLane]) -> LanePoints:
    """Resample each lane at 1 m of its own 3-D arc length, plus its end.

    `speed_limit_mps` is left at zero for `speed_limits` to fill.
    """
    columns: list[list[NDArray[np.float64]]] = [[] for _ in range(6)]
    counts = []
    for lane in samples:
        arc = sample_arc_m(lane)
        stations = np.arange(0.0, arc[-1], POINT_STEP_M)
        if len(stations) > 1 and arc[-1] - stations[-1] < 0.1 * POINT_STEP_M:
            stations = stations[:-1]  # no sliver of a step before the end
        stations = np.append(stations, arc[-1])
        fields = (lane.x, lane.y, lane.z, lane.yaw_rad)
        for column, field in zip(columns, fields, strict=False):
            column.append(np.interp(stations, arc, field))
        columns[4].append(stations)
        columns[5].append(np.interp(stations, arc, lane.width_m))
        counts.append(len(stations))
    x, y, z, yaw, s, width = (np.concatenate(column) for column in columns)
    return LanePoints(
        x=x,
        y=y,
        z=z,
        yaw_rad=np.arctan2(np.sin(yaw), np.cos(yaw)),
        s_m=s,
        width_m=width,
        speed_limit_mps=np.zeros(len(x)),
        lane=np.repeat(np.arange(len(samples), dtype=np.int32), counts),
    )


def sample_arc_m(lane: SampledLane) -> NDArray[np.float64]:
    """3-D arc length of a lane's samples from its first one, shape (K,)."""
    steps = np.sqrt(np.diff(lane.x) ** 2 + np.diff(lane.y) ** 2 + np.diff(lane.z) ** 2)
    return np.concatenate([[0.0], np.cumsum(steps)])


def build_lanes(samples: list[SampledLane], points: LanePoints, junction_ids: list[int]) -> Lanes:
    """One row a sampled lane.

    Args:
        samples: All lanes of the town.
        points: Their centre lines.
        junction_ids: OpenDRIVE ids in the order of junction indices.
    """
    index = {lane.key: row for row, lane in enumerate(samples)}
    ends = np.cumsum(np.bincount(points.lane, minlength=len(samples)))
    first_point = np.concatenate([[0], ends]).astype(np.int32)
    junction = {junction_id: row for row, junction_id in enumerate(junction_ids)}
    return Lanes(
        first_point=first_point,
        length_m=points.s_m[first_point[1:] - 1],
        kind=np.array([lane.kind for lane in samples], np.uint8),
        road_id=_int([lane.key[0] for lane in samples]),
        section_id=_int([lane.key[1] for lane in samples]),
        lane_id=_int([lane.key[2] for lane in samples]),
        junction=_int([junction.get(lane.junction_id, -1) for lane in samples]),
        left=_int([_change_target(lane, lane.left, _CHANGE_LEFT, index) for lane in samples]),
        right=_int([_change_target(lane, lane.right, _CHANGE_RIGHT, index) for lane in samples]),
        opposite=_int(
            [-1 if lane.opposite is None else index.get(lane.opposite, -1) for lane in samples]
        ),
    )


def _change_target(
    lane: SampledLane, target: LaneKey | None, flag: int, index: dict[LaneKey, int]
) -> int:
    """Lane reached by a legal change: allowed by the markings along at least half of the lane."""
    if target is None or lane.junction_id != -1 or target not in index:
        return -1
    same_direction = (target[2] > 0) == (lane.key[2] > 0)
    allowed = np.mean((lane.change & flag) != 0) >= 0.5
    return index[target] if same_direction and allowed else -1


def refuse_bent_lanes(points: LanePoints, lanes: Lanes) -> None:
    """Refuse a town whose driving lanes lead elsewhere than their heading.

    Of CARLA's towns none does so for a metre. It takes a curvature that no road has, or coordinates
    that float32 cannot hold.

    Raises:
        ValueError: a twentieth of their length does.
    """
    dx, dy = np.diff(points.x), np.diff(points.y)
    step_m = np.hypot(dx, dy)
    is_driving = lanes.kind[points.lane[1:]] == LaneKind.DRIVING
    counted = (points.lane[1:] == points.lane[:-1]) & is_driving & (step_m > LEAST_STEP_M)
    off = np.cos(np.arctan2(dy, dx) - points.yaw_rad[:-1]) < np.cos(MAX_BEND_RAD)
    bent_m, all_m = step_m[counted & off].sum(), step_m[counted].sum()
    if bent_m > MAX_BENT_SHARE * all_m:
        raise ValueError(
            f"{bent_m:.0f} of {all_m:.0f} m of its driving lanes lead elsewhere than their heading "
            "says: look for curvatures and coordinates that no road has"
        )


def link_successors(
    samples: list[SampledLane], points: LanePoints, lanes: Lanes
) -> list[list[int]]:
    """Driving lanes that follow each driving lane without a gap or a kink, in ascending order.

    A junction lane that leads nowhere (Town03 has one, whose exit lies a lane's width aside) is
    not offered as a successor, so that no vehicle gets stuck in a junction.
    """
    index = {lane.key: row for row, lane in enumerate(samples)}
    rows: list[list[int]] = []
    for lane in samples:
        row = index[lane.key]
        candidates = sorted({index[key] for key in lane.successors if key in index})
        rows.append([to for to in candidates if _continues(points, lanes, row, to)])
    while True:
        stuck = {row for row, to in enumerate(rows) if not to and lanes.junction[row] >= 0}
        offered = [[to for to in following if to not in stuck] for following in rows]
        if offered == rows:
            return rows
        rows = offered


def _continues(points: LanePoints, lanes: Lanes, lane: int, successor: int) -> bool:
    if lanes.kind[successor] != LaneKind.DRIVING:
        return False
    end, start = lanes.first_point[lane + 1] - 1, lanes.first_point[successor]
    gap = np.hypot(points.x[end] - points.x[start], points.y[end] - points.y[start])
    turn = points.yaw_rad[start] - points.yaw_rad[end]
    kink = abs(np.arctan2(np.sin(turn), np.cos(turn)))
    return bool(gap < MAX_LINK_GAP_M and kink < MAX_LINK_TURN_RAD)


def first_ahead(samples: list[SampledLane]) -> IntArray:
    """The lane that CARLA's `next(d)[0]` leads to from each lane, (N,), -1 where it ends.

    Whoever walks ahead in CARLA with the first way-point of each step takes this way at a fork,
    also into a junction lane that `link_successors` leaves out.
    """
    index = {lane.key: row for row, lane in enumerate(samples)}
    return _int(
        [next((index[key] for key in lane.successors if key in index), -1) for lane in samples]
    )


def reverse_links(successors: list[list[int]]) -> list[list[int]]:
    """Predecessors of each lane from the successors of each lane."""
    predecessors: list[list[int]] = [[] for _ in successors]
    for lane, following in enumerate(successors):
        for successor in following:
            predecessors[successor].append(lane)
    return predecessors


def to_csr(rows: list[list[int]]) -> tuple[IntArray, IntArray]:
    """CSR form of lists of indices: `first` (N + 1,) and the concatenated values."""
    first = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    return first, _int([value for row in rows for value in row])


def _int(values: list[int]) -> IntArray:
    return np.array(values, np.int32)


class LanePose(NamedTuple):
    """A place on a lane's centre line."""

    x: float
    y: float
    z: float
    yaw_rad: float  # driving direction
    width_m: float


def pose_on_lane(points: LanePoints, lanes: Lanes, lane: int, s_m: float) -> LanePose:
    """Interpolated centre-line pose; `s_m` outside the lane is clamped to its ends."""
    rows = slice(lanes.first_point[lane], lanes.first_point[lane + 1])
    stations = points.s_m[rows]
    x, y, z, yaw, width = (
        float(np.interp(s_m, stations, values))
        for values in (
            points.x[rows],
            points.y[rows],
            points.z[rows],
            np.unwrap(points.yaw_rad[rows]),
            points.width_m[rows],
        )
    )
    return LanePose(x, y, z, float(np.arctan2(np.sin(yaw), np.cos(yaw))), width)


@dataclass(frozen=True)
class TownGraph:
    """The lane graph of one town while it is being built."""

    samples: list[SampledLane]
    points: LanePoints
    lanes: Lanes
    successors: list[list[int]]
    predecessors: list[list[int]]

    @cached_property
    def row_of(self) -> dict[LaneKey, int]:
        """Lane row by key."""
        return {lane.key: row for row, lane in enumerate(self.samples)}

    @cached_property
    def lanes_of_road(self) -> dict[int, list[int]]:
        """Driving lane rows of each OpenDRIVE road."""
        rows: dict[int, list[int]] = {}
        for row, lane in enumerate(self.samples):
            if lane.kind == LaneKind.DRIVING:
                rows.setdefault(lane.key[0], []).append(row)
        return rows


# Finds the lanes that circle a roundabout, which OpenDRIVE maps do not name.

MAX_RING_LENGTH_M = 300.0
# 4 pi area / length^2: 1 for a circle, 0.785 for a square block of streets. CARLA's roundabouts
# (one in Town03, many in Town15) reach 0.997, the roundest block of Town01 to 15 has 0.937
MIN_ROUNDNESS = 0.97


def ring_lanes(graph: TownGraph) -> NDArray[np.bool_]:
    """Whether each lane lies on a roundabout's ring, shape (N,).

    A ring is the shortest way from a lane back to itself if that is short, runs once round to
    the left (to the right where traffic keeps left) and encloses a nearly circular area.
    """
    is_ring = np.zeros(len(graph.samples), np.bool_)
    in_junction = (graph.lanes.junction >= 0) & (graph.lanes.kind == LaneKind.DRIVING)
    for lane in np.flatnonzero(in_junction):
        if not is_ring[lane]:
            loop = _shortest_loop(graph, int(lane))
            if loop and _is_round(graph, loop):
                is_ring[loop] = True
    return is_ring


def leave_ring(graph: TownGraph, is_ring: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each junction lane is part of a way that leaves a ring, shape (N,)."""
    leaves = np.zeros(len(is_ring), np.bool_)
    stack = [int(lane) for lane in np.flatnonzero(is_ring)]
    while stack:
        for to in graph.successors[stack.pop()]:
            if graph.lanes.junction[to] >= 0 and not is_ring[to] and not leaves[to]:
                leaves[to] = True
                stack.append(to)
    return leaves


def _shortest_loop(graph: TownGraph, start: int) -> list[int]:
    """Lanes of the shortest way from `start` back to it, empty if longer than a ring."""
    lengths = graph.lanes.length_m
    before: dict[int, int] = {}
    heap = [(float(lengths[start]), to, start) for to in graph.successors[start]]
    heapq.heapify(heap)
    while heap:
        distance_m, lane, origin = heapq.heappop(heap)
        if lane in before or distance_m > MAX_RING_LENGTH_M:
            continue
        before[lane] = origin
        if lane == start:
            break
        for to in graph.successors[lane]:
            heapq.heappush(heap, (distance_m + float(lengths[lane]), to, lane))
    if start not in before:
        return []
    loop = [before[start]]
    while loop[-1] != start:
        loop.append(before[loop[-1]])
    return loop[::-1]


def _is_round(graph: TownGraph, loop: list[int]) -> bool:
    """Whether the loop is close to a circle driven to the side that traffic does not keep."""
    first = graph.lanes.first_point
    rows = np.concatenate([np.arange(int(first[lane]), int(first[lane + 1])) for lane in loop])
    x, y = graph.points.x[rows], graph.points.y[rows]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    area = 0.5 * float(np.sum(x * next_y - next_x * y))  # positive when counter-clockwise
    if graph.samples[loop[0]].keeps_left:
        area = -area
    length = float(np.sum(np.hypot(next_x - x, next_y - y)))
    return 4.0 * math.pi * area > MIN_ROUNDNESS * length * length
