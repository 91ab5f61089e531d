"""Centre lines, edges and polygons of a road network; nuPlan's lanes touch but never overlap."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon

from sim_adapters.array_types import FloatArray
from sim_adapters.nuplan.export.road_network import Piece, Pieces, RoadNetwork
from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank

MIN_STEP_M = 0.25  # vertices of a centre line nearer than this are one
LANE_GAP_M = 1e-3  # left where a lane has to be cut back from another
MAX_LEVEL_GAP_M = 3.0  # lanes that overlap further apart in height are a bridge
MIN_OVERLAP_M2 = 1e-6


class Course(NamedTuple):
    """Centre line of a lane or connector with its edges, (K,) vertices about a metre apart."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray
    width_m: FloatArray
    speed_limit_mps: FloatArray

    def center(self) -> FloatArray:
        """(K, 2)."""
        return np.column_stack([self.x, self.y])

    def edge(self, side: float) -> FloatArray:
        """Left (`side` 1) or right (-1) edge, (K, 2)."""
        half = 0.5 * side * self.width_m
        return np.column_stack(
            [self.x - half * np.sin(self.yaw_rad), self.y + half * np.cos(self.yaw_rad)]
        )


class Outlines(NamedTuple):
    """Geometry of a network in the town's own frame; boundaries are rows of `boundaries`."""

    lane_courses: list[Course]
    lane_polygons: list[Polygon]
    lane_boundaries: list[tuple[int, int]]  # left, right
    connector_courses: list[Course]
    connector_polygons: list[Polygon]
    connector_boundaries: list[tuple[int, int]]
    boundaries: list[LineString]


def trace_outlines(maps: MapBank, network: RoadNetwork) -> Outlines:
    """Geometry of all lanes and connectors.

    Raises:
        ValueError: roads of the town lie above one another.
    """
    boundaries: list[LineString] = []
    lane_courses = [trace_course(maps, lane.pieces) for lane in network.lanes]
    lane_boundaries, lane_polygons = _outline_lanes(maps, network, lane_courses, boundaries)
    _refuse_bridges(lane_courses, lane_polygons)
    connector_courses, connector_boundaries, connector_polygons = [], [], []
    for connector in network.connectors:
        start, end = lane_courses[connector.from_lane], lane_courses[connector.to_lane]
        course = _joined(trace_course(maps, connector.pieces), start, end)
        left, right = course.edge(1.0), course.edge(-1.0)
        connector_courses.append(course)
        connector_polygons.append(_between(left, right))
        connector_boundaries.append((len(boundaries), len(boundaries) + 1))
        boundaries += [LineString(left), LineString(right)]
    return Outlines(
        lane_courses,
        separated(lane_polygons),
        lane_boundaries,
        connector_courses,
        connector_polygons,
        connector_boundaries,
        boundaries,
    )


def trace_course(maps: MapBank, pieces: Pieces) -> Course:
    """The centre line along some pieces of lanes, at the MapBank's own vertices."""
    points = maps.points
    columns: list[list[FloatArray]] = [[] for _ in Course._fields]
    for piece in pieces:
        rows = slice(maps.lanes.first_point[piece.lane], maps.lanes.first_point[piece.lane + 1])
        s = points.s_m[rows]
        inner = s[(s > piece.start_m) & (s < piece.end_m)]
        stations = np.concatenate([[piece.start_m], inner, [piece.end_m]])
        for column, name in zip(columns, Course._fields, strict=True):
            values = getattr(points, name)[rows]
            values = np.unwrap(values) if name == "yaw_rad" else values
            column.append(np.interp(stations, s, values))
    return _without_short_steps(Course(*(np.concatenate(column) for column in columns)))


def separated(polygons: list[Polygon]) -> list[Polygon]:
    """The polygons, each cut back from those before it where they overlap."""
    tree = shapely.STRtree(polygons)
    kept = list(polygons)
    for row, polygon in enumerate(polygons):
        for other in sorted(tree.query(polygon, predicate="intersects")):
            if other < row and kept[row].intersection(kept[other]).area > 0.0:
                kept[row] = largest_part(kept[row].difference(kept[other].buffer(LANE_GAP_M)))
    return kept


