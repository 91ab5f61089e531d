"""Tables that background traffic derives from the lane graph once per run.

Which lanes lead on for ever, how fast curves can be driven, which junction lanes cannot be driven
at the same time (on both lanes of a pair, wide enough for lorries), which lanes fork from one
another, and where vehicles may appear.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.maps.junctions import entry_lanes
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LaneKind, LaneLinks, LanePoints, Lanes, MapBank

# Centre lines nearer than this cannot both be driven: a lorry (2.9 m) beside a car (2.1 m) plus air
CLEARANCE_M = 2.8
LATERAL_ACCELERATION_MPS2 = 3.5  # CARLA's TrafficManager allows 0.6 g; comfort lies near 3
CURVE_BRAKING_MPS2 = 2.0
MIN_CURVE_SPEED_MPS = 3.0
_CURVE_WINDOW_POINTS = 3
SPAWN_SPACING_M = 5
SPAWN_END_MARGIN_M = 12.0  # a new vehicle must be able to stop before the lane ends


class TrafficMap(NamedTuple):
    """Lane tables, indexed as MapBank's lanes (N), points (P) and maps (M); lists are CSR."""

    leads_on: NDArray[np.bool_]  # (N,) driving lane from which a way without end exists
    curve_speed_mps: FloatArray  # (P,) comfortable in this curve and braking for the lane's rest
    conflict_first: IntArray  # (N + 1,)
    conflict: IntArray  # junction lane that crosses, merges or forks
    interval_m: FloatArray  # (C, 4) start and end of the overlap on this and on the other lane
    forks: NDArray[np.bool_]  # (C,) both are entered from one lane: followed, not reserved
    spawn_first: IntArray  # (M + 1,)
    spawn_point: IntArray  # lane points outside junctions


def build_traffic_map(maps: MapBank) -> TrafficMap:
    """Derive the tables of all maps of the bank."""
    leads_on = lanes_that_lead_on(maps.lanes, maps.links)
    return TrafficMap(
        leads_on,
        curve_speeds(maps.points, maps.lanes),
        *find_overlaps(maps.points, maps.lanes, maps.links),
        *spawn_points(maps, leads_on),
    )


def lanes_that_lead_on(lanes: Lanes, links: LaneLinks) -> NDArray[np.bool_]:
    """Driving lanes that do not end in a dead end whatever one chooses."""
    alive = np.asarray(lanes.kind == LaneKind.DRIVING)
    while True:
        reaches = alive[links.successor].astype(np.int64)
        total = np.concatenate([[0], np.cumsum(reaches)])
        kept = alive & (total[links.successor_first[1:]] > total[links.successor_first[:-1]])
        if np.array_equal(kept, alive):
            return alive
        alive = kept


def curve_speeds(points: LanePoints, lanes: Lanes) -> FloatArray:
    """sqrt(a_lateral R) at each point, lowered where a tighter place of the lane follows."""
    speeds = np.full(len(points.x), np.inf)
    for lane in np.flatnonzero(lanes.kind == LaneKind.DRIVING):
        rows = slice(lanes.first_point[lane], lanes.first_point[lane + 1])
        yaw, s = np.unwrap(points.yaw_rad[rows]), points.s_m[rows]
        index = np.arange(len(s))
        after = np.minimum(index + _CURVE_WINDOW_POINTS, len(s) - 1)
        before = np.maximum(index - _CURVE_WINDOW_POINTS, 0)
        curvature = np.abs(yaw[after] - yaw[before]) / np.maximum(s[after] - s[before], 0.5)
        squared = LATERAL_ACCELERATION_MPS2 / np.maximum(curvature, 1e-4)
        # v(s)^2 <= v(s')^2 + 2 b (s' - s) for every s' ahead: a running minimum from the end
        braking = 2.0 * CURVE_BRAKING_MPS2 * s
        squared = np.minimum.accumulate((squared + braking)[::-1])[::-1] - braking
        speeds[rows] = np.maximum(np.sqrt(squared), MIN_CURVE_SPEED_MPS)
    return speeds


