"""Writes map layers to a .gpkg file with the feature ids and column types that nuPlan's have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

# Where exported towns lie on Earth: nuPlan wants UTM coordinates, CARLA's towns have none
PROJECTION = "EPSG:32611"  # UTM zone 11 north, for no other reason than that nuPlan knows it
ORIGIN_X, ORIGIN_Y = 600_000.0, 4_000_000.0  # [m] of every town's own origin

Geometry = TypeVar("Geometry", bound=shapely.Geometry)


def to_utm(geometry: Geometry) -> Geometry:
    """A geometry of a town in UTM metres; axes and heading stay."""
    moved: Any = translate(geometry, ORIGIN_X, ORIGIN_Y)
    return moved


def location_name(town: str) -> str:
    """Name of a town as a nuPlan location: `carla-town01`."""
    return f"carla-{town.lower()}"


# First feature id of each layer: lanes and connectors must differ, the others do to be legible.
FIRST_FID = {
    "lanes_polygons": 100_000,
    "lane_connectors": 200_000,
    "lane_groups_polygons": 300_000,
    "lane_group_connectors": 400_000,
    "intersections": 500_000,
    "stop_polygons": 510_000,
    "crosswalks": 520_000,
    "walkways": 530_000,
    "carpark_areas": 540_000,
    "generic_drivable_areas": 550_000,
    "road_segments": 560_000,
    "gen_lane_connectors_scaled_width_polygons": 600_000,
    "boundaries": 700_000,
    "baseline_paths": 800_000,
}
FIRST_LANE_FID = FIRST_FID["lanes_polygons"]
FIRST_CONNECTOR_FID = FIRST_FID["lane_connectors"]
FIRST_BLOCK_FID = FIRST_FID["lane_groups_polygons"]
FIRST_BLOCK_LINK_FID = FIRST_FID["lane_group_connectors"]
# Files are renamed when whole, and the same content gives the same bytes
_GDAL_OPTIONS = {
    "OGR_SQLITE_SYNCHRONOUS": "OFF",
    "OGR_CURRENT_DATE": "2026-01-01T00:00:00.000Z",
}


class Layer(NamedTuple):
    """One layer: N features; `columns` hold (N,) int64, float64 (NaN: null) or str arrays."""

    name: str
    geometry_type: str  # "Polygon" or "LineString"
    geometry: list[shapely.Geometry]
    columns: dict[str, NDArray[np.generic]]  # "fid" among them


def write_geopackage(path: Path, layers: Sequence[Layer]) -> None:
    """Write a file whole or not at all; the same layers give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial.gpkg")
    partial.unlink(missing_ok=True)
    before = {name: pyogrio.get_gdal_config_option(name) for name in _GDAL_OPTIONS}
    pyogrio.set_gdal_config_options(_GDAL_OPTIONS)
    try:
        for layer in layers:
            _write_layer(partial, layer)
        _write_metadata(partial)
    finally:
        pyogrio.set_gdal_config_options(before)
    partial.replace(path)


def _write_layer(path: Path, layer: Layer) -> None:
    """Append a layer to the file, which is made if it isn't there."""
    fields = list(layer.columns)
    pyogrio.raw.write(
        str(path),
        geometry=shapely.to_wkb(np.array(layer.geometry, dtype=object)),
        field_data=[_as_field(values) for values in layer.columns.values()],
        fields=fields,
        layer=layer.name,
        driver="GPKG",
        geometry_type=layer.geometry_type,
        crs=PROJECTION,
        append=path.exists(),
        layer_options={"FID": "fid"},
    )


def _write_metadata(path: Path) -> None:
    """Append the table that names the projection of all layers."""
    pyogrio.raw.write(
        str(path),
        geometry=None,
        field_data=[
            np.array([text], dtype=object) for text in ("projectedCoordSystem", PROJECTION)
        ],
        fields=["key", "value"],
        layer="meta",
        driver="GPKG",
        geometry_type=None,
        crs=None,
        append=True,
    )


def _as_field(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values.astype(object) if values.dtype.kind in "US" else values
