"""A tiny map, written to disk as nuPlan's .gpkg files.

In metres from `ORIGIN`, all traffic keeping right:

    roadblock 1    lanes 11 (left, y = -1.75) and 12 (y = -5.25), eastbound, x = 0 .. 100
    intersection   41, x = 100 .. 120; connectors 21 (11 -> 13), 22 (12 -> 14), 23 (12 -> 15),
                   roadblock connectors 31 (1 -> 2) and 32 (1 -> 3); all three have lights
    roadblock 2    lanes 13 and 14, eastbound, x = 120 .. 220
    roadblock 3    lane 15, southbound, x = 105.25, y = -12 .. -100
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely

pyogrio.set_gdal_config_options({"OGR_SQLITE_SYNCHRONOUS": "OFF"})  # a lost test map is no loss

ORIGIN = np.array([664_000.0, 3_997_000.0])
ZONE = "EPSG:32611"
LOCATION = "us-nv-las-vegas-strip"
VERSIONS = {
    LOCATION: "9.15.1915",
    "sg-one-north": "9.17.1964",
    "us-ma-boston": "9.12.1817",
    "us-pa-pittsburgh-hazelwood": "9.17.1937",
}

Rows = list[dict[str, Any]]
Layers = dict[str, Rows]

_TEXT = {"traffic_light_stop_line_fids"}
_LANES = (  # fid, roadblock, index, from, to (in the driving direction)
    (11, 1, 0, (0.0, -1.75), (100.0, -1.75)),
    (12, 1, 1, (0.0, -5.25), (100.0, -5.25)),
    (13, 2, 0, (120.0, -1.75), (220.0, -1.75)),
    (14, 2, 1, (120.0, -5.25), (220.0, -5.25)),
    (15, 3, 0, (105.25, -12.0), (105.25, -100.0)),
)
_CONNECTORS = ((21, 31, 11, 13, "51"), (22, 31, 12, 14, "51, 52"), (23, 32, 12, 15, "52,53"))


def place(x: float, y: float) -> np.ndarray:
    """UTM coordinates of a point of the map."""
    return ORIGIN + np.array([x, y])


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    """A rectangle of the map's coordinates."""
    return shapely.box(*place(x0, y0), *place(x1, y1))


def tiny_layers() -> Layers:
    """All layers, one dictionary a feature; tests change what they like before writing."""
    layers: Layers = {name: [] for name in ("carpark_areas", "walkways", "generic_drivable_areas")}
    layers |= {"lanes_polygons": [], "lane_connectors": [], "boundaries": [], "baseline_paths": []}
    layers["gen_lane_connectors_scaled_width_polygons"] = []
    ends = {fid: (start, end) for fid, _, _, start, end in _LANES}
    for fid, block, index, start, end in _LANES:
        sides = _add_edge(layers, fid, [start, end], "lane_fid")
        layers["lanes_polygons"].append(
            sides
            | {"fid": fid, "lane_fid": fid, "lane_group_fid": block, "lane_index": index}
            | {"speed_limit_mps": 11.0}
        )
    for fid, block, before, after, stops in _CONNECTORS:
        sides = _add_edge(layers, fid, _curve(ends[before], ends[after]), "lane_connector_fid")
        shape = sides | {"fid": 500 + fid, "lane_connector_fid": fid}
        layers["gen_lane_connectors_scaled_width_polygons"].append(shape)
        layers["lane_connectors"].append(
            {
                "fid": fid,
                "exit_lane_fid": before,
                "entry_lane_fid": after,
                "lane_group_connector_fid": block,
                "speed_limit_mps": math.nan,
                "traffic_light_stop_line_fids": stops,
                "geometry": shapely.LineString([ORIGIN, ORIGIN + 1.0]),
            }
        )
    blocks = {1: (0, -7, 100, 0), 2: (120, -7, 220, 0), 3: (103.5, -100, 107, -12)}
    layers["lane_groups_polygons"] = [
        {"fid": fid, "geometry": box(*corners)} for fid, corners in blocks.items()
    ]
    layers["lane_group_connectors"] = [
        _block_connector(31, 1, 2, box(100, -7, 120, 0)),
        _block_connector(32, 1, 3, box(100, -12, 107, -3.5)),
    ]
    hole = shapely.Polygon(box(100, -12, 120, 2).exterior, [box(115, -11, 118, -9).exterior])
    layers["intersections"] = [{"fid": 41, "intersection_type_fid": 1, "geometry": hole}]
    layers["stop_polygons"] = [
        {"fid": 51, "stop_polygon_type_fid": 2, "geometry": box(98, -7, 100.5, 0)},
        {"fid": 52, "stop_polygon_type_fid": 2, "geometry": box(94, -9, 96, -8)},
        {"fid": 53, "stop_polygon_type_fid": 2, "geometry": box(97, -9, 99, -8)},
    ]
    layers["crosswalks"] = [{"fid": 61, "geometry": box(101, -7, 104, 0)}]
    layers["carpark_areas"] = [{"fid": 71, "geometry": box(20, -15, 40, -7)}]
    layers["road_segments"] = [{"fid": 81, "geometry": box(0, -7, 100, 0)}]
    return layers


