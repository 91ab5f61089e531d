"""The map around a nuPlan scenario, as the viewer's picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.viewer.town import pack_layers
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.scene.map_areas import AreaKind, Polylines, VectorMap
from sim_adapters.scene.map_bank import MapBank

FloatArray = NDArray[np.float64]
MAP_RADIUS_M = 120.0  # around the ego's way
LAYER_OF = {
    AreaKind.WALKWAY: "sidewalk",
    AreaKind.CARPARK: "parking",
    AreaKind.LANE: "road",
    AreaKind.LANE_CONNECTOR: "road",
    AreaKind.INTERSECTION: "road",
    AreaKind.ROAD_SEGMENT: "road",
    AreaKind.GENERIC_DRIVABLE: "road",
    AreaKind.CROSSWALK: "crosswalk",
}


def pack_surroundings(maps: MapBank, log: ScenarioLog, path: EgoPath) -> bytes:
    """The map within MAP_RADIUS_M of the ego's way, with the stop lines of the log's lights."""
    vector, map_index = maps.vector, maps.map_index(log.map_name)
    assert vector is not None
    box = (path.x.min(), path.y.min(), path.x.max(), path.y.max())
    low = np.array(box[:2]) - MAP_RADIUS_M
    high = np.array(box[2:]) + MAP_RADIUS_M
    return pack_layers(
        log.map_name,
        {**_areas(vector, map_index, low, high), "marking": _lines(vector, map_index, low, high)},
        stop_lines=_stop_lines(vector, map_index, light_connectors(log)),
        stop_signs=np.zeros((0, 3)),
    )


def light_connectors(log: ScenarioLog) -> list[int]:
    """Connectors whose lights the log has, in the order of the recorded signals."""
    return sorted({int(fid) for fid in log.lights.connector_fid})


def _areas(
    vector: VectorMap, map_index: int, low: FloatArray, high: FloatArray
) -> dict[str, list[FloatArray]]:
    areas = vector.areas
    rows = np.arange(vector.first_area[map_index], vector.first_area[map_index + 1])
    bounds = areas.bounds[rows]
    rows = rows[(bounds[:, :2] < high).all(axis=1) & (bounds[:, 2:] > low).all(axis=1)]
    layers: dict[str, list[FloatArray]] = {name: [] for name in LAYER_OF.values()}
    for area in rows:
        layer = LAYER_OF.get(AreaKind(areas.kind[area]))
        if layer is None:
            continue
        for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
            if areas.is_exterior[ring]:
                corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
                layers[layer].append(np.stack([areas.x[corners], areas.y[corners]], axis=1))
    return layers


def _lines(
    vector: VectorMap, map_index: int, low: FloatArray, high: FloatArray
) -> list[FloatArray]:
    """Boundaries of lanes; neighbours share theirs, which is kept once."""
    found: dict[bytes, FloatArray] = {}
    for edge in range(vector.first_edge[map_index], vector.first_edge[map_index + 1]):
        if vector.edges.is_connector[edge]:
            continue
        for side in (vector.left_boundaries, vector.right_boundaries):
            line = _line(side, edge)
            if (line.min(axis=0) < high).all() and (line.max(axis=0) > low).all():
                found.setdefault(line.round(2).tobytes(), line)
    return list(found.values())


def _stop_lines(vector: VectorMap, map_index: int, connectors: Sequence[int]) -> FloatArray:
    """Across the begin of each connector, (K, 5); see `pack_layers`."""
    edges = vector.edges
    rows = np.arange(vector.first_edge[map_index], vector.first_edge[map_index + 1])
    rows = rows[edges.is_connector[rows]]
    edge_of = {int(edges.fid[row]): int(row) for row in rows}
    sides, lines = (vector.left_boundaries, vector.right_boundaries), []
    for light, fid in enumerate(connectors):
        edge = edge_of.get(fid)
        if edge is not None:
            left, right = (_line(side, edge)[0] for side in sides)
            lines.append([*left, *right, light])
    return np.array(lines, np.float64).reshape(-1, 5)


def _line(lines: Polylines, row: int) -> FloatArray:
    points = slice(lines.first_point[row], lines.first_point[row + 1])
    return np.stack([lines.x[points], lines.y[points]], axis=1)
