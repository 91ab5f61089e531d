"""Logs of strangers: frames out of order, egos off the map, files that ask for too much."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from sim_adapters import sqlite_file
from sim_adapters.nuplan.log_candidates import CandidateQuery, find_candidates
from sim_adapters.nuplan.log_database import LogDatabase, LogError, ScenarioError
from sim_adapters.nuplan.log_reader import LogReader, read_scenarios
from sim_adapters.nuplan.route_correction import RouteCorrector
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import START_US, TinyLog, edit_log
from tests.nuplan.tiny_map import LOCATION

ANCHOR = 300  # frame of TinyLog's only tags, 15 s after its first
LogMaker = Callable[..., Path]


@pytest.fixture
def make_log(tmp_path: Path, tiny_log: Path) -> LogMaker:
    def make(*statements: str) -> Path:
        path = tmp_path / "a.db"
        shutil.copy(tiny_log, path)
        return edit_log(path, *statements)

    return make


def tagged(path: Path, maps: MapBank | None = None) -> ScenarioLog:
    wanted = ScenarioFilter(scenario_types=("changing_lane", "near_multiple_vehicles"))
    (log,) = read_scenarios(path, wanted, maps)
    return log


def at(frame: int) -> str:
    """SQL of a frame's time stamp before any was changed."""
    return str(START_US + 50_000 * frame)


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        # Frame 310 is told to be before 305: its own next_token, 311, is no longer the next
        (
            [f"UPDATE lidar_pc SET timestamp = {at(305)} - 9 WHERE timestamp = {at(310)}"],
            "out of order: the frame after 0800.* by its next_token is not the next",
        ),
        # Two frames change places
        (
            [
                f"UPDATE lidar_pc SET timestamp = -1 WHERE timestamp = {at(310)}",
                f"UPDATE lidar_pc SET timestamp = {at(310)} WHERE timestamp = {at(311)}",
                f"UPDATE lidar_pc SET timestamp = {at(311)} WHERE timestamp = -1",
            ],
            "out of order",
        ),
        (
            [f"UPDATE lidar_pc SET timestamp = {at(311)} WHERE timestamp = {at(310)}"],
            "1 of its frames have another's time stamp",
        ),
        (
            [f"DELETE FROM lidar_pc WHERE timestamp BETWEEN {at(310)} AND {at(340)}"],
            "its log has a gap of 1.6 s in its window",
        ),
        (
            [f"UPDATE lidar_pc SET timestamp = {2**63 - 9} WHERE timestamp = {at(ANCHOR)}"],
            "time stamp is 9223372036854775799",
        ),
    ],
)
def test_frames_out_of_order_are_refused(
    statements: list[str], message: str, make_log: LogMaker
) -> None:
    with pytest.raises(ScenarioError, match=message):
        tagged(make_log(*statements))


def test_frames_out_of_order_show_by_their_poses_where_a_log_has_no_links(
    make_log: LogMaker,
) -> None:
    stamps = (
        "ALTER TABLE ego_pose ADD COLUMN timestamp INTEGER",
        "UPDATE ego_pose SET timestamp = (SELECT lidar_pc.timestamp + 3000 FROM lidar_pc "
        "WHERE lidar_pc.ego_pose_token = ego_pose.token)",
        "ALTER TABLE lidar_pc DROP COLUMN next_token",
    )
    assert tagged(make_log(*stamps)).num_frames == 151
    moved = f"UPDATE lidar_pc SET timestamp = {at(305)} - 9 WHERE timestamp = {at(310)}"
    with pytest.raises(ScenarioError, match="a frame comes before another whose ego pose is older"):
        tagged(make_log(*stamps, moved))


def test_an_ego_off_its_map_is_refused_and_lights_that_nobody_sees_are_counted(
    make_log: LogMaker, tiny_maps: MapBank
) -> None:
    with pytest.raises(ScenarioError, match=rf"its ego is 9\.\d+e\+05 m off the map of {LOCATION}"):
        tagged(make_log("UPDATE ego_pose SET x = x + 1e6"), tiny_maps)
    path = make_log("UPDATE traffic_light_status SET lane_connector_id = 999 WHERE rowid % 3 = 1")
    with LogDatabase(path) as database:
        reader = LogReader(database, corrector=RouteCorrector(tiny_maps))
        query = CandidateQuery(tokens=(TinyLog().frame_token(ANCHOR),))
        reader.read(find_candidates(database, query).candidates[0])
    assert reader.notes["light states of connectors that the map lacks (not shown)"] == 151


# A stranger's file -----------------------------------------------------------------------------


def test_a_view_in_a_table_s_place_is_refused_and_never_run(make_log: LogMaker) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = "x'00' AS token, 'a' AS map_version"
    path = make_log("DROP TABLE log", f"CREATE VIEW log AS {endless} SELECT {columns} FROM n")
    with pytest.raises(LogError, match="no table log"):
        tagged(path)


def test_a_query_ends_in_time(make_log: LogMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "QUERY_LIMIT_S", 0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with (
        LogDatabase(make_log()) as database,
        pytest.raises(LogError, match=r"a query takes longer than 0\.2 s"),
    ):
        database.rows(endless)


def test_an_answer_has_its_bounds(make_log: LogMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "MAX_ROWS", 5000)
    with (
        LogDatabase(make_log()) as database,
        pytest.raises(LogError, match="answers more than 5000 rows"),
    ):
        database.rows("SELECT track.token FROM track, lidar_pc, category")
    monkeypatch.setattr(sqlite_file, "MAX_ANSWER_BYTES", 9_000)
    with (
        LogDatabase(make_log()) as database,
        pytest.raises(LogError, match="or 9000 bytes"),
    ):
        database.rows("SELECT token, scene_token, filename FROM lidar_pc")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE scene SET roadblock_ids = zeroblob(60000000) WHERE rowid = 4",
        "UPDATE track SET category_token = zeroblob(100000) WHERE rowid = 1",
    ],
)
def test_a_value_that_no_log_holds_is_not_read(statement: str, make_log: LogMaker) -> None:
    path = make_log(statement)
    _, before = tracemalloc.start(), tracemalloc.get_traced_memory()[1]
    with pytest.raises(LogError, match="too big"):
        tagged(path)
    assert tracemalloc.get_traced_memory()[1] - before < 20_000_000
    tracemalloc.stop()


def test_a_log_in_wal_mode_gets_no_files_beside_it(make_log: LogMaker) -> None:
    path = make_log("PRAGMA journal_mode = WAL", "UPDATE log SET map_version = map_version")
    assert [file.name for file in path.parent.iterdir()] == ["a.db"]
    tagged(path)
    assert [file.name for file in path.parent.iterdir()] == ["a.db"]
    path.with_name("a.db-wal").write_bytes(b"changes")
    with pytest.raises(LogError, match=r"a\.db-wal beside it holds changes that it lacks"):
        tagged(path)


def test_tokens_that_others_name_are_unique(make_log: LogMaker) -> None:
    path = make_log(
        "CREATE TABLE other AS SELECT * FROM category",
        "DROP TABLE category",
        "ALTER TABLE other RENAME TO category",
        "INSERT INTO category SELECT * FROM category",
    )
    with pytest.raises(LogError, match=r"table category .* has 10 rows, but 5 tokens"):
        tagged(path)
