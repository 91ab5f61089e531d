"""`python -m sim_adapters.nuplan.export.picture log=FILE.db frame=600 output=DIR` draws a frame.

One PNG of a log over its map, read from the files as anybody's reader would: areas, lanes with
their centre lines, connectors by their light, the scene's route, all boxes, the ego and what tags
the log has near that time. `frame=100,600,1100` draws several, `size=80` [m] cuts closer.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio.raw
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sim_adapters.nuplan.bicycle import LENGTH_M, REAR_AXLE_TO_CENTRE_M, WIDTH_M
from sim_adapters.nuplan.export.map_files import map_path

_AREA_COLORS = {  # painted in this order
    "walkways": "#c9c5b8",
    "generic_drivable_areas": "#b3a08c",
    "carpark_areas": "#9d9dc4",
    "road_segments": "#8a8a8a",
    "intersections": "#7d7373",
    "crosswalks": "#d8d8d8",
}
_STOP_COLORS = {1: "red", 2: "white", 4: "orange"}  # stop sign, light, yield
_LIGHT_COLORS = {"green": "limegreen", "yellow": "gold", "red": "red", "unknown": "black"}
_BOX_COLORS = {
    "vehicle": "deepskyblue",
    "bicycle": "magenta",
    "pedestrian": "yellow",
    "traffic_cone": "orangered",
    "barrier": "saddlebrown",
    "czone_sign": "darkorange",
    "generic_object": "black",
}
_TAG_WINDOW_S = 1.0  # tags this near to the frame are named
_INCHES, _PIXELS_PER_INCH = 11.0, 100


class _Frame(NamedTuple):
    """What a log says about one moment."""

    location: str
    ego: tuple[float, float, float]  # rear axle x, y and yaw
    speed_mps: float
    route: set[int]
    boxes: list[tuple[str, float, float, float, float, float, float, float]]
    lights: dict[int, str]
    tags: list[str]


def draw_frame(log: Path, map_root: Path, frame: int, size_m: float) -> Figure:
    """Figure of one lidar frame of a log.

    Args:
        log: The .db file.
        map_root: Folder of the maps' index.
        frame: Counted from the log's begin.
        size_m: Side of the square around the ego.
    """
    moment = _read_frame(log, frame)
    x, y, yaw = moment.ego
    box = (x - size_m / 2.0, y - size_m / 2.0, x + size_m / 2.0, y + size_m / 2.0)
    figure = Figure(figsize=(_INCHES, _INCHES), dpi=_PIXELS_PER_INCH)
    axes = figure.add_axes((0.03, 0.03, 0.95, 0.93))
    axes.set_facecolor("#46603f")
    _draw_map(axes, map_path(map_root, moment.location), box, moment)
    for kind, *place in moment.boxes:
        _draw_box(axes, place[:5], place[5:], _BOX_COLORS[kind])
    center = (x + REAR_AXLE_TO_CENTRE_M * math.cos(yaw), y + REAR_AXLE_TO_CENTRE_M * math.sin(yaw))
    _draw_box(axes, (*center, yaw, LENGTH_M, WIDTH_M), (), "red")
    axes.set_aspect("equal")
    axes.set_xlim(box[0], box[2])
    axes.set_ylim(box[1], box[3])
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.set_title(
        f"{log.stem} frame {frame}: {moment.speed_mps:.1f} m/s  {', '.join(moment.tags)}"
    )
    return figure


def _read_frame(log: Path, frame: int) -> _Frame:
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT f.token, f.timestamp, e.x, e.y, e.qw, e.qz, e.vx, s.roadblock_ids,"
            " (SELECT map_version FROM log) FROM lidar_pc f JOIN ego_pose e"
            " ON e.token = f.ego_pose_token JOIN scene s ON s.token = f.scene_token"
            " ORDER BY f.timestamp LIMIT 1 OFFSET ?",
            (frame,),
        ).fetchall()
        if not rows:
            raise SystemExit(f"error: {log} has no frame {frame}")
        token, time_us, x, y, qw, qz, speed, route, location = rows[0]
        boxes = database.execute(
            "SELECT c.name, b.x, b.y, b.yaw, b.length, b.width, b.vx, b.vy FROM lidar_box b"
            " JOIN track t ON t.token = b.track_token JOIN category c"
            " ON c.token = t.category_token WHERE b.lidar_pc_token = ?",
            (token,),
        ).fetchall()
        lights = database.execute(
            "SELECT lane_connector_id, status FROM traffic_light_status WHERE lidar_pc_token = ?",
            (token,),
        ).fetchall()
        tags = database.execute(
            "SELECT t.type FROM scenario_tag t JOIN lidar_pc f ON f.token = t.lidar_pc_token"
            " WHERE abs(f.timestamp - ?) <= ?",
            (time_us, _TAG_WINDOW_S * 1e6),
        ).fetchall()
    return _Frame(
        location,
        (x, y, 2.0 * math.atan2(qz, qw)),
        speed,
        {int(fid) for fid in route.split()},
        boxes,
        dict(lights),
        sorted({row[0] for row in tags}),
    )


def _draw_map(
    axes: Axes, path: Path, box: tuple[float, float, float, float], moment: _Frame
) -> None:
    for name, color in _AREA_COLORS.items():
        _, shapes, _ = _layer(path, name, box)
        _fill(axes, shapes, color)
    for name in ("lane_groups_polygons", "lane_group_connectors"):
        fids, shapes, _ = _layer(path, name, box)
        on_route = [s for fid, s in zip(fids, shapes, strict=True) if int(fid) in moment.route]
        _fill(axes, on_route, "#7fa7d8", alpha=0.45)
    _, shapes, _ = _layer(path, "lanes_polygons", box)
    _outline(axes, [shapely.get_coordinates(s.exterior) for s in shapes], "white", 0.6)
    _, shapes, columns = _layer(path, "baseline_paths", box)
    lines = [shapely.get_coordinates(shape) for shape in shapes]
    colors = [
        "lightgrey" if np.isnan(fid) else _LIGHT_COLORS.get(moment.lights.get(int(fid), ""), "cyan")
        for fid in columns["lane_connector_fid"]
    ]
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=0.9))
    _, shapes, columns = _layer(path, "stop_polygons", box)
    for kind, shape in zip(columns["stop_polygon_type_fid"], shapes, strict=True):
        _fill(axes, [shape], _STOP_COLORS[int(kind)])


def _layer(
    path: Path, name: str, box: tuple[float, float, float, float]
) -> tuple[NDArray[Any], list[Any], dict[str, NDArray[Any]]]:
    """Feature ids, shapes and columns of what a layer has within the box."""
    meta, fids, geometry, fields = pyogrio.raw.read(
        str(path), layer=name, bbox=box, return_fids=True
    )
    columns = dict(zip(meta["fields"], fields, strict=True))
    return np.asarray(fids), list(shapely.from_wkb(np.asarray(geometry))), columns


def _fill(axes: Axes, shapes: Sequence[Any], color: str, alpha: float = 1.0) -> None:
    rings = [shapely.get_coordinates(shape.exterior) for shape in shapes]
    axes.add_collection(PolyCollection(rings, facecolors=color, edgecolors="none", alpha=alpha))


def _outline(axes: Axes, rings: list[NDArray[np.float64]], color: str, width: float) -> None:
    axes.add_collection(LineCollection(rings, colors=color, linewidths=width))


def _draw_box(axes: Axes, pose: Sequence[float], velocity: Sequence[float], color: str) -> None:
    x, y, yaw, length, width = pose
    along, left = (
        np.array([1, 1, -1, -1, 1, 1.2]) * length / 2,
        np.array([1, -1, -1, 1, 0, 0]) * width / 2,
    )
    corners = np.column_stack(
        [
            x + along * math.cos(yaw) - left * math.sin(yaw),
            y + along * math.sin(yaw) + left * math.cos(yaw),
        ]
    )
    axes.add_collection(
        PolyCollection([corners[:4]], facecolors=color, edgecolors="black", linewidths=0.6)
    )
    if velocity and math.hypot(*velocity) > 0.1:  # where it will be in a second
        end = x + velocity[0], y + velocity[1]
        axes.plot([x, end[0]], [y, end[1]], color=color, linewidth=1.2)


def main(arguments: Sequence[str]) -> None:
    """Draw the frames named on the command line."""
    options = {key: value for key, _, value in (text.partition("=") for text in arguments)}
    if "log" not in options or set(options) - {"log", "maps", "frame", "size", "output"}:
        raise SystemExit(
            "usage: python -m sim_adapters.nuplan.export.picture log=FILE.db [frame=N,N...] "
            "[size=METRES] [output=DIR] [maps=DIR]"
        )
    log = Path(options["log"])
    map_root = Path(options.get("maps", log.parent.parent / "maps"))
    output = Path(options.get("output", "."))
    output.mkdir(parents=True, exist_ok=True)
    for frame in options.get("frame", "0").split(","):
        figure = draw_frame(log, map_root, int(frame), float(options.get("size", 120.0)))
        path = output / f"{log.stem}_{int(frame):06d}.png"
        figure.savefig(path)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
