"""Reads the layers of one nuPlan `map.gpkg` as plain columns, in the map's metric coordinates.

A layer may be stored in EPSG:4326 or directly in the UTM zone that the `meta` layer names; both
come out in that zone, as the devkit has them, without heights.
"""

from __future__ import annotations

import warnings
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

from sim_adapters.scene.map_areas import AreaKind
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
