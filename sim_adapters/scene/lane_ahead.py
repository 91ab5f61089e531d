"""Walking a lane forward from a place, through its first successors."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.geometry import forward_offset_m
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import Roads


class LevelBox(NamedTuple):
    """A world-aligned box on one level."""

    x: float  # [m] of its centre
    y: float
    z: float
    half_x_m: float
    half_y_m: float


@inlined_function
def lane_ahead_enters_box(
    roads: Roads,
    point: int,
    x: float,
    y: float,
    range_m: float,
    step_m: float,
    box: LevelBox,
) -> bool:
    """Whether the centre line ahead of (x, y) enters a box within `range_m`.

    `point` is the lane point nearest to (x, y); a box smaller than `step_m` may be missed. In z
    only the level of the box counts.
    """
    points, lanes, links = roads.points, roads.lanes, roads.links
    lane = points.lane[point]
    yaw = points.yaw_rad[point]
    along = forward_offset_m(x - points.x[point], y - points.y[point], math.cos(yaw), math.sin(yaw))
    s = min(max(points.s_m[point] + along, 0.0), lanes.length_m[lane])
    at = lanes.first_point[lane]
    for _ in range(math.floor(range_m / step_m + 0.5) + 1):
        while s > lanes.length_m[lane]:
            s -= lanes.length_m[lane]
            successor = links.successor_first[lane]
            if successor == links.successor_first[lane + 1]:
                return False
            lane = links.successor[successor]
            at = lanes.first_point[lane]
        last = lanes.first_point[lane + 1] - 1
        while at < last - 1 and points.s_m[at + 1] <= s:
            at += 1
        after = min(at + 1, last)
        gap = points.s_m[after] - points.s_m[at]
        t = (s - points.s_m[at]) / gap if gap > 0.0 else 0.0
        dx = points.x[at] + t * (points.x[after] - points.x[at]) - box.x
        dy = points.y[at] + t * (points.y[after] - points.y[at]) - box.y
        is_level = abs(points.z[at] - box.z) < SAME_LEVEL_M
        if abs(dx) < box.half_x_m and abs(dy) < box.half_y_m and is_level:
            return True
        s += step_m
    return False
