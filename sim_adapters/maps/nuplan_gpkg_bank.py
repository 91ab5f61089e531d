"""A nuPlan map as a MapBank: the tables that CARLA's towns fill, next to the exact VectorMap.

Lane i is edge i of the vector map, its points are the vertices of its baseline. The map has no
heights, markings, signs or light cycles: those tables are empty, and what a simulated light shows
comes from the log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sim_adapters.array_types import IntArray
from sim_adapters.maps.lane_grid import build_lane_grid
from sim_adapters.maps.nuplan_gpkg_edges import EdgeTables, build_edges
from sim_adapters.maps.nuplan_gpkg_layers import GpkgLayer, build_area_grid, build_areas, check_span
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_areas import AreaKind, MapAreas, RoadEdges, VectorMap
from sim_adapters.scene.map_bank import (
    Crosswalks,
    EntryRule,
    LaneKind,
    LaneLinks,
    LanePoints,
    LaneRules,
    Lanes,
    LimitPosts,
    MapBank,
    MapRanges,
    SignalGroups,
    Signals,
    Signs,
    StopLines,
)
from sim_adapters.scene.map_layers import MapLayers, tile_plane
from sim_adapters.scene.scenario import RouteCommand

_TURN_RAD = math.radians(30.0)  # a connector that turns further is no way straight on


def build_bank(
    layers: Mapping[str, GpkgLayer], location: str, *, pixels_per_meter: float
) -> MapBank:
    """The bank of one location.

    Raises:
        ValueError: no lane that could be driven, or coordinates of no city.
    """
    found = build_areas(layers, location)
    tables = build_edges(layers, found, location)
    if len(tables.edges.fid) == 0:
        raise ValueError(f"the map of {location} has no lane with a polygon and a centre line")
    for places in (found.areas, tables.baselines):
        check_span(places.x, places.y, location)
    points, lanes = _points(tables, found.areas), _lanes(tables, found.areas)
    signals, stop_lines = _signals(tables, points, lanes)
    crosswalks = _crosswalks(found.areas)
    vector = VectorMap(
        areas=found.areas,
        area_grid=build_area_grid(found.areas),
        edges=tables.edges,
        baselines=tables.baselines,
        left_boundaries=tables.left_boundaries,
        right_boundaries=tables.right_boundaries,
        first_area=_range(len(found.areas.fid)),
        first_edge=_range(len(tables.edges.fid)),
    )
    return MapBank(
        towns=(location,),
        ranges=MapRanges(
            lane=_range(len(lanes.kind)),
            point=_range(len(points.x)),
            signal=_range(len(signals.x)),
            group=_range(1),
            sign=_range(0),
            crosswalk=_range(len(crosswalks.first_corner) - 1),
            junction=_range(int(np.count_nonzero(found.areas.kind == AreaKind.INTERSECTION))),
        ),
        points=points,
        lanes=lanes,
        links=_links(tables),
        rules=_rules(tables, points, lanes),
        grid=build_lane_grid(points, lanes),
        signals=signals,
        stop_lines=stop_lines,
        groups=SignalGroups(np.ones(1, np.int32), np.zeros(1), np.zeros(1), np.zeros(1)),
        signs=Signs._make([np.empty(0, np.uint8), *[np.empty(0)] * 7, _no_ids(0)]),
        limit_posts=LimitPosts(_range(0), *(np.empty(0) for _ in range(5))),
        crosswalks=crosswalks,
        layers=_no_layers(found.areas, pixels_per_meter),
        vector=vector,
    )


def _range(count: int) -> IntArray:
    return np.array([0, count], np.int32)


def _no_ids(count: int) -> IntArray:
    return np.full(count, -1, np.int32)


def _points(tables: EdgeTables, areas: MapAreas) -> LanePoints:
    edges, lines = tables.edges, tables.baselines
    per_edge = np.diff(lines.first_point)
    length = lines.s_m[lines.first_point[1:] - 1]
    limit = np.where(np.isnan(edges.speed_limit_mps), np.inf, edges.speed_limit_mps)
    width = np.array([_exterior_area_m2(areas, area) for area in edges.area.tolist()]) / length
    return LanePoints(
        x=lines.x,
        y=lines.y,
        z=np.zeros(len(lines.x)),
        yaw_rad=lines.yaw_rad,
        s_m=lines.s_m,
        width_m=np.repeat(width, per_edge),  # mean of the lane
        speed_limit_mps=np.repeat(limit, per_edge),  # infinite where the map has none
        lane=np.repeat(np.arange(len(per_edge), dtype=np.int32), per_edge),
    )


def _exterior_area_m2(areas: MapAreas, area: int) -> float:
    """Area within the outer rings of all parts, by the shoelace formula."""
    area_m2 = 0.0
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
        x = areas.x[corners] - areas.x[corners][0]
        y = areas.y[corners] - areas.y[corners][0]
        if areas.is_exterior[ring]:
            area_m2 += 0.5 * abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1]))
    return area_m2


def _lanes(tables: EdgeTables, areas: MapAreas) -> Lanes:
    edges, lines = tables.edges, tables.baselines
    count = len(edges.fid)
    first_intersection = int(np.searchsorted(areas.kind, AreaKind.INTERSECTION))
    left, right = _neighbours(edges, tables.lane_index)
    return Lanes(
        first_point=lines.first_point,
        length_m=lines.s_m[lines.first_point[1:] - 1],
        kind=np.full(count, LaneKind.DRIVING, np.uint8),
        road_id=np.where(edges.roadblock >= 0, areas.fid[edges.roadblock], -1).astype(np.int32),
        section_id=np.zeros(count, np.int32),
        lane_id=edges.fid.astype(np.int32),
        junction=np.where(
            edges.intersection >= 0, edges.intersection - first_intersection, -1
        ).astype(np.int32),
        left=left,
        right=right,
        opposite=_no_ids(count),
    )


def _neighbours(edges: RoadEdges, lane_index: IntArray) -> tuple[IntArray, IntArray]:
    """Lanes beside each lane in its roadblock, -1 where there is none."""
    place = {
        (int(edges.roadblock[row]), int(lane_index[row])): row
        for row in np.flatnonzero(~edges.is_connector & (edges.roadblock >= 0)).tolist()
    }
    left, right = _no_ids(len(edges.fid)), _no_ids(len(edges.fid))
    for (roadblock, index), row in place.items():
        left[row] = place.get((roadblock, index - 1), -1)
        right[row] = place.get((roadblock, index + 1), -1)
    return left, right


def _links(tables: EdgeTables) -> LaneLinks:
    """Lane -> connector -> lane; connectors of a lane in the order of their layer."""
    count = len(tables.edges.fid)
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for row in np.flatnonzero(tables.edges.is_connector).tolist():
        origin, goal = int(tables.entered_from[row]), int(tables.leads_to[row])
        if origin >= 0:
            after[origin].append(row)
            before[row].append(origin)
        if goal >= 0:
            after[row].append(goal)
            before[goal].append(row)
    none = np.zeros(count + 1, np.int32)
    return LaneLinks(
        *_csr(after),
        *_csr(before),
        *(none, _no_ids(0), np.empty(0), np.empty(0)),
        first_ahead=np.array([row[0] if row else -1 for row in after], np.int32),
    )


def _csr(rows: list[list[int]]) -> tuple[IntArray, IntArray]:
    first = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int32)
    return first, np.array([value for row in rows for value in row], np.int32)


def _rules(tables: EdgeTables, points: LanePoints, lanes: Lanes) -> LaneRules:
    edges = tables.edges
    first, last = lanes.first_point[:-1], lanes.first_point[1:] - 1
    change = np.array(
        [wrap_angle(turn) for turn in (points.yaw_rad[last] - points.yaw_rad[first]).tolist()]
    )
    turn = np.full(len(edges.fid), RouteCommand.LANE_FOLLOW, np.uint8)
    turn[edges.is_connector] = RouteCommand.STRAIGHT
    turn[edges.is_connector & (change > _TURN_RAD)] = RouteCommand.LEFT
    turn[edges.is_connector & (change < -_TURN_RAD)] = RouteCommand.RIGHT
    signal = _no_ids(len(edges.fid))
    signal[edges.has_lights] = np.arange(np.count_nonzero(edges.has_lights))
    return LaneRules(
        entry=np.where(edges.has_lights, EntryRule.LIGHT, EntryRule.FREE).astype(np.uint8),
        signal=signal,
        sign=_no_ids(len(edges.fid)),
        priority=np.zeros(len(edges.fid), np.int32),
        turn=turn,
    )


def _signals(tables: EdgeTables, points: LanePoints, lanes: Lanes) -> tuple[Signals, StopLines]:
    """One light a connector that has one, at the connector's start."""
    edge = np.flatnonzero(tables.edges.has_lights)
    point = lanes.first_point[edge]
    x, y, zero = points.x[point], points.y[point], np.zeros(len(edge))
    row = np.arange(len(edge), dtype=np.int32)
    signals = Signals(
        x=x,
        y=y,
        z=zero,
        group=np.zeros(len(edge), np.int32),
        phase=np.zeros(len(edge), np.int32),
        opendrive_id=tables.edges.fid[edge].astype(np.int32),  # the connector that logs name
        first_stop_line=np.arange(len(edge) + 1, dtype=np.int32),
    )
    lines = StopLines(
        x=x.copy(),
        y=y.copy(),
        z=zero.copy(),
        yaw_rad=points.yaw_rad[point],
        lane_width_m=points.width_m[point],
        lane=tables.entered_from[edge],
        signal=row,
    )
    return signals, lines