def write_map(
    map_root: Path,
    layers: Mapping[str, Rows] | None = None,
    *,
    locations: Iterable[str] = (LOCATION,),
    crs: str = ZONE,
) -> Path:
    """Write the version file and one map a location; all the same; returns the first's path."""
    map_root.mkdir(parents=True, exist_ok=True)
    versions = {name: {"version": version, "layers": {}} for name, version in VERSIONS.items()}
    (map_root / "nuplan-maps-v1.0.json").write_text(json.dumps(versions))
    paths = [map_root / name / VERSIONS[name] / "map.gpkg" for name in locations]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    for name, rows in (tiny_layers() if layers is None else layers).items():
        write_layer(paths[0], name, rows, crs=crs)
    write_meta(paths[0], {"projectedCoordSystem": ZONE})
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    return paths[0]


def write_layer(path: Path, name: str, rows: Rows, *, crs: str = ZONE) -> None:
    """Append one layer; columns are those of the first row."""
    columns = [key for key in (rows[0] if rows else {"fid": 0}) if key != "geometry"]
    geometry = np.array([row["geometry"] for row in rows], object)
    if crs != ZONE:
        geometry = _geographic(geometry, crs)
    pyogrio.raw.write(
        str(path),
        geometry=shapely.to_wkb(geometry),
        field_data=[np.array([row[key] for row in rows], _dtype(name, key)) for key in columns],
        fields=columns,
        layer=name,
        driver="GPKG",
        geometry_type=rows[0]["geometry"].geom_type if rows else "Polygon",
        promote_to_multi=False,
        crs=crs,
        append=path.exists(),
        layer_options={"FID": "fid"},
    )


def write_meta(path: Path, entries: Mapping[str, str]) -> None:
    """Append the table of keys and values."""
    pyogrio.raw.write(
        str(path),
        geometry=None,
        field_data=[np.array(list(entries), object), np.array(list(entries.values()), object)],
        fields=["key", "value"],
        layer="meta",
        driver="GPKG",
        geometry_type=None,
        crs=None,
        append=path.exists(),
    )


def _dtype(layer: str, column: str) -> type:
    if column in _TEXT:
        return object
    # A baseline belongs to a lane or a connector: the other column is null, hence a float
    is_real = column == "speed_limit_mps" or (layer == "baseline_paths" and column != "fid")
    return np.float64 if is_real else np.int64


def _geographic(geometry: np.ndarray, crs: str) -> np.ndarray:
    project = pyproj.Transformer.from_crs(ZONE, crs, always_xy=True).transform
    return shapely.transform(geometry, lambda xy: np.column_stack(project(xy[:, 0], xy[:, 1])))


def _curve(
    before: tuple[tuple[float, float], tuple[float, float]],
    after: tuple[tuple[float, float], tuple[float, float]],
) -> list[tuple[float, float]]:
    """From the end of one lane to the start of another, tangent to both (a quadratic Bezier)."""
    start, goal = np.array(before[1]), np.array(after[0])
    bend = np.array([goal[0], start[1]]) if goal[0] < 110.0 else 0.5 * (start + goal)
    t = np.linspace(0.0, 1.0, 12)[:, None]
    return [tuple(p) for p in (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * goal]


def _add_edge(
    layers: Layers, fid: int, points: Sequence[tuple[float, float]], key: str
) -> dict[str, object]:
    """Centre line and boundaries of a lane 3.5 m wide; returns its polygon and boundary ids."""
    local = shapely.segmentize(shapely.LineString(points), 1.5)
    line = shapely.LineString(ORIGIN + shapely.get_coordinates(local))
    other = "lane_fid" if key == "lane_connector_fid" else "lane_connector_fid"
    layers["baseline_paths"].append(
        {"fid": 1000 + fid, key: float(fid), other: math.nan, "geometry": line}
    )
    for number, side in ((100 + fid, 1.75), (200 + fid, -1.75)):
        layers["boundaries"].append({"fid": number, "geometry": line.offset_curve(side)})
    shape = line.buffer(1.75, cap_style="flat")
    return {"left_boundary_fid": 100 + fid, "right_boundary_fid": 200 + fid, "geometry": shape}


def _block_connector(
    fid: int, before: int, after: int, shape: shapely.Polygon
) -> dict[str, object]:
    return {
        "fid": fid,
        "from_lane_group_fid": before,
        "to_lane_group_fid": after,
        "intersection_fid": 41,
        "geometry": shape,
    }
