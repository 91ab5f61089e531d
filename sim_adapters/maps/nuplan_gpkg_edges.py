"""Lanes and lane connectors of a nuPlan map: RoadEdges and the lines that belong to them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_layers import (
    AREA_LAYERS,
    BASELINE_LAYER,
    BOUNDARY_LAYER,
    CONNECTOR_LAYER,
    AreaRows,
    GpkgLayer,
    csr_firsts,
)
from sim_adapters.scene.map_areas import AreaKind, Polylines, RoadEdges

# Centre lines and boundaries of a nuPlan map as Polylines.


def single_lines(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """Each row's line string, None where it has no line of positive length.

    Some files wrap each line into a collection of one. A line in several pieces is joined where
    one piece begins at the other's end; others are no line that could be driven along.
    """
    is_multiple = shapely.get_type_id(geometry) == shapely.GeometryType.MULTILINESTRING
    line = geometry.copy()
    # Undirected merging may turn a line round, which would turn its lane
    line[is_multiple] = shapely.line_merge(geometry[is_multiple], directed=True)
    is_line = shapely.get_type_id(line) == shapely.GeometryType.LINESTRING
    line[~(is_line & (shapely.length(line) > 0.0))] = None
    return line


def build_polylines(lines: NDArray[np.object_]) -> Polylines:
    """Rows of vertices; a row without a line (None) is empty."""
    points, row = shapely.get_coordinates(lines, return_index=True)
    first = csr_firsts(row, len(lines))
    step = np.diff(points, axis=0, append=points[-1:])
    yaw = np.arctan2(step[:, 1], step[:, 0])
    length = np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2)
    s = np.zeros(len(points))
    for begin, end in itertools.pairwise(first.tolist()):
        if end > begin:
            yaw[end - 1] = yaw[end - 2]  # the last point repeats the last segment's
            s[begin + 1 : end] = np.cumsum(length[begin : end - 1])
    return Polylines(first, points[:, 0].copy(), points[:, 1].copy(), yaw, s)


log = logging.getLogger(__name__)

Ids = NDArray[np.int64]


class EdgeTables(NamedTuple):
    """Edges of one map, (K,), lanes first, each group as its layer lists it."""

    edges: RoadEdges
    baselines: Polylines
    left_boundaries: Polylines
    right_boundaries: Polylines
    lane_index: NDArray[np.int32]  # 0 is a roadblock's leftmost lane; -1 for connectors
    entered_from: NDArray[np.int32]  # edge before a connector, -1 for lanes or where unknown
    leads_to: NDArray[np.int32]  # edge after a connector


class _Features(NamedTuple):
    """Columns that lanes and connectors share, (n,)."""

    fid: Ids
    area: NDArray[np.int32]
    roadblock: NDArray[np.int32]
    intersection: NDArray[np.int32]
    speed_limit_mps: NDArray[np.float64]
    baseline: NDArray[np.object_]
    left_fid: Ids
    right_fid: Ids

    def take(self, rows: NDArray[np.bool_]) -> _Features:
        return _Features._make(column[rows] for column in self)


def build_edges(layers: Mapping[str, GpkgLayer], found: AreaRows, location: str) -> EdgeTables:
    """Edges of one map; those without a polygon or a centre line are left out and counted."""
    baseline_layer = layers[BASELINE_LAYER]
    lines = single_lines(baseline_layer.geometry)
    lanes = _lanes(layers, found, _by_fid(baseline_layer.ids("lane_fid"), lines))
    connector_lines = _by_fid(baseline_layer.ids("lane_connector_fid"), lines)
    connectors = _connectors(layers, found, connector_lines)
    kept_lanes = _usable(lanes, f"lanes of map {location}")
    kept_connectors = _usable(connectors, f"lane connectors of map {location}")
    lane_layer, layer = layers[AREA_LAYERS[AreaKind.LANE]], layers[CONNECTOR_LAYER]
    lanes, connectors = lanes.take(kept_lanes), connectors.take(kept_connectors)
    texts = [text or "" for text in layer.columns["traffic_light_stop_line_fids"][kept_connectors]]
    stops = _stops(connectors.baseline, texts, found, location)
    none = np.full(len(lanes.fid), -1, np.int32)
    lane_row = {fid: row for row, fid in enumerate(lanes.fid.tolist())}
    both = _Features._make(np.concatenate(pair) for pair in zip(lanes, connectors, strict=True))
    boundaries = _by_fid(layers[BOUNDARY_LAYER].fid, single_lines(layers[BOUNDARY_LAYER].geometry))
    return EdgeTables(
        edges=RoadEdges(
            area=both.area,
            roadblock=both.roadblock,
            intersection=both.intersection,
            is_connector=np.arange(len(both.fid)) >= len(lanes.fid),
            fid=both.fid,
            speed_limit_mps=both.speed_limit_mps,
            has_lights=np.array([False] * len(none) + [text != "" for text in texts], bool),
            first_stop=np.cumsum([0] * (len(none) + 1) + [len(s) for s in stops]).astype(np.int32),
            stop=np.array([row for rows in stops for row in rows], np.int32),
        ),
        baselines=build_polylines(both.baseline),
        left_boundaries=build_polylines(_lookup(boundaries, both.left_fid)),
        right_boundaries=build_polylines(_lookup(boundaries, both.right_fid)),
        lane_index=np.concatenate(
            [
                lane_layer.ids("lane_index")[kept_lanes],
                np.full(len(connectors.fid), -1),
            ]
        ).astype(np.int32),
        entered_from=np.concatenate(
            [none, _edge_rows(lane_row, layer.ids("exit_lane_fid")[kept_connectors])]
        ),
        leads_to=np.concatenate(
            [none, _edge_rows(lane_row, layer.ids("entry_lane_fid")[kept_connectors])]
        ),
    )


def _lanes(
    layers: Mapping[str, GpkgLayer], found: AreaRows, baselines: Mapping[int, object]
) -> _Features:
    layer = layers[AREA_LAYERS[AreaKind.LANE]]
    return _Features(
        fid=layer.fid,
        area=found.rows(AreaKind.LANE, layer.fid),
        roadblock=found.rows(AreaKind.ROADBLOCK, layer.ids("lane_group_fid")),
        intersection=np.full(len(layer.fid), -1, np.int32),
        speed_limit_mps=layer.columns["speed_limit_mps"].astype(np.float64),
        baseline=_lookup(baselines, layer.fid),
        left_fid=layer.ids("left_boundary_fid"),
        right_fid=layer.ids("right_boundary_fid"),
    )


def _connectors(
    layers: Mapping[str, GpkgLayer], found: AreaRows, baselines: Mapping[int, object]
) -> _Features:
    layer = layers[CONNECTOR_LAYER]
    shapes = layers[AREA_LAYERS[AreaKind.LANE_CONNECTOR]]
    blocks = layers[AREA_LAYERS[AreaKind.ROADBLOCK_CONNECTOR]]
    group = layer.ids("lane_group_connector_fid")
    crossing = dict(zip(blocks.fid.tolist(), blocks.ids("intersection_fid").tolist(), strict=True))
    shape_row = {fid: row for row, fid in enumerate(shapes.ids("lane_connector_fid").tolist())}
    left, right = shapes.ids("left_boundary_fid"), shapes.ids("right_boundary_fid")
    rows = [shape_row.get(fid) for fid in layer.fid.tolist()]
    return _Features(
        fid=layer.fid,
        area=found.rows(AreaKind.LANE_CONNECTOR, layer.fid),
        roadblock=found.rows(AreaKind.ROADBLOCK_CONNECTOR, group),
        intersection=found.rows(
            AreaKind.INTERSECTION, np.array([crossing.get(fid, -1) for fid in group.tolist()])
        ),
        speed_limit_mps=layer.columns["speed_limit_mps"].astype(np.float64),
        baseline=_lookup(baselines, layer.fid),
        left_fid=np.array([-1 if row is None else left[row] for row in rows], np.int64),
        right_fid=np.array([-1 if row is None else right[row] for row in rows], np.int64),
    )


def _usable(features: _Features, what: str) -> NDArray[np.bool_]:
    has_line = np.array([line is not None for line in features.baseline], bool)
    usable = (features.area >= 0) & has_line
    if not usable.all():
        log.warning(
            "%d of %d %s have no polygon or no centre line and are left out",
            *(np.count_nonzero(~usable), len(usable), what),
        )
    return usable


def _stops(
    baselines: NDArray[np.object_], texts: list[str], found: AreaRows, location: str
) -> list[list[int]]:
    """Stop polygons of each connector, as the devkit picks them from the file's candidates.

    Those that the centre line crosses; if it crosses none, the one nearest to its start.
    """
    stops: list[list[int]] = []
    num_unknown = 0
    for line, text in zip(baselines, texts, strict=True):
        fids = [int(word) for word in text.replace(" ", "").split(",") if word]
        rows = found.rows(AreaKind.STOP_POLYGON, np.array(fids, np.int64))
        num_unknown += int(np.count_nonzero(rows < 0))
        rows = rows[rows >= 0]
        crossed = rows[shapely.intersects(found.polygons[rows], line)]
        if len(rows) > 0 and len(crossed) == 0:
            start = shapely.get_point(line, 0)
            crossed = rows[[np.argmin(shapely.distance(found.polygons[rows], start))]]
        stops.append(crossed.tolist())
    if num_unknown > 0:
        log.warning(
            "map %s: %d references to stop polygons that it lacks are left out",
            *(location, num_unknown),
        )
    return stops


def _by_fid(fids: Ids, values: NDArray[np.object_]) -> dict[int, object]:
    return {fid: value for fid, value in zip(fids.tolist(), values, strict=True) if fid >= 0}


def _lookup(values: Mapping[int, object], fids: Ids) -> NDArray[np.object_]:
    out = np.full(len(fids), None, object)
    out[:] = [values.get(fid) for fid in fids.tolist()]
    return out


def _edge_rows(row_of: Mapping[int, int], fids: Ids) -> NDArray[np.int32]:
    return np.array([row_of.get(fid, -1) for fid in fids.tolist()], np.int32)
