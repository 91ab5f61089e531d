"""Turns the polygon layers of a nuPlan map into MapAreas and the grid that finds them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_layers import AREA_LAYERS, GpkgLayer
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas

MAX_SPAN_M = 30_000.0  # the largest of nuPlan's maps spans 7 km
AREA_CELL_M = 16.0  # about the length of a short polygon: a cell in town lists 10 to 30 areas

log = logging.getLogger(__name__)


class AreaRows(NamedTuple):
    """Where the features of each layer went, and their shapes."""

    areas: MapAreas
    polygons: NDArray[np.object_]  # (N,) shapely geometries of the areas
    row: dict[AreaKind, dict[int, int]]  # feature id -> row of `areas`

    def rows(self, kind: AreaKind, fids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Rows of features, -1 where the map has no such feature."""
        of_fid = self.row[kind]
        return np.array([of_fid.get(int(fid), -1) for fid in fids], np.int32)


def build_areas(layers: Mapping[str, GpkgLayer], location: str) -> AreaRows:
    """Areas of all kinds, by kind and then as the layer lists them.

    A feature of several parts stays one area with the rings of all of them. Features without a
    polygon, and second polygons of one lane connector, are left out and counted in the log.
    """
    kinds, fids, polygons = [], [], []
    for kind, name in AREA_LAYERS.items():
        layer = layers[name]
        fid = layer.ids("lane_connector_fid") if kind == AreaKind.LANE_CONNECTOR else layer.fid
        usable = _is_polygon(layer.geometry) & _is_first(fid)
        if not usable.all():
            log.warning(
                "map %s: %d of %d features of %s have no polygon or a second one and are left out",
                *(location, np.count_nonzero(~usable), len(fid), name),
            )
        kinds.append(np.full(np.count_nonzero(usable), kind, np.uint8))
        fids.append(fid[usable])
        polygons.append(layer.geometry[usable])
    kind_of, fid_of, shapes = (np.concatenate(columns) for columns in (kinds, fids, polygons))
    row: dict[AreaKind, dict[int, int]] = {kind: {} for kind in AREA_LAYERS}
    for index, (kind, fid) in enumerate(zip(kind_of.tolist(), fid_of.tolist(), strict=True)):
        row[AreaKind(kind)][fid] = index
    return AreaRows(_areas(kind_of, fid_of, shapes), shapes, row)


def _is_polygon(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    # Bounds are NaN for what is empty or absent
    has_place = np.isfinite(shapely.bounds(geometry).reshape(-1, 4)).all(axis=1)
    return has_place & (shapely.get_dimensions(geometry) == 2)


def _is_first(fid: NDArray[np.int64]) -> NDArray[np.bool_]:
    first = np.zeros(len(fid), bool)
    first[np.unique(fid, return_index=True)[1]] = True
    return first


def _areas(
    kind: NDArray[np.uint8], fid: NDArray[np.int64], shapes: NDArray[np.object_]
) -> MapAreas:
    parts, area_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    corners, ring_of_corner = shapely.get_coordinates(rings, return_index=True)
    return MapAreas(
        kind=kind,
        fid=fid,
        first_ring=csr_firsts(area_of_part[part_of_ring], len(shapes)),
        first_corner=csr_firsts(ring_of_corner, len(rings)),
        is_exterior=np.diff(part_of_ring, prepend=-1) != 0,
        x=corners[:, 0].copy(),
        y=corners[:, 1].copy(),
        bounds=shapely.bounds(shapes).reshape(-1, 4),
    )


def check_span(x: NDArray[np.float64], y: NDArray[np.float64], location: str) -> None:
    """Refuse damaged coordinates before tables are made for every cell between them.

    Raises:
        ValueError: the points lie too far from one another to be a city's.
    """
    width, height = np.ptp(x), np.ptp(y)
    if not max(width, height) < MAX_SPAN_M:
        raise ValueError(
            f"the map of {location} spans {width:.3g} m by {height:.3g} m, more than "
            f"{MAX_SPAN_M:g} m: its coordinates are damaged"
        )


def csr_firsts(owner: NDArray[np.int64], num_owners: int) -> NDArray[np.int32]:
    """First entry of each owner in a list sorted by owner, and its end, (num_owners + 1,)."""
    return np.searchsorted(owner, np.arange(num_owners + 1)).astype(np.int32)


def build_area_grid(areas: MapAreas) -> AreaGrid:
    """The grid over all areas of one map."""
    low = np.floor(areas.bounds[:, :2].min(axis=0))
    # One cell more, so that a point on the upper edge still falls into the grid
    num_x, num_y = (
        int(cells)
        for cells in np.floor((areas.bounds[:, 2:].max(axis=0) - low) / AREA_CELL_M) + 1.0
    )
    first = ((areas.bounds[:, :2] - low) // AREA_CELL_M).astype(np.int64)
    last = ((areas.bounds[:, 2:] - low) // AREA_CELL_M).astype(np.int64)
    columns, rows = (last - first + 1).T
    area = np.repeat(np.arange(len(columns)), columns * rows)
    # Number of each entry among the cells of its area, row by row
    number = np.arange(len(area)) - np.repeat(
        np.cumsum(columns * rows) - columns * rows, columns * rows
    )
    column = first[area, 0] + number % columns[area]
    row = first[area, 1] + number // columns[area]
    order = np.argsort(row * num_x + column, kind="stable")
    return AreaGrid(
        origin_x=low[:1].copy(),
        origin_y=low[1:].copy(),
        cell_m=np.array([AREA_CELL_M]),
        num_x=np.array([num_x], np.int32),
        num_y=np.array([num_y], np.int32),
        first_cell=np.zeros(1, np.int32),
        first_entry=csr_firsts((row * num_x + column)[order], num_x * num_y),
        area=area[order].astype(np.int32),
    )


def area_polygon(areas: MapAreas, row: int) -> shapely.Geometry:
    """One area as a valid shapely geometry.

    Rings cut holes into, or stand beside, those before them; rings that cross themselves, as some
    in real maps do, count by the even-odd rule.
    """
    polygon: shapely.Geometry = shapely.Polygon()
    for ring in range(areas.first_ring[row], areas.first_ring[row + 1]):
        corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
        ring_points = np.column_stack([areas.x[corners], areas.y[corners]])
        part = shapely.make_valid(shapely.Polygon(ring_points))
        polygon = part if polygon.is_empty else shapely.symmetric_difference(polygon, part)
    return polygon
