from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import yaml

from sim_adapters.nuplan.export.data_set import (
    ExportedDrive,
    make_data_set,
    make_log,
    tagged_frames,
    write_filter,
)
from sim_adapters.nuplan.export.geopackage import FIRST_CONNECTOR_FID, ORIGIN_X, ORIGIN_Y
from sim_adapters.nuplan.export.map_files import DEVKIT_LOCATIONS, map_path
from sim_adapters.nuplan.export.picture import draw_frame
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.state import LightState
from tests.nuplan.exported_set import (
    LOCATION,
    TOWN,
    ExportedSet,
    export_settings,
    export_small_set,
)

FRAME = 333  # any

COLUMNS = {  # what the devkit reads of each table
    "log": "token map_version",
    "lidar": "token log_token channel translation rotation",
    "lidar_pc": "token next_token prev_token ego_pose_token lidar_token scene_token filename "
    "timestamp",
    "ego_pose": "token x y qw qx qy qz vx vy acceleration_x acceleration_y",
    "scene": "token name goal_ego_pose_token roadblock_ids",
    "scenario_tag": "lidar_pc_token type",
    "category": "token name",
    "track": "token category_token",
    "lidar_box": "token lidar_pc_token track_token x y z yaw width length height vx vy",
    "traffic_light_status": "lidar_pc_token lane_connector_id status",
    "camera": "token channel",
    "image": "token camera_token",
}
LAYERS = {
    "lanes_polygons": "lane_fid lane_group_fid lane_index speed_limit_mps left_boundary_fid "
    "right_boundary_fid",
    "lane_groups_polygons": "",
    "lane_connectors": "exit_lane_fid entry_lane_fid lane_group_connector_fid speed_limit_mps "
    "traffic_light_stop_line_fids",
    "gen_lane_connectors_scaled_width_polygons": "lane_connector_fid left_boundary_fid "
    "right_boundary_fid",
    "lane_group_connectors": "from_lane_group_fid to_lane_group_fid intersection_fid",
    "baseline_paths": "lane_fid lane_connector_fid",
    "boundaries": "",
    "stop_polygons": "stop_polygon_type_fid",
    "intersections": "intersection_type_fid",
    "road_segments": "",
    "generic_drivable_areas": "",
    "carpark_areas": "",
    "crosswalks": "",
    "walkways": "",
    "meta": "key value",
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedSet:
    return export_small_set(tmp_path_factory.mktemp("exported"))


@pytest.fixture
def database(exported: ExportedSet) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(exported.log)) as connection:
        yield connection


def frame_token(database: sqlite3.Connection, frame: int) -> bytes:
    return database.execute(
        "SELECT token FROM lidar_pc ORDER BY timestamp LIMIT 1 OFFSET ?", (frame,)
    ).fetchone()[0]


def test_tables_and_layers_have_every_column_that_the_devkit_reads(
    exported: ExportedSet, database: sqlite3.Connection
) -> None:
    for table, names in COLUMNS.items():
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        assert set(names.split()) <= columns
    path = map_path(exported.root / "maps", LOCATION)
    assert {name for name, _ in pyogrio.list_layers(path)} == set(LAYERS)
    for layer, names in LAYERS.items():
        assert set(names.split()) <= set(pyogrio.read_info(path, layer=layer)["fields"])
    index = yaml.safe_load((exported.root / "maps" / "nuplan-maps-v1.0.json").read_text())
    assert set(index) == {LOCATION, *DEVKIT_LOCATIONS}


