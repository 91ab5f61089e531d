"""A tiny nuPlan data set, written to disk in nuPlan's own file formats.

The map, in metres from `ORIGIN`, all traffic keeping right:

    roadblock 1    lanes 11 (left, y = -1.75) and 12 (y = -5.25), eastbound, x = 0 .. 100
    intersection   41, x = 100 .. 120; connectors 21 (11 -> 13), 22 (12 -> 14), 23 (12 -> 15),
                   roadblock connectors 31 (1 -> 2) and 32 (1 -> 3); all three have lights
    roadblock 2    lanes 13 and 14, eastbound, x = 120 .. 220
    roadblock 3    lane 15, southbound, x = 105.25, y = -12 .. -100

The log is a drive along lane 12 at 20 Hz beside a handful of tracks that come and go.
"""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
FRAME_S = 0.05
START_US = 1_620_000_000_000_000

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


@dataclass(frozen=True)
class TinyTrack:
    """A track that moves straight on at constant speed while it is seen."""

    category: str
    x: float
    y: float
    yaw_rad: float = 0.0
    speed_mps: float = 0.0
    size: tuple[float, float] = (4.6, 1.9)  # length, width
    seen_s: tuple[float, float] = (0.0, math.inf)


TRACKS = (
    TinyTrack("vehicle", 40.0, -5.25, 0.0, 5.0),
    TinyTrack("vehicle", 0.0, -1.75, 0.0, 4.0, (9.8, 2.6), (3.0, 20.0)),
    TinyTrack("pedestrian", 102.0, -9.0, 1.5, 1.1, (0.6, 0.7)),
    TinyTrack("bicycle", 10.0, -6.5, 0.1, 3.0, (1.8, 0.6), (0.0, 9.0)),
    TinyTrack("traffic_cone", 60.0, -7.5, 0.3, 0.0, (0.4, 0.4)),
    TinyTrack("barrier", 62.0, -7.5, 0.0, 0.5, (2.0, 0.3)),  # static things move in real logs, too
)


@dataclass(frozen=True)
class TinyLog:
    """What a log holds.

    Args:
        tags: Types by frame number.
        tracks: Whose boxes are stored last track first, so that orders show.
        duration_s: Of the log; the ego drives along lane 12 from x = 5 at 4 m/s and faster.
        scene_s: Length of a scene.
        route: Roadblock ids of every scene.
        jitter_us: Largest random shift of a frame's time.
        seed: Of jitter, pitch and roll, and part of all tokens.
    """

    tags: Mapping[int, Sequence[str]] = field(
        default_factory=lambda: {300: ("changing_lane", "near_multiple_vehicles")}
    )
    tracks: Sequence[TinyTrack] = TRACKS
    duration_s: float = 30.0
    scene_s: float = 5.0
    route: str = "1 31 2"
    jitter_us: int = 0
    seed: int = 0
    location: str = LOCATION
    ego_speed_mps: float = 4.0

    def token(self, kind: int, number: int) -> bytes:
        """A token of 8 bytes; `kind` 8 are lidar frames."""
        return kind.to_bytes(1, "big") + self.seed.to_bytes(2, "big") + number.to_bytes(5, "big")

    def frame_token(self, number: int) -> str:
        """Hex token of a frame, the scenario's if it is tagged."""
        return self.token(8, number).hex()


def write_log(path: Path, log: TinyLog | None = None) -> Path:
    """Write a .db with all tables that scenarios are read from."""
    log = log or TinyLog()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript("PRAGMA synchronous = OFF;" + _SCHEMA)
        for table, rows in _tables(path.stem, log).items():
            if rows:
                places = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    connection.close()
    return path


def edit_log(path: Path, *statements: str) -> Path:
    """Run SQL on a log."""
    with sqlite3.connect(path) as connection:
        for statement in ("PRAGMA synchronous = OFF", *statements):
            connection.execute(statement)
    connection.close()
    return path