def largest_part(geometry: shapely.Geometry) -> Polygon:
    """The largest polygon of a geometry, made valid."""
    geometry = shapely.make_valid(geometry)
    parts = [
        part for part in shapely.get_parts(geometry) if isinstance(part, Polygon | MultiPolygon)
    ]
    polygons = [polygon for part in parts for polygon in shapely.get_parts(part)]
    return max(polygons, key=lambda polygon: polygon.area)


def lane_strips(maps: MapBank, map_index: int, kind: LaneKind, min_width_m: float) -> list[Polygon]:
    """Polygons of a town's lanes of one kind that are somewhere that wide."""
    first, last = maps.ranges.lane[map_index], maps.ranges.lane[map_index + 1]
    strips = []
    for lane in range(first, last):
        if maps.lanes.kind[lane] != kind:
            continue
        course = trace_course(maps, (Piece(lane, 0.0, float(maps.lanes.length_m[lane])),))
        if course.width_m.max() >= min_width_m:
            strips.append(_between(course.edge(1.0), course.edge(-1.0)))
    return strips


def _outline_lanes(
    maps: MapBank, network: RoadNetwork, courses: list[Course], boundaries: list[LineString]
) -> tuple[list[tuple[int, int]], list[Polygon]]:
    """Boundaries and polygons of lanes; neighbours in a roadblock share a boundary."""
    rows, polygons = [], []
    for number, (lane, course) in enumerate(zip(network.lanes, courses, strict=True)):
        if lane.index > 0 and _are_neighbours(maps, network.lanes[number - 1].pieces, lane.pieces):
            left = rows[-1][1]
        else:
            left = len(boundaries)
            boundaries.append(LineString(course.edge(1.0)))
        right = len(boundaries)
        boundaries.append(LineString(course.edge(-1.0)))
        rows.append((left, right))
        left_edge = shapely.get_coordinates(boundaries[left])
        polygons.append(_between(left_edge, course.edge(-1.0)))
    return rows, polygons


def _are_neighbours(maps: MapBank, left: Pieces, right: Pieces) -> bool:
    ids = maps.lanes.lane_id
    return len(left) == len(right) and all(
        abs(int(ids[a.lane]) - int(ids[b.lane])) == 1 for a, b in zip(left, right, strict=True)
    )


def _between(left: FloatArray, right: FloatArray) -> Polygon:
    return largest_part(Polygon(np.concatenate([left, right[::-1]])))


def _without_short_steps(course: Course) -> Course:
    """Drop vertices that lie almost on the one before; the ends stay."""
    kept = [0]
    for row in range(1, len(course.x) - 1):
        if (
            np.hypot(course.x[row] - course.x[kept[-1]], course.y[row] - course.y[kept[-1]])
            >= MIN_STEP_M
        ):
            kept.append(row)
    end = len(course.x) - 1
    if (
        len(kept) > 1
        and np.hypot(course.x[end] - course.x[kept[-1]], course.y[end] - course.y[kept[-1]])
        < MIN_STEP_M
    ):
        kept.pop()
    rows = [*kept, end]
    return Course(*(column[rows] for column in course))


def _joined(course: Course, before: Course, after: Course) -> Course:
    """A connector's course, begun and ended exactly where its lanes end and begin."""
    x, y = course.x.copy(), course.y.copy()
    x[0], y[0], x[-1], y[-1] = before.x[-1], before.y[-1], after.x[0], after.y[0]
    return course._replace(x=x, y=y)


def _refuse_bridges(courses: list[Course], polygons: list[Polygon]) -> None:
    tree = shapely.STRtree(polygons)
    for row, other in zip(*tree.query(polygons, predicate="overlaps"), strict=True):
        if row >= other or polygons[row].intersection(polygons[other]).area < MIN_OVERLAP_M2:
            continue
        place = shapely.get_coordinates(polygons[row].intersection(polygons[other]).centroid)[0]
        heights = [_height_at(courses[lane], place) for lane in (row, other)]
        if abs(heights[0] - heights[1]) > MAX_LEVEL_GAP_M:
            raise ValueError(
                f"roads lie above one another near x = {place[0]:.0f}, y = {place[1]:.0f} m, and "
                "nuPlan's maps are flat: leave this town out"
            )


def _height_at(course: Course, place: FloatArray) -> float:
    away = np.hypot(course.x - place[0], course.y - place[1])
    return float(course.z[np.argmin(away)])


# nuPlan's stop polygons: thin strips across a lane where it meets a light, a stop or a yield.

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
