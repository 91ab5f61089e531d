"""A tiny log on the tiny map, written to disk as nuPlan's .db file.

A drive along lane 12 at 20 Hz beside a handful of tracks that come and go.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.nuplan.tiny_map import LOCATION, place

FRAME_S = 0.05
START_US = 1_620_000_000_000_000


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
    names = (log.token(9, 1000 * frame + number), log.token(8, frame), log.token(6, number))
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