def _tables(name: str, log: TinyLog) -> dict[str, list[tuple[object, ...]]]:
    draws = np.random.default_rng(log.seed)
    count = round(log.duration_s / FRAME_S) + 1
    times = np.arange(count) * FRAME_S
    stamps = START_US + np.round(times * 1e6).astype(int)
    stamps += draws.integers(-log.jitter_us, log.jitter_us + 1, count)
    num_scenes = math.ceil(count * FRAME_S / log.scene_s)
    categories = sorted({track.category for track in log.tracks})
    return {
        "log": [(log.token(1, 0), log.location)],
        "lidar": [(log.token(2, 0), log.token(1, 0), "MergedPointCloud")],
        "category": [(log.token(4, i), name) for i, name in enumerate(categories)],
        "track": [
            (log.token(6, i), log.token(4, categories.index(track.category)))
            for i, track in enumerate(log.tracks)
        ],
        "scene": [
            (log.token(5, i), f"scene-{i:03d}", log.token(7, count - 1), log.route)
            for i in range(num_scenes)
        ],
        "ego_pose": [_ego_row(log, frame, time, draws) for frame, time in enumerate(times)],
        "lidar_pc": [
            (
                log.token(8, frame),
                log.token(8, frame + 1) if frame + 1 < count else None,
                log.token(8, frame - 1) if frame else None,
                log.token(7, frame),
                log.token(2, 0),
                log.token(5, int(times[frame] / log.scene_s)),
                f"{name}/{frame}.pcd",
                int(stamps[frame]),
            )
            for frame in range(count)
        ],
        "lidar_box": [
            _box_row(log, frame, float(time), number, track)
            for frame, time in enumerate(times)
            for number, track in reversed(list(enumerate(log.tracks)))
            if track.seen_s[0] <= time <= track.seen_s[1]
        ],
        "traffic_light_status": [
            (log.token(10, 3 * frame + i), log.token(8, frame), fid, _status(float(time), i))
            for frame, time in enumerate(times)
            for i, fid in enumerate((22, 21, 23))
        ],
        "scenario_tag": [
            (log.token(11, 10 * frame + i), log.token(8, frame), kind)
            for frame, kinds in log.tags.items()
            for i, kind in enumerate(kinds)
        ],
    }


def _ego_row(
    log: TinyLog, frame: int, time: float, draws: np.random.Generator
) -> tuple[object, ...]:
    speed = log.ego_speed_mps
    x, y = place(5.0 + speed * time, -5.25 + 0.2 * math.sin(time))
    yaw = 0.05 * math.sin(0.7 * time)
    # Pitch and roll make a quaternion of four parts, not quite normalised as in real logs
    half = 0.5 * np.array([draws.normal(0.0, 0.02), draws.normal(0.0, 0.02), yaw])
    q = np.array([1.0, *half]) * (1.0 + 1e-7 * draws.normal())
    motion = (speed, 0.1 * math.sin(time), 0.3 * math.cos(time), 0.02 * draws.normal())
    return log.token(7, frame), x, y, *q.tolist(), *motion


def _box_row(
    log: TinyLog, frame: int, time: float, number: int, track: TinyTrack
) -> tuple[object, ...]:
    way = track.speed_mps * time
    vx, vy = (track.speed_mps * c for c in (math.cos(track.yaw_rad), math.sin(track.yaw_rad)))
    x, y = place(
        track.x + way * math.cos(track.yaw_rad),
        track.y + way * math.sin(track.yaw_rad),
    )
    pose = (x, y, 0.5, track.yaw_rad)
    size = (track.size[1], track.size[0], 1.6)
    names = (log.token(9, 100 * frame + number), log.token(8, frame), log.token(6, number))
    return *names, *pose, *size, vx, vy


def _status(time: float, number: int) -> str:
    return ("green", "yellow", "red")[(int(time / 4.0) + number) % 3]


_SCHEMA = """
CREATE TABLE log (token BLOB PRIMARY KEY, map_version TEXT);
CREATE TABLE lidar (token BLOB PRIMARY KEY, log_token BLOB, channel TEXT);
CREATE TABLE category (token BLOB PRIMARY KEY, name TEXT);
CREATE TABLE track (token BLOB PRIMARY KEY, category_token BLOB);
CREATE TABLE scene (
    token BLOB PRIMARY KEY, name TEXT, goal_ego_pose_token BLOB, roadblock_ids TEXT);
CREATE TABLE ego_pose (
    token BLOB PRIMARY KEY, x FLOAT, y FLOAT, qw FLOAT, qx FLOAT, qy FLOAT, qz FLOAT,
    vx FLOAT, vy FLOAT, acceleration_x FLOAT, acceleration_y FLOAT);
CREATE TABLE lidar_pc (
    token BLOB PRIMARY KEY, next_token BLOB, prev_token BLOB, ego_pose_token BLOB,
    lidar_token BLOB, scene_token BLOB, filename TEXT, timestamp INTEGER);
CREATE TABLE lidar_box (
    token BLOB PRIMARY KEY, lidar_pc_token BLOB, track_token BLOB, x FLOAT, y FLOAT, z FLOAT,
    yaw FLOAT, width FLOAT, length FLOAT, height FLOAT, vx FLOAT, vy FLOAT);
CREATE TABLE traffic_light_status (
    token BLOB PRIMARY KEY, lidar_pc_token BLOB, lane_connector_id INTEGER, status TEXT);
CREATE TABLE scenario_tag (token BLOB PRIMARY KEY, lidar_pc_token BLOB, type TEXT);
CREATE INDEX box_frame ON lidar_box(lidar_pc_token);
CREATE INDEX light_frame ON traffic_light_status(lidar_pc_token);
"""