def find_overlaps(
    points: LanePoints, lanes: Lanes, links: LaneLinks
) -> tuple[IntArray, IntArray, FloatArray, NDArray[np.bool_]]:
    """Pairs of one junction's lanes that come nearer than CLEARANCE_M, both directions of each.

    Returns:
        CSR first row, other lane, (C, 4) intervals, and whether the pair forks from one lane.
    """
    rows = np.flatnonzero(
        (lanes.junction[points.lane] >= 0) & (lanes.kind[points.lane] == LaneKind.DRIVING)
    )
    tree = KDTree(np.column_stack([points.x[rows], points.y[rows]]))
    pairs = rows[tree.query_pairs(CLEARANCE_M, output_type="ndarray").reshape(-1, 2)]
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    a, b = points.lane[pairs[:, 0]], points.lane[pairs[:, 1]]
    near = np.abs(points.z[pairs[:, 0]] - points.z[pairs[:, 1]]) < SAME_LEVEL_M
    kept = near & (a != b) & (lanes.junction[a] == lanes.junction[b])
    pairs, a, b = pairs[kept], a[kept], b[kept]
    key, group = np.unique(a.astype(np.int64) * len(lanes.kind) + b, return_inverse=True)
    s_a, s_b = points.s_m[pairs[:, 0]], points.s_m[pairs[:, 1]]
    interval_m = np.empty((len(key), 4))
    for column, values in ((0, s_a), (2, s_b)):
        interval_m[:, column], interval_m[:, column + 1] = np.inf, -np.inf
        np.minimum.at(interval_m[:, column], group, values - 0.5)
        np.maximum.at(interval_m[:, column + 1], group, values + 0.5)
    this, other = key // len(lanes.kind), key % len(lanes.kind)
    first = np.searchsorted(this, np.arange(len(lanes.kind) + 1)).astype(np.int32)
    entries = entry_lanes(lanes, _predecessor_lists(links))
    forks = np.array(
        [bool(entries[i] & entries[j]) for i, j in zip(this, other, strict=True)], np.bool_
    )
    # Lanes in succession touch end to end, tiny links between them: one way, not a conflict
    follow = np.array(
        [
            _leads_to(lanes, links, i, j) or _leads_to(lanes, links, j, i)
            for i, j in zip(this.tolist(), other.tolist(), strict=True)
        ],
        np.bool_,
    )
    keep = ~follow
    first = np.concatenate([[0], np.cumsum(keep)])[first].astype(np.int32)
    return first, other[keep].astype(np.int32), interval_m[keep], forks[keep]


def _predecessor_lists(links: LaneLinks) -> list[list[int]]:
    bounds = links.predecessor_first.tolist()
    values = links.predecessor.tolist()
    return [values[i:j] for i, j in itertools.pairwise(bounds)]


def _leads_to(lanes: Lanes, links: LaneLinks, lane: int, other: int, hops: int = 4) -> bool:
    """Whether `other` comes right after `lane`, or after few links shorter than CLEARANCE_M."""
    for row in range(links.successor_first[lane], links.successor_first[lane + 1]):
        after = int(links.successor[row])
        if after == other:
            return True
        is_link = lanes.length_m[after] < CLEARANCE_M and hops > 0
        if is_link and _leads_to(lanes, links, after, other, hops - 1):
            return True
    return False


def spawn_points(maps: MapBank, leads_on: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Lane points outside junctions every SPAWN_SPACING_M, CSR by map."""
    points, lanes = maps.points, maps.lanes
    lane = points.lane
    usable = (
        leads_on[lane]
        & (lanes.junction[lane] < 0)
        & (np.mod(np.round(points.s_m).astype(np.int64), SPAWN_SPACING_M) == 0)
        & (lanes.length_m[lane] - points.s_m > SPAWN_END_MARGIN_M)
        & (points.s_m > SPAWN_SPACING_M - 1)
    )
    rows = np.flatnonzero(usable)
    return np.searchsorted(rows, maps.ranges.point).astype(np.int32), rows.astype(np.int32)
