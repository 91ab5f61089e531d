"""Writes a recorded drive as a nuPlan log: one SQLite file."""

from __future__ import annotations

import hashlib
import math
import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.export.geopackage import (
    FIRST_CONNECTOR_FID,
    ORIGIN_X,
    ORIGIN_Y,
    PROJECTION,
)
from sim_adapters.nuplan.export.logged_world import STEP_S, Recording
from sim_adapters.nuplan.export.road_network import RoadNetwork
from sim_adapters.nuplan.export.scenario_tags import Tag
from sim_adapters.nuplan.export.scene_routes import Scene
from sim_adapters.scene.state import LightState

# Tables of a nuPlan log; columns and their order are nuPlan's.
#
# The indices are ours: without them every query of the devkit scans whole tables.

SCHEMA = """
CREATE TABLE log (token BLOB NOT NULL PRIMARY KEY, vehicle_name VARCHAR(64), date VARCHAR(64),
    timestamp INTEGER, logfile VARCHAR(64), location VARCHAR(64), map_version VARCHAR(64));
CREATE TABLE lidar (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, channel VARCHAR(64),
    model VARCHAR(64), translation BLOB, rotation BLOB);
CREATE TABLE camera (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, channel VARCHAR(64),
    model VARCHAR(64), translation BLOB, rotation BLOB, intrinsic BLOB, distortion BLOB,
    width INTEGER, height INTEGER);
CREATE TABLE image (token BLOB NOT NULL PRIMARY KEY, next_token BLOB, prev_token BLOB,
    ego_pose_token BLOB NOT NULL, camera_token BLOB NOT NULL, filename_jpg VARCHAR(128),
    timestamp INTEGER);
CREATE TABLE ego_pose (token BLOB NOT NULL PRIMARY KEY, timestamp INTEGER, x FLOAT, y FLOAT,
    z FLOAT, qw FLOAT, qx FLOAT, qy FLOAT, qz FLOAT, vx FLOAT, vy FLOAT, vz FLOAT,
    acceleration_x FLOAT, acceleration_y FLOAT, acceleration_z FLOAT, angular_rate_x FLOAT,
    angular_rate_y FLOAT, angular_rate_z FLOAT, epsg INTEGER, log_token BLOB NOT NULL);
CREATE TABLE scene (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, name TEXT,
    goal_ego_pose_token BLOB, roadblock_ids TEXT);
CREATE TABLE lidar_pc (token BLOB NOT NULL PRIMARY KEY, next_token BLOB, prev_token BLOB,
    ego_pose_token BLOB NOT NULL, lidar_token BLOB NOT NULL, scene_token BLOB,
    filename VARCHAR(128), timestamp INTEGER);
CREATE TABLE category (token BLOB NOT NULL PRIMARY KEY, name VARCHAR(64), description TEXT);
CREATE TABLE track (token BLOB NOT NULL PRIMARY KEY, category_token BLOB NOT NULL, width FLOAT,
    length FLOAT, height FLOAT);
CREATE TABLE lidar_box (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    track_token BLOB NOT NULL, next_token BLOB, prev_token BLOB, x FLOAT, y FLOAT, z FLOAT,
    width FLOAT, length FLOAT, height FLOAT, vx FLOAT, vy FLOAT, vz FLOAT, yaw FLOAT,
    confidence FLOAT);
CREATE TABLE scenario_tag (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    type TEXT, agent_track_token BLOB);
CREATE TABLE traffic_light_status (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    lane_connector_id INTEGER, status VARCHAR(8));
"""

INDICES = """
CREATE INDEX ix_lidar_box_lidar_pc ON lidar_box(lidar_pc_token);
CREATE INDEX ix_lidar_box_track ON lidar_box(track_token);
CREATE INDEX ix_light_lidar_pc ON traffic_light_status(lidar_pc_token);
CREATE INDEX ix_lidar_pc_timestamp ON lidar_pc(timestamp);
CREATE INDEX ix_lidar_pc_ego_pose ON lidar_pc(ego_pose_token);
CREATE INDEX ix_lidar_pc_scene ON lidar_pc(scene_token);
CREATE INDEX ix_scenario_tag_lidar_pc ON scenario_tag(lidar_pc_token);
"""

CATEGORIES = {  # name in the files by TrackType
    0: "vehicle",
    1: "pedestrian",
    2: "bicycle",
    3: "traffic_cone",
    4: "barrier",
    5: "czone_sign",
    6: "generic_object",
}


