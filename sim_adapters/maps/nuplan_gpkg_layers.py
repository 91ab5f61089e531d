"""Reads the layers of one nuPlan `map.gpkg` as plain columns, in the map's metric coordinates.

A layer may be stored in EPSG:4326 or directly in the UTM zone that the `meta` layer names; both
come out in that zone, as the devkit has them, without heights. Polygons become MapAreas.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import pyproj
import pyproj.exceptions
import shapely
from numpy.typing import NDArray

from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas
from sim_adapters.sqlite_file import SqliteFile, SqliteFileError

MAX_SHAPE_BYTES = 64 << 20  # four million corners; the largest of nuPlan's shapes have thousands
META_LAYER = "meta"
CONNECTOR_LAYER = "lane_connectors"
BASELINE_LAYER = "baseline_paths"
BOUNDARY_LAYER = "boundaries"
AREA_LAYERS = {
    AreaKind.LANE: "lanes_polygons",
    AreaKind.LANE_CONNECTOR: "gen_lane_connectors_scaled_width_polygons",
    AreaKind.ROADBLOCK: "lane_groups_polygons",
    AreaKind.ROADBLOCK_CONNECTOR: "lane_group_connectors",
    AreaKind.INTERSECTION: "intersections",
    AreaKind.STOP_POLYGON: "stop_polygons",
    AreaKind.CROSSWALK: "crosswalks",
    AreaKind.CARPARK: "carpark_areas",
    AreaKind.ROAD_SEGMENT: "road_segments",
    AreaKind.GENERIC_DRIVABLE: "generic_drivable_areas",
    AreaKind.WALKWAY: "walkways",
}
_COLUMNS = {
    "lanes_polygons": (
        "lane_fid",
        "lane_group_fid",
        "lane_index",
        "speed_limit_mps",
        "left_boundary_fid",
        "right_boundary_fid",
    ),
    CONNECTOR_LAYER: (
        "exit_lane_fid",
        "entry_lane_fid",
        "lane_group_connector_fid",
        "speed_limit_mps",
        "traffic_light_stop_line_fids",
    ),
    "gen_lane_connectors_scaled_width_polygons": (
        "lane_connector_fid",
        "left_boundary_fid",
        "right_boundary_fid",
    ),
    "lane_group_connectors": ("intersection_fid",),
    BASELINE_LAYER: ("lane_fid", "lane_connector_fid"),
}
_LAYERS = (*AREA_LAYERS.values(), CONNECTOR_LAYER, BASELINE_LAYER, BOUNDARY_LAYER)


class GpkgLayer(NamedTuple):
    """Rows of a layer in feature-id order, (n,)."""

    fid: NDArray[np.int64]
    geometry: NDArray[np.object_]  # shapely geometries, None where the file has none
    columns: dict[str, NDArray[Any]]

    def ids(self, column: str) -> NDArray[np.int64]:
        """References to other layers' features, -1 where the file has none."""
        values = self.columns[column].astype(np.float64)
        return np.where(np.isnan(values), -1.0, values).astype(np.int64)


def read_layers(path: Path) -> dict[str, GpkgLayer]:
    """All layers that driving needs, by their name in the file.

    Raises:
        ValueError: the file is damaged, or lacks a layer, a column or its coordinate system.
    """
    with warnings.catch_warnings():
        # GDAL warns of rings that real maps leave open by a nanometre; what is used is checked
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            _check_tables(path)
            _check_schema(path)
            zone = _metric_zone(path)
            return {name: _read_layer(path, name, zone) for name in _LAYERS}
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            SqliteFileError,
        ) as error:
            raise ValueError(
                f"{path} cannot be read as a GeoPackage ({error}): the file is damaged or "
                f"incomplete, copy the maps again"
            ) from error


