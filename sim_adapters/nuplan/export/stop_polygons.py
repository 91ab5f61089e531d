"""nuPlan's stop polygons: thin strips across a lane where it meets a light, a stop or a yield."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

from shapely.geometry import Polygon

from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank

# A strip reaches into the connector, whose centre line must cross it to own it. It begins nearer to
# the junction than the embedded traffic stops (bumpers 0.2 m before it), so nobody waits on it.
BEFORE_END_M, BEYOND_END_M = 0.15, 0.6


class StopPolygonType(IntEnum):
    """Values of nuPlan's `stop_polygon_type_fid` that occur here."""

    STOP_SIGN = 1
    TRAFFIC_LIGHT = 2
    YIELD = 4


class StopPolygon(NamedTuple):
    """A strip across the end of a lane; `signal` is a light's global index or -1."""

    type: StopPolygonType
    signal: int
    polygon: Polygon


_TYPES = {
    EntryRule.LIGHT: StopPolygonType.TRAFFIC_LIGHT,
    EntryRule.STOP: StopPolygonType.STOP_SIGN,
    EntryRule.YIELD: StopPolygonType.YIELD,
}


def find_stop_polygons(maps: MapBank, map_index: int) -> list[StopPolygon]:
    """One strip for each lane from which a junction is entered under a rule."""
    first, last = maps.ranges.lane[map_index : map_index + 2]
    links, rules = maps.links, maps.rules
    stops = []
    for lane in range(first, last):
        if maps.lanes.kind[lane] != LaneKind.DRIVING or maps.lanes.junction[lane] >= 0:
            continue
        ahead = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        entered = [
            (_TYPES[EntryRule(int(rules.entry[row]))], int(rules.signal[row]))
            for row in ahead
            if rules.entry[row] != EntryRule.FREE
        ]
        for kind, signal in sorted(set(entered)):
            stops.append(StopPolygon(kind, signal, _strip(maps, lane)))
    return stops


def _strip(maps: MapBank, lane: int) -> Polygon:
    row = maps.lanes.first_point[lane + 1] - 1
    x, y = float(maps.points.x[row]), float(maps.points.y[row])
    yaw, half = float(maps.points.yaw_rad[row]), 0.5 * float(maps.points.width_m[row])
    cos_yaw, sin_yaw = math.cos(yaw), math.sin(yaw)
    corners = (
        (BEYOND_END_M, half),
        (BEYOND_END_M, -half),
        (-BEFORE_END_M, -half),
        (-BEFORE_END_M, half),
    )
    return Polygon(
        [(x + a * cos_yaw - b * sin_yaw, y + a * sin_yaw + b * cos_yaw) for a, b in corners]
    )
