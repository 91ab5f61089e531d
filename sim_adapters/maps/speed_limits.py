"""The posted speed limit in force at every lane point.

CARLA changes a vehicle's limit when it enters a sign's box and keeps it until the next sign,
starting at 30 km/h. A map cannot know where a vehicle came from, so a point's limit here is that
of the nearest sign upstream, measured along lanes; of two signs equally near the slower counts.
A lane that begins without a predecessor takes the limit of the lane beside it. Points that no
sign reaches, all points of towns without signs (Town06, Town10HD) and all points of lanes that
are not for driving have CARLA's 30 km/h.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_places import TownGraph
from sim_adapters.maps.traffic_signs import SpeedLimit

FALLBACK_LIMIT_MPS = 30.0 / 3.6
_LANE_CHANGE_M = 10.0  # a sign beside counts as this much further away than one on the own lane


def speed_limit_of_points(graph: TownGraph, limits: list[SpeedLimit]) -> NDArray[np.float64]:
    """Limit at each lane point [m/s], shape (P,)."""
    points, lanes = graph.points, graph.lanes
    signs: dict[int, list[SpeedLimit]] = {}
    for limit in sorted(limits):
        signs.setdefault(limit.place.lane, []).append(limit)
    at_start = _limits_at_lane_starts(graph, signs)
    in_force = np.full(len(points.x), FALLBACK_LIMIT_MPS)
    for lane in range(len(lanes.length_m)):
        rows = slice(lanes.first_point[lane], lanes.first_point[lane + 1])
        if lane in at_start:
            in_force[rows] = at_start[lane]
        for limit in signs.get(lane, []):
            in_force[rows][points.s_m[rows] >= limit.place.s_m - 1e-6] = limit.limit_mps
    return in_force


def _limits_at_lane_starts(
    graph: TownGraph, signs: dict[int, list[SpeedLimit]]
) -> dict[int, float]:
    """Dijkstra's search from all signs at once: the nearest upstream limit of each lane start."""
    lanes = graph.lanes
    heap: list[tuple[float, float, int]] = []  # distance from the sign, limit, lane
    for lane, on_lane in signs.items():
        last = on_lane[-1]
        distance_m = float(lanes.length_m[lane]) - last.place.s_m
        for successor in graph.successors[lane]:
            heapq.heappush(heap, (distance_m, last.limit_mps, successor))
    at_start: dict[int, float] = {}
    while heap:
        distance_m, limit_mps, lane = heapq.heappop(heap)
        if lane in at_start:
            continue
        at_start[lane] = limit_mps
        for beside in (int(lanes.left[lane]), int(lanes.right[lane])):
            if beside >= 0 and not graph.predecessors[beside]:
                heapq.heappush(heap, (distance_m + _LANE_CHANGE_M, limit_mps, beside))
        if lane not in signs:
            end_m = distance_m + float(lanes.length_m[lane])
            for successor in graph.successors[lane]:
                heapq.heappush(heap, (end_m, limit_mps, successor))
    return at_start
