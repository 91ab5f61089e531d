"""What happens inside junctions: turns, priorities and conflicts of connecting lanes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import EntryRule, LaneKind, LanePoints, Lanes
from sim_adapters.scene.scenario import RouteCommand

# Centre lines nearer than this cannot both be driven: cars are 1.8 to 2.2 m wide
CONFLICT_DISTANCE_M = 2.25
TURN_ANGLE_RAD = np.radians(35.0)  # CaRL's route generator: within +-35 deg is straight

_ENTRY_PRIORITY = {EntryRule.FREE: 6, EntryRule.LIGHT: 6, EntryRule.YIELD: 3, EntryRule.STOP: 0}
_RING_PRIORITY, _LEAVING_PRIORITY = 10, 5
_STRAIGHT_PRIORITY, _NEAR_TURN_PRIORITY, _FAR_TURN_PRIORITY = 2, 1, 0


class Conflict(NamedTuple):
    """The part of `lane` that lies too near to `other`."""

    lane: int
    other: int
    start_m: float
    end_m: float


def entry_lanes(lanes: Lanes, predecessors: list[list[int]]) -> list[frozenset[int]]:
    """Lanes by which each junction lane's junction is entered; empty for lanes outside.

    A lane entered from outside names the outside lane; a lane deeper in the junction inherits
    from the junction lanes before it.
    """
    entries: list[frozenset[int]] = [frozenset()] * len(predecessors)
    for lane in np.flatnonzero((lanes.junction >= 0) & (lanes.kind == LaneKind.DRIVING)):
        found: set[int] = set()
        seen, stack = {int(lane)}, [int(lane)]
        while stack:
            for before in predecessors[stack.pop()]:
                if lanes.junction[before] != lanes.junction[lane]:
                    found.add(before)
                elif before not in seen:
                    seen.add(before)
                    stack.append(before)
        entries[lane] = frozenset(found)
    return entries


def find_conflicts(
    points: LanePoints, lanes: Lanes, entries: list[frozenset[int]]
) -> list[Conflict]:
    """Crossing and merging lanes of each junction, both directions of each pair.

    Lanes that share an entry lane diverge and never conflict. Sorted by lane, then other.
    """
    spans: dict[tuple[int, int], list[float]] = {}
    for junction in range(int(lanes.junction.max(initial=-1)) + 1):
        members = np.flatnonzero((lanes.junction == junction) & (lanes.kind == LaneKind.DRIVING))
        rows = _points_of(lanes, members)
        if len(rows) < 2:
            continue
        tree = KDTree(np.column_stack([points.x[rows], points.y[rows]]))
        pairs = rows[tree.query_pairs(CONFLICT_DISTANCE_M, output_type="ndarray")]
        level = np.abs(points.z[pairs[:, 0]] - points.z[pairs[:, 1]]) < SAME_LEVEL_M
        for a, b in pairs[level & (points.lane[pairs[:, 0]] != points.lane[pairs[:, 1]])]:
            lane_a, lane_b = int(points.lane[a]), int(points.lane[b])
            if entries[lane_a] & entries[lane_b]:
                continue
            spans.setdefault((lane_a, lane_b), []).append(float(points.s_m[a]))
            spans.setdefault((lane_b, lane_a), []).append(float(points.s_m[b]))
    return [
        Conflict(
            lane,
            other,
            # Points stand 1 m apart, so the overlap may begin half a metre before the first
            start_m=max(0.0, min(spans[lane, other]) - 0.5),
            end_m=min(float(lanes.length_m[lane]), max(spans[lane, other]) + 0.5),
        )
        for lane, other in sorted(spans)
    ]


def _points_of(lanes: Lanes, members: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(members) == 0:
        return np.empty(0, np.intp)
    return np.concatenate(
        [
            np.arange(int(lanes.first_point[lane]), int(lanes.first_point[lane + 1]))
            for lane in members
        ]
    )


def turns(
    points: LanePoints, lanes: Lanes, successors: list[list[int]], predecessors: list[list[int]]
) -> NDArray[np.uint8]:
    """RouteCommand of each lane: the way's turn through its junction, LANE_FOLLOW outside.

    A way may consist of several lane sections; all of them carry the whole way's turn.
    """
    unwrapped = np.unwrap(points.yaw_rad)
    own = unwrapped[lanes.first_point[1:] - 1] - unwrapped[lanes.first_point[:-1]]
    turn = np.full(len(own), RouteCommand.LANE_FOLLOW, np.uint8)
    for lane in np.flatnonzero((lanes.junction >= 0) & (lanes.kind == LaneKind.DRIVING)):
        way = [int(lane)]
        while (before := _same_road_neighbor(lanes, predecessors, way[0])) is not None:
            way.insert(0, before)
        while (after := _same_road_neighbor(lanes, successors, way[-1])) is not None:
            way.append(after)
        angle = float(sum(own[member] for member in way))
        if abs(angle) <= TURN_ANGLE_RAD:
            turn[lane] = RouteCommand.STRAIGHT
        else:
            turn[lane] = RouteCommand.LEFT if angle > 0.0 else RouteCommand.RIGHT
    return turn


def _same_road_neighbor(lanes: Lanes, links: list[list[int]], lane: int) -> int | None:
    """The linked lane on the same connecting road, if any."""
    for other in links[lane]:
        if lanes.road_id[other] == lanes.road_id[lane] and other != lane:
            return other
    return None


def priorities(
    lanes: Lanes,
    entry: NDArray[np.uint8],
    turn: NDArray[np.uint8],
    is_ring: NDArray[np.bool_],
    leaves_ring: NDArray[np.bool_],
    keeps_left: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """Right of way of each junction lane, larger goes first; 0 outside.

    A roundabout's ring outranks the ways that leave it, which outrank the ways that enter it. Else
    a free entry outranks a yield sign, which outranks a stop sign; among equals straight ways
    outrank right turns, which outrank left turns, the other way round where traffic keeps left.
    """
    rank = np.zeros(len(entry), np.int32)
    for lane in np.flatnonzero((lanes.junction >= 0) & (lanes.kind == LaneKind.DRIVING)):
        by_sign = _ENTRY_PRIORITY[EntryRule(int(entry[lane]))]
        by_ring = _RING_PRIORITY * is_ring[lane] + _LEAVING_PRIORITY * leaves_ring[lane]
        rank[lane] = by_ring + by_sign + _turn_priority(int(turn[lane]), bool(keeps_left[lane]))
    return rank


def _turn_priority(turn: int, keeps_left: bool) -> int:
    """A turn to the near side crosses nobody, one to the far side the oncoming traffic."""
    if turn == RouteCommand.STRAIGHT:
        return _STRAIGHT_PRIORITY
    near = RouteCommand.LEFT if keeps_left else RouteCommand.RIGHT
    return _NEAR_TURN_PRIORITY if turn == near else _FAR_TURN_PRIORITY