FIRST_TIME_US = 1_600_000_000_000_000  # of every log; the drives have no date
MAX_LEVEL_GAP_M = 4.0  # things further above or below the ego are out of sight
_STEP_US = round(STEP_S * 1e6)
_STATUS = {
    LightState.RED: "red",
    LightState.YELLOW: "yellow",
    LightState.GREEN: "green",
    LightState.OFF: "unknown",
}

Row = tuple[object, ...]


@dataclass(frozen=True)
class LogContent:
    """All that one log is made of."""

    name: str
    location: str
    recording: Recording
    network: RoadNetwork
    first_signal: int  # global index of the town's first light
    scenes: Sequence[Scene]
    tags: Sequence[Tag]
    sensor_range_m: float

    def token(self, kind: str, number: int) -> bytes:
        """8 bytes, the same in every run and different in every log."""
        text = f"{self.name}/{kind}/{number}"
        return hashlib.blake2b(text.encode(), digest_size=8).digest()


def write_log(path: Path, content: LogContent) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")  # needs no journal: a torn one is never renamed
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as database:
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        for table, rows in _tables(content):
            _insert(database, table, rows)
        database.executescript(INDICES)
        database.commit()
    partial.replace(path)


def visible_slots(recording: Recording, sensor_range_m: float) -> NDArray[np.bool_]:
    """Which slots hold a track that the ego's sensors see, (T, A); never the ego itself."""
    away = np.hypot(recording.x - recording.x[:, :1], recording.y - recording.y[:, :1])
    above = np.abs(recording.z - recording.z[:, :1])
    seen = (recording.actor_id > 0) & (away <= sensor_range_m) & (above <= MAX_LEVEL_GAP_M)
    seen[:, 0] = False
    return seen


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    rows = list(rows)
    if rows:
        places = ",".join("?" * len(rows[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def _tables(content: LogContent) -> Iterator[tuple[str, Iterable[Row]]]:
    """Rows of every table that has some; `camera` and `image` stay empty."""
    log, token = content.token("log", 0), content.token
    yield (
        "log",
        [(log, "embedded", "", FIRST_TIME_US, content.name, content.location, content.location)],
    )
    # The devkit unpickles these two; they hold nothing but floats
    translation, rotation = (pickle.dumps(v) for v in ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]))
    yield "lidar", [(token("lidar", 0), log, "MergedPointCloud", "none", translation, rotation)]
    yield "category", [(token("category", kind), name, "") for kind, name in CATEGORIES.items()]
    yield "ego_pose", _ego_poses(content)
    yield "scene", _scenes(content)
    yield "lidar_pc", _frames(content)
    boxes = np.argwhere(visible_slots(content.recording, content.sensor_range_m))
    yield "track", _tracks(content, boxes)
    yield "lidar_box", _boxes(content, boxes)
    yield "traffic_light_status", _lights(content)
    yield (
        "scenario_tag",
        [
            (token("scenario_tag", row), token("lidar_pc", tag.frame), tag.type, None)
            for row, tag in enumerate(content.tags)
        ],
    )


def _frames(content: LogContent) -> Iterator[Row]:
    token, lidar, last = content.token, content.token("lidar", 0), content.recording.num_frames - 1
    for number, scene in enumerate(content.scenes):
        scene_token = token("scene", number)
        for frame in range(scene.first, scene.last):
            yield (
                token("lidar_pc", frame),
                token("lidar_pc", frame + 1) if frame < last else None,
                token("lidar_pc", frame - 1) if frame > 0 else None,
                token("ego_pose", frame),
                lidar,
                scene_token,
                f"{content.name}/{frame:06d}.pcd",
                FIRST_TIME_US + frame * _STEP_US,
            )


def _scenes(content: LogContent) -> Iterator[Row]:
    token = content.token
    for number, scene in enumerate(content.scenes):
        route = " ".join(str(fid) for fid in scene.roadblock_fids)
        goal = token("ego_pose", scene.goal)
        yield token("scene", number), token("log", 0), f"scene-{number:04d}", goal, route


def _ego_poses(content: LogContent) -> Iterator[Row]:
    """The rear axle; velocity and acceleration in the ego's frame."""
    r, log, epsg = content.recording, content.token("log", 0), int(PROJECTION.split(":")[1])
    yaw = r.yaw_rad[:, 0]
    cos_yaw, sin_yaw = np.cos(yaw), np.sin(yaw)
    x = ORIGIN_X + r.x[:, 0] - REAR_AXLE_TO_CENTRE_M * cos_yaw
    y = ORIGIN_Y + r.y[:, 0] - REAR_AXLE_TO_CENTRE_M * sin_yaw
    velocity = _turned(r.vx_mps[:, 0], r.vy_mps[:, 0], cos_yaw, sin_yaw)
    acceleration = _turned(r.ego_ax_mps2, r.ego_ay_mps2, cos_yaw, sin_yaw)
    columns = (x, y, r.z[:, 0], *velocity, *acceleration, yaw, r.ego_yaw_rate_radps)
    for frame, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        x_m, y_m, z_m, vx, vy, ax, ay, heading, rate = values
        yield (
            *(content.token("ego_pose", frame), FIRST_TIME_US + frame * _STEP_US, x_m, y_m, z_m),
            *(math.cos(heading / 2.0), 0.0, 0.0, math.sin(heading / 2.0)),
            *(vx, vy, 0.0, ax, ay, 0.0, 0.0, 0.0, rate, epsg, log),
        )


def _turned(
    x: NDArray[np.float64], y: NDArray[np.float64], cos_yaw: NDArray[np.float64],
    sin_yaw: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """World vectors in the ego's frame: forward, left."""
    return x * cos_yaw + y * sin_yaw, y * cos_yaw - x * sin_yaw


def _tracks(content: LogContent, boxes: NDArray[np.int64]) -> Iterator[Row]:
    """One row for each actor ever seen, in order of appearance."""
    r = content.recording
    actors = r.actor_id[boxes[:, 0], boxes[:, 1]]
    _, first = np.unique(actors, return_index=True)
    for frame, slot in boxes[np.sort(first)]:
        yield (
            content.token("track", int(r.actor_id[frame, slot])),
            content.token("category", int(r.type[frame, slot])),
            2.0 * float(r.half_width_m[frame, slot]),
            2.0 * float(r.half_length_m[frame, slot]),
            2.0 * float(r.half_height_m[frame, slot]),
        )


def _boxes(content: LogContent, boxes: NDArray[np.int64]) -> Iterator[Row]:
    """Boxes of all frames, within a frame by slot; next and previous are of the same track."""
    r, rows = content.recording, (boxes[:, 0], boxes[:, 1])
    actor = r.actor_id[rows]
    order = np.argsort(actor, kind="stable")
    same = actor[order][1:] == actor[order][:-1]
    following, previous = np.full(len(boxes), -1), np.full(len(boxes), -1)
    following[order[:-1][same]], previous[order[1:][same]] = order[1:][same], order[:-1][same]
    half_height = r.half_height_m[rows]
    columns = (
        *(boxes[:, 0], actor, following, previous),
        *(ORIGIN_X + r.x[rows], ORIGIN_Y + r.y[rows], r.z[rows] + half_height),
        *(2.0 * r.half_width_m[rows], 2.0 * r.half_length_m[rows], 2.0 * half_height),
        *(r.vx_mps[rows], r.vy_mps[rows], r.yaw_rad[rows]),
    )
    tokens = [content.token("lidar_box", row) for row in range(len(boxes))]
    frames = [content.token("lidar_pc", frame) for frame in range(r.num_frames)]
    tracks = {int(value): content.token("track", int(value)) for value in np.unique(actor)}
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        frame, track, after, before, *place_and_size, vx, vy, yaw = values
        yield (
            *(tokens[row], frames[frame], tracks[track]),
            *(tokens[after] if after >= 0 else None, tokens[before] if before >= 0 else None),
            *(*place_and_size, vx, vy, 0.0, yaw, 1.0),
        )


def _lights(content: LogContent) -> Iterator[Row]:
    """One row for each frame and connector that a light governs."""
    governed = [
        (FIRST_CONNECTOR_FID + row, connector.signal - content.first_signal)
        for row, connector in enumerate(content.network.connectors)
        if connector.signal >= 0
    ]
    number = 0
    for frame, states in enumerate(content.recording.lights):
        frame_token = content.token("lidar_pc", frame)
        for fid, light in governed:
            status = _STATUS[LightState(int(states[light]))]
            yield content.token("traffic_light_status", number), frame_token, fid, status
            number += 1