def _crosswalks(areas: MapAreas) -> Crosswalks:
    """Exteriors of the crosswalk polygons."""
    rings = areas.first_ring[np.flatnonzero(areas.kind == AreaKind.CROSSWALK)]
    first, last = areas.first_corner[rings], areas.first_corner[rings + 1]
    corners = np.concatenate(
        [np.arange(*span) for span in zip(first, last, strict=True)] or [np.empty(0, np.int64)]
    )
    return Crosswalks(
        first_corner=np.concatenate([[0], np.cumsum(last - first)]).astype(np.int32),
        x=areas.x[corners],
        y=areas.y[corners],
        z=np.zeros(len(corners)),
    )


def _no_layers(areas: MapAreas, pixels_per_meter: float) -> MapLayers:
    """An empty picture: polygons decide here, and the observation draws them itself."""
    tiles, tiles_x, tiles_y = tile_plane(np.zeros((1, 1), np.uint8))
    return MapLayers(
        origin_x=areas.bounds[:, 0].min(keepdims=True),
        origin_y=areas.bounds[:, 1].min(keepdims=True),
        pixels_per_meter=np.array([pixels_per_meter]),
        num_tiles_x=np.array([tiles_x], np.int32),
        num_tiles_y=np.array([tiles_y], np.int32),
        first_byte=np.zeros(1, np.int64),
        tiles=tiles,
    )