def _check_tables(path: Path) -> None:
    """Refuse layers that are views, which run a stranger's code, and shapes of no map.

    Raises:
        SqliteFileError: the file is damaged.
        ValueError: a layer is no plain table, or holds a shape larger than any of nuPlan's.
    """
    with closing(SqliteFile(path)) as file:
        tables = file.plain_tables()
        names = {str(row[0]) for row in file.rows("SELECT name FROM sqlite_master")}
        for name in (*_LAYERS, META_LAYER):
            if name in names and name not in tables:
                raise ValueError(f"layer {name} of {path} is no plain table: it is no nuPlan map")
            for column in {"geom", "geometry"} & set(tables.get(name, ())):
                (row,) = file.rows(f"SELECT MAX(LENGTH({column})) FROM {name}")
                if row[0] is not None and row[0] > MAX_SHAPE_BYTES:
                    raise ValueError(
                        f"layer {name} of {path} has a shape of {row[0]} bytes, at most "
                        f"{MAX_SHAPE_BYTES}: it is no nuPlan map, or damaged"
                    )


def _check_schema(path: Path) -> None:
    found = {str(name) for name in pyogrio.list_layers(path)[:, 0]}
    missing = [name for name in (*_LAYERS, META_LAYER) if name not in found]
    if missing:
        raise ValueError(
            f"{path} has no layer {', '.join(missing)}: it is no map of nuPlan v1.0, or damaged"
        )
    for name, columns in _COLUMNS.items():
        fields = set(pyogrio.read_info(path, layer=name)["fields"])
        lacking = [column for column in columns if column not in fields]
        if lacking:
            raise ValueError(
                f"layer {name} of {path} has no column {', '.join(lacking)}: "
                f"it is no map of nuPlan v1.0, or damaged"
            )


def _metric_zone(path: Path) -> pyproj.CRS:
    meta, _, _, values = pyogrio.raw.read(path, layer=META_LAYER)
    table = dict(zip(meta["fields"].tolist(), values, strict=True))
    if not {"key", "value"} <= set(table):
        raise ValueError(f"layer {META_LAYER} of {path} has no columns key and value")
    entries = dict(zip(table["key"].tolist(), table["value"].tolist(), strict=True))
    try:
        zone = pyproj.CRS.from_user_input(entries.get("projectedCoordSystem"))
    except pyproj.exceptions.CRSError as error:
        raise ValueError(
            f"layer {META_LAYER} of {path} names no coordinate system: projectedCoordSystem is "
            f"{entries.get('projectedCoordSystem')!r}, expected e.g. 'EPSG:32611'"
        ) from error
    if not zone.is_projected:
        raise ValueError(f"projectedCoordSystem of {path} is {zone.to_string()}, not in metres")
    return zone


def _read_layer(path: Path, name: str, zone: pyproj.CRS) -> GpkgLayer:
    wanted = list(_COLUMNS.get(name, ()))
    meta, fid, stored, values = pyogrio.raw.read(path, layer=name, columns=wanted, return_fids=True)
    if fid is None or stored is None:
        raise ValueError(f"layer {name} of {path} has no geometry")
    if meta["crs"] is None and len(fid) > 0:
        raise ValueError(f"layer {name} of {path} names no coordinate system")
    geometry = shapely.force_2d(shapely.from_wkb(stored))
    if len(fid) > 0:
        geometry = _to_zone(geometry, pyproj.CRS.from_user_input(meta["crs"]), zone)
    columns = dict(zip(meta["fields"].tolist(), values, strict=True))
    return GpkgLayer(fid.astype(np.int64), geometry, columns)


def _to_zone(
    geometry: NDArray[np.object_], stored: pyproj.CRS, zone: pyproj.CRS
) -> NDArray[np.object_]:
    if stored.is_exact_same(zone):
        return geometry  # exact coordinates: no round trip through the projection
    transformer = pyproj.Transformer.from_crs(stored, zone, always_xy=True)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return shapely.transform(geometry, project)


# The polygon layers as MapAreas, and the grid that finds them

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