def test_boxes_are_what_the_embedded_world_held(
    exported: ExportedSet, database: sqlite3.Connection
) -> None:
    r = exported.recording
    boxes = database.execute(
        "SELECT b.x, b.y, b.yaw, b.vx, b.vy, b.length, b.width, b.height, c.name "
        "FROM lidar_box b JOIN track t ON t.token = b.track_token "
        "JOIN category c ON c.token = t.category_token WHERE b.lidar_pc_token = ?",
        (frame_token(database, FRAME),),
    ).fetchall()
    away = np.hypot(r.x[FRAME] - r.x[FRAME, 0], r.y[FRAME] - r.y[FRAME, 0])
    slots = [s for s in range(1, r.x.shape[1]) if r.actor_id[FRAME, s] and away[s] <= 60.0]
    assert len(boxes) == len(slots) > 20
    for slot, (x, y, yaw, vx, vy, length, width, height, name) in zip(slots, boxes, strict=True):
        assert (x - ORIGIN_X, y - ORIGIN_Y) == pytest.approx(
            (r.x[FRAME, slot], r.y[FRAME, slot]), abs=1e-8
        )
        assert (yaw, vx, vy) == (
            r.yaw_rad[FRAME, slot],
            r.vx_mps[FRAME, slot],
            r.vy_mps[FRAME, slot],
        )
        assert (length, width, height) == (
            2.0 * r.half_length_m[FRAME, slot],
            2.0 * r.half_width_m[FRAME, slot],
            2.0 * r.half_height_m[FRAME, slot],
        )
        assert name == TrackType(int(r.type[FRAME, slot])).name.lower()


def test_ego_pose_is_the_pacificas_rear_axle_with_motion_in_its_own_frame(
    exported: ExportedSet, database: sqlite3.Connection
) -> None:
    r = exported.recording
    rows = database.execute(
        "SELECT x, y, qw, qz, vx, vy FROM ego_pose ORDER BY timestamp"
    ).fetchall()
    x, y, qw, qz, vx, vy = np.array(rows).T
    yaw = 2.0 * np.arctan2(qz, qw)
    # The box centre is 1.461 m ahead of the axle
    np.testing.assert_allclose(x - ORIGIN_X + 1.461 * np.cos(yaw), r.x[:, 0], atol=1e-8)
    np.testing.assert_allclose(y - ORIGIN_Y + 1.461 * np.sin(yaw), r.y[:, 0], atol=1e-8)
    np.testing.assert_allclose(vx * np.cos(yaw) - vy * np.sin(yaw), r.vx_mps[:, 0], atol=1e-9)
    assert np.abs(vy).max() < 1e-9  # the embedded car moves where it points
    assert vx.max() > 3.0
    # Positions move as the speeds say: 20 frames a second
    steps = np.hypot(np.diff(x), np.diff(y)) / 0.05
    assert np.median(np.abs(steps - 0.5 * (vx[1:] + vx[:-1]))) < 0.02


def test_lights_of_each_frame_are_those_of_the_world(
    exported: ExportedSet, database: sqlite3.Connection
) -> None:
    names = {LightState.RED: "red", LightState.YELLOW: "yellow", LightState.GREEN: "green"}
    for frame in (0, FRAME):
        rows = database.execute(
            "SELECT lane_connector_id, status FROM traffic_light_status WHERE lidar_pc_token = ?",
            (frame_token(database, frame),),
        ).fetchall()
        assert len(rows) == 48  # all ways of Town02's eight crossings have lights
        for fid, status in rows:
            signal = exported.network.connectors[fid - FIRST_CONNECTOR_FID].signal
            state = LightState(int(exported.recording.lights[frame, signal]))
            assert status == names[state]


def test_tracks_come_and_go_with_the_sensors_range(database: sqlite3.Connection) -> None:
    lives = database.execute(
        "SELECT min(f.timestamp), max(f.timestamp) FROM lidar_box b "
        "JOIN lidar_pc f ON f.token = b.lidar_pc_token GROUP BY b.track_token"
    ).fetchall()
    first, last = database.execute("SELECT min(timestamp), max(timestamp) FROM lidar_pc").fetchone()
    assert sum(begin > first for begin, _ in lives) > 5
    assert sum(end < last for _, end in lives) > 5
    furthest = database.execute(
        "SELECT max((b.x - e.x) * (b.x - e.x) + (b.y - e.y) * (b.y - e.y)) FROM lidar_box b "
        "JOIN lidar_pc f ON f.token = b.lidar_pc_token "
        "JOIN ego_pose e ON e.token = f.ego_pose_token"
    ).fetchone()[0]
    assert 50.0**2 < furthest < (60.0 + 1.461) ** 2


def test_every_kind_of_track_occurs(database: sqlite3.Connection) -> None:
    found = database.execute(
        "SELECT DISTINCT c.name FROM track t JOIN category c ON c.token = t.category_token"
    ).fetchall()
    assert {row[0] for row in found} == {kind.name.lower() for kind in TrackType}


def test_frames_are_linked_in_time_and_scenes_have_routes_and_goals(
    database: sqlite3.Connection,
) -> None:
    frames = database.execute(
        "SELECT token, prev_token, next_token, timestamp, scene_token FROM lidar_pc "
        "ORDER BY timestamp"
    ).fetchall()
    assert len(frames) == 42 * 20
    assert [row[1] for row in frames[1:]] == [row[0] for row in frames[:-1]]
    assert [row[2] for row in frames[:-1]] == [row[0] for row in frames[1:]]
    assert {b[3] - a[3] for a, b in itertools.pairwise(frames)} == {50_000}
    scenes = database.execute(
        "SELECT s.token, s.roadblock_ids, e.x FROM scene s "
        "JOIN ego_pose e ON e.token = s.goal_ego_pose_token ORDER BY s.name"
    ).fetchall()
    assert len(scenes) == 6  # 42 s in scenes of 8 s
    assert list(dict.fromkeys(row[4] for row in frames)) == [row[0] for row in scenes]
    assert all(len(row[1].split()) >= 2 for row in scenes)


def test_same_settings_give_the_same_files_and_another_seed_others(
    exported: ExportedSet, tmp_path: Path
) -> None:
    (again,) = make_data_set(tmp_path / "again", [TOWN], 1, export_settings())
    assert again.path.read_bytes() == exported.log.read_bytes()
    first, second = (
        map_path(root / "maps", LOCATION) for root in (exported.root, tmp_path / "again")
    )
    assert second.read_bytes() == first.read_bytes()
    other = make_log(
        ExportedDrive(TOWN, 0), out=tmp_path / "other", settings=export_settings(seed=4)
    )
    assert other.path.read_bytes() != exported.log.read_bytes()


def test_a_second_export_keeps_what_is_there_and_refuses_other_settings(
    exported: ExportedSet,
) -> None:
    before = exported.log.stat().st_mtime_ns
    (made,) = make_data_set(exported.root, [TOWN], 1, export_settings())
    assert not made.is_new
    assert exported.log.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="other drive_s, seed"):
        list(make_data_set(exported.root, [TOWN], 1, export_settings(seed=5, drive_s=60.0)))


def test_filter_names_tagged_frames_of_inner_scenes_only(
    exported: ExportedSet, database: sqlite3.Connection, tmp_path: Path
) -> None:
    # Tag one frame in each of the six scenes; only scenes 2 and 3 have two on both sides
    log = tmp_path / "tagged.db"
    log.write_bytes(exported.log.read_bytes())
    tokens = [frame_token(database, frame) for frame in (10, 200, 400, 500, 700, 830)]
    with closing(sqlite3.connect(log)) as copy:
        copy.execute("DELETE FROM scenario_tag")
        for number, token in enumerate(tokens):
            rows = [(b"%08d" % number, token, "changing_lane", None)]
            if number == 3:  # the alphabetically last tag of a frame is its type
                rows.append((b"x", token, "stopping_with_lead", None))
            copy.executemany("INSERT INTO scenario_tag VALUES (?, ?, ?, ?)", rows)
        copy.commit()
    assert tagged_frames(log) == [
        (tokens[2].hex(), "changing_lane"),
        (tokens[3].hex(), "stopping_with_lead"),
    ]
    assert write_filter(tmp_path / "filter.yaml", [log], max_per_type=None) == 2
    written = yaml.safe_load((tmp_path / "filter.yaml").read_text())
    assert set(written["scenario_tokens"]) == {tokens[2].hex(), tokens[3].hex()}
    assert written["scenario_types"] == ["stopping_with_lead", "changing_lane"]


def test_short_drives_are_refused() -> None:
    with pytest.raises(ValueError, match="raise drive_s"):
        export_settings(drive_s=40.0)


def test_a_frame_can_be_drawn(exported: ExportedSet) -> None:
    figure = draw_frame(exported.log, exported.root / "maps", FRAME, 80.0)
    (axes,) = figure.axes
    num_boxes = exported.recording.actor_id[FRAME].astype(bool).sum()
    assert len(axes.collections) > num_boxes / 2
    assert "frame 333" in axes.get_title()
