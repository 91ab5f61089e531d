"""Scenarios out of a nuPlan log; frames, tracks and lights are those of `tiny_log`."""

from __future__ import annotations

import contextlib
import math
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.nuplan import log_candidates
from sim_adapters.nuplan.log_candidates import CandidateQuery, LogCandidates, find_candidates
from sim_adapters.nuplan.log_database import LogDatabase, LogError, ScenarioError
from sim_adapters.nuplan.log_reader import LogReader, read_scenarios
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_log import LoggedLight, ScenarioLog, TrackType
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping, ScenarioWindow, load_mapping
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import START_US, TRACKS, TinyLog, edit_log, write_log
from tests.nuplan.tiny_map import LOCATION

ANCHOR = 300  # frame of TinyLog's only tags, 15 s after its first
LogMaker = Callable[..., Path]
FRAME = "(SELECT token FROM lidar_pc ORDER BY timestamp LIMIT 1 OFFSET {})"


@pytest.fixture
def make_log(tmp_path: Path, tiny_log: Path) -> LogMaker:
    def make(*statements: str, log: TinyLog | None = None) -> Path:
        path = tmp_path / "a.db"
        if log is None:
            shutil.copy(tiny_log, path)
        else:
            write_log(path, log)
        return edit_log(path, *statements)

    return make


def candidates(path: Path, query: CandidateQuery | None = None) -> LogCandidates:
    with LogDatabase(path) as database:
        return find_candidates(database, query or CandidateQuery())


def tagged(path: Path, maps: MapBank | None = None) -> ScenarioLog:
    wanted = ScenarioFilter(scenario_types=("changing_lane", "near_multiple_vehicles"))
    (log,) = read_scenarios(path, wanted, maps)
    return log


def test_a_window_of_15_s_at_10_hz_holds_both_its_ends(make_log: LogMaker) -> None:
    log = tagged(make_log())
    assert log.num_frames == 151
    assert log.ego.time_us[0] == START_US + 12_000_000  # 3 s before the tagged frame
    assert log.ego.time_us[-1] == START_US + 27_000_000
    assert set(np.diff(log.ego.time_us)) == {100_000}
    assert (log.token, log.log_name) == (TinyLog().frame_token(ANCHOR), "a")


def test_a_first_frame_before_the_window_shifts_all_frames_by_one_row(make_log: LogMaker) -> None:
    first = FRAME.format(240)
    log = tagged(make_log(f"UPDATE lidar_pc SET timestamp = timestamp - 1 WHERE token = {first}"))
    assert log.num_frames == 150
    assert log.ego.time_us[0] == START_US + 12_050_000


def test_untagged_frames_are_unknown_and_last_20_s(make_log: LogMaker) -> None:
    path = make_log()
    found = candidates(path).candidates
    row = next(row for row in found if row.token == TinyLog().frame_token(201))
    assert row.scenario_type == "unknown"
    with LogDatabase(path) as database:
        log = LogReader(database).read(row)
    # From the frame itself to the log's end, 19.95 s later
    assert log.ego.time_us[0] == START_US + 10_050_000
    assert log.num_frames == 200


def test_scenarios_need_two_scenes_before_and_after_theirs(make_log: LogMaker) -> None:
    # Seven scenes of 5 s, the last holding the log's last frame only: scenes 2, 3, 4 remain
    found = candidates(make_log()).candidates
    numbers = [(row.time_us - START_US) // 50_000 for row in found]
    assert (min(numbers), max(numbers)) == (200, 499)


def test_scenes_are_ordered_by_name(make_log: LogMaker) -> None:
    path = make_log("UPDATE scene SET name = 'aaa' WHERE name = 'scene-003'")
    times = {(row.time_us - START_US) // 5_000_000 for row in candidates(path).candidates}
    assert times == {1, 2, 4}


def test_of_several_tags_the_alphabetically_last_is_taken(make_log: LogMaker) -> None:
    path = make_log()
    both = CandidateQuery(scenario_types=("changing_lane", "near_multiple_vehicles"))
    assert [row.scenario_type for row in candidates(path, both).candidates] == [
        "near_multiple_vehicles"
    ]
    one = CandidateQuery(scenario_types=("changing_lane",))
    assert [row.scenario_type for row in candidates(path, one).candidates] == ["changing_lane"]


def test_scenarios_without_a_goal_can_be_left_out(make_log: LogMaker) -> None:
    path = make_log("UPDATE scene SET goal_ego_pose_token = NULL WHERE name = 'scene-003'")
    query = CandidateQuery(needs_goal=True)
    scenes = {(row.time_us - START_US) // 5_000_000 for row in candidates(path, query).candidates}
    assert scenes == {2, 4}


@pytest.mark.parametrize("max_bound", [10_000, 1])
def test_refused_tokens_are_told_apart(
    max_bound: int, make_log: LogMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_candidates, "MAX_BOUND_TOKENS", max_bound)
    tiny = TinyLog()
    query = CandidateQuery(
        scenario_types=("changing_lane",),
        tokens=[tiny.frame_token(number) for number in (ANCHOR, 20, 210)] + ["00" * 8],
    )
    found = candidates(make_log(), query)
    assert [row.token for row in found.candidates] == [tiny.frame_token(ANCHOR)]
    assert "fewer than 2 scenes" in found.refused[tiny.frame_token(20)]
    assert "types, maps or goals" in found.refused[tiny.frame_token(210)]
    assert "00" * 8 not in found.refused


def test_more_tokens_than_sqlite_can_bind_are_found(make_log: LogMaker) -> None:
    path = make_log()
    others = [f"{number:016x}" for number in range(40_000)]
    found = candidates(path, CandidateQuery(tokens=[*others, TinyLog().frame_token(ANCHOR)]))
    assert [row.token for row in found.candidates] == [TinyLog().frame_token(ANCHOR)]


def test_heading_follows_the_devkits_rotation_order(make_log: LogMaker) -> None:
    # Roll of 0.2 and pitch of 0.1 rad: with yaw 0 the devkit reads atan2(-2 x y, 1 - 2 y y)
    x, y = math.sin(0.1), math.sin(0.05)
    w = math.sqrt(1.0 - x * x - y * y)
    path = make_log(f"UPDATE ego_pose SET qw = 2 * {w}, qx = 2 * {x}, qy = 2 * {y}, qz = 0.0")
    expected = math.atan2(-2.0 * x * y, 1.0 - 2.0 * y * y)
    np.testing.assert_allclose(tagged(path).ego.yaw_rad, expected, rtol=1e-12)


def test_past_and_future_go_on_in_steps_of_100_ms(make_log: LogMaker) -> None:
    log = tagged(make_log())
    assert len(log.past_ego.x) == 50
    assert log.past_ego.time_us[-1] == log.ego.time_us[0] - 100_000
    assert log.past_ego.time_us[0] == log.ego.time_us[0] - 5_000_000
    assert len(log.future_ego.x) == 30  # to the end of the log, 3 s after the window
    assert log.future_ego.time_us[0] == log.ego.time_us[-1] + 100_000


def test_boxes_are_sorted_by_type_and_then_as_stored(make_log: LogMaker) -> None:
    boxes = tagged(make_log()).boxes
    first = slice(boxes.first[0], boxes.first[1])  # 12 s: the bicycle has gone
    kinds = [TrackType.VEHICLE] * 2 + [TrackType.PEDESTRIAN]
    assert boxes.type[first].tolist() == [*kinds, TrackType.TRAFFIC_CONE, TrackType.BARRIER]
    # Tracks are stored last first: the long vehicle (9.8 m, track 1) before the car (track 0)
    assert boxes.length_m[first].tolist() == [9.8, 4.6, 0.6, 0.4, 2.0]


def test_tracks_appear_and_vanish(make_log: LogMaker) -> None:
    log = tagged(make_log())
    boxes, long_one = log.boxes, log.track_tokens.index("0600000000000001")
    frames = np.repeat(np.arange(log.num_frames), np.diff(boxes.first))
    assert frames[boxes.track == long_one].tolist() == list(range(81))  # until 20 s
    assert len(log.track_tokens) == 5


def test_static_objects_have_no_velocity(make_log: LogMaker) -> None:
    boxes = tagged(make_log()).boxes
    barrier, car = boxes.type == TrackType.BARRIER, boxes.length_m == 4.6
    assert not boxes.vx_mps[barrier].any()  # 0.5 m/s in the log
    assert set(boxes.vx_mps[car]) == {TRACKS[0].speed_mps}


def test_light_states_are_read_in_order_and_others_are_unknown(make_log: LogMaker) -> None:
    path = make_log("UPDATE traffic_light_status SET status = 'GREEN' WHERE status = 'green'")
    with LogDatabase(path) as database:
        reader = LogReader(database)
        query = CandidateQuery(tokens=(TinyLog().frame_token(ANCHOR),))
        log = reader.read(find_candidates(database, query).candidates[0])
    lights = log.lights
    rows = slice(lights.first[0], lights.first[1])
    assert lights.connector_fid[rows].tolist() == [22, 21, 23]
    states = [LoggedLight.UNKNOWN, LoggedLight.YELLOW, LoggedLight.RED]
    assert lights.state[rows].tolist() == states
    assert reader.notes["UNKNOWN light states"] == 151


def test_routes_are_corrected_on_the_map(make_log: LogMaker, tiny_maps: MapBank) -> None:
    log = tagged(make_log(log=TinyLog(route="31  2")), tiny_maps)
    assert log.route_fids == (31, 2)
    assert log.corrected_route_fids == (1, 31, 2)


def test_a_missing_route_is_empty(make_log: LogMaker, tiny_maps: MapBank) -> None:
    log = tagged(make_log("UPDATE scene SET roadblock_ids = NULL"), tiny_maps)
    assert log.route_fids == log.corrected_route_fids == ()


def test_nothing_is_unpickled_and_nothing_written(
    make_log: LogMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_log(
        "ALTER TABLE lidar ADD COLUMN translation BLOB",
        f"UPDATE lidar SET translation = x'{pickle.dumps(print).hex()}'",
    )
    before = path.read_bytes()
    path.chmod(0o444)
    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    tagged(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE lidar_box", "no table lidar_box"),
        ("ALTER TABLE ego_pose DROP COLUMN acceleration_x", "columns acceleration_x in table ego"),
        ("DELETE FROM lidar", "0 lidars named MergedPointCloud"),
        ("UPDATE category SET name = 'cow' WHERE name = 'barrier'", "category cow: known are"),
    ],
)
def test_an_unusable_log_says_why(statement: str, message: str, make_log: LogMaker) -> None:
    with pytest.raises(LogError, match=message):
        tagged(make_log(statement))


@pytest.mark.parametrize("share", [0.001, 0.4, 0.9])
def test_a_truncated_log_is_named(share: float, make_log: LogMaker) -> None:
    path = make_log()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(LogError, match=r"a\.db cannot be read .*: the file is damaged"):
        tagged(path)


@pytest.mark.parametrize("seed", range(12))
def test_a_log_with_random_bytes_is_read_or_refused(seed: int, make_log: LogMaker) -> None:
    path = make_log()
    draws = np.random.default_rng(seed)
    content = np.fromfile(path, np.uint8)
    places = draws.integers(len(content), size=draws.choice([1, 20, 300]))
    places[::2] %= 8192  # the schema's first pages above all
    content[places] = draws.integers(256, size=len(places))
    content.tofile(path)
    with contextlib.suppress(LogError, ScenarioError), LogDatabase(path) as database:
        reader = LogReader(database)
        query = CandidateQuery(tokens=(TinyLog().frame_token(ANCHOR),))
        for row in find_candidates(database, query).candidates:
            assert reader.read(row).num_frames > 1


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database at all " * 100)
    with pytest.raises(LogError, match="cannot be read"):
        LogDatabase(tmp_path / "a.db")
    with pytest.raises(LogError, match="does not exist"):
        LogDatabase(tmp_path / "b.db")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            f"UPDATE ego_pose SET x = NULL WHERE token = x'{'07' + 12 * '0' + 'f0'}'",
            "1 of its 231 ego poses lack a value",
        ),
        ("UPDATE ego_pose SET vx = 'fast'", "hold something that is no number"),
        ("UPDATE ego_pose SET qw = 0, qx = 0, qy = 0, qz = 0", "no orientation"),
        ("DELETE FROM ego_pose WHERE rowid % 7 = 0", "frames have no ego pose"),
        ("UPDATE lidar_box SET yaw = NULL WHERE rowid > 1900", "of its .* boxes lack a value"),
        ("UPDATE lidar_box SET vx = 9e999 WHERE rowid > 1900", "of its .* boxes lack a value"),
        ("UPDATE scene SET roadblock_ids = '1 None'", "'1 None', expected roadblock numbers"),
        ("UPDATE traffic_light_status SET lane_connector_id = NULL", "names no lane connector"),
        ("UPDATE lidar_box SET width = 0.0 WHERE rowid > 1900", "width of zero or below"),
        ("UPDATE lidar_box SET length = -4.6 WHERE rowid > 1900", "length or width of zero or be"),
        ("UPDATE lidar_box SET length = 1e300 WHERE rowid > 1900", "are larger than 200 m"),
        ("UPDATE lidar_box SET x = 1e300 WHERE rowid > 1900", "lie further than 10000 m from"),
        ("UPDATE lidar_box SET x = 0.0, y = 0.0 WHERE rowid > 1900", "lie further than 10000 m"),
        ("UPDATE lidar_box SET vx = -1e9 WHERE rowid > 1900", "are faster than 150 m/s"),
        ("UPDATE lidar_box SET yaw = 1e300 WHERE rowid > 1900", "a heading that is no angle"),
        ("UPDATE ego_pose SET vx = 1e300", "its ego is 1e\\+300 m/s fast, more than 150"),
        ("UPDATE ego_pose SET acceleration_y = -1e9", "its ego is 1e\\+09 m/s² in acceleration"),
        (
            f"UPDATE ego_pose SET x = x + 500 WHERE token = x'{'07' + 11 * '0' + '136'}'",
            "its ego jumps 5.* m in 0.1 s, 2 times in all",  # frame 310: there and back again
        ),
        ("UPDATE ego_pose SET token = x'07' WHERE rowid = 251", "1 of its frames have no ego pose"),
    ],
)
def test_an_unusable_scenario_says_why(statement: str, message: str, make_log: LogMaker) -> None:
    with pytest.raises(ScenarioError, match=message):
        tagged(make_log(statement))


def test_a_window_beyond_the_log_is_refused(make_log: LogMaker) -> None:
    late = ScenarioMapping(fallback=ScenarioWindow(offset_s=500.0), windows={})
    with pytest.raises(ScenarioError, match="holds 0 frames of its window"):
        read_scenarios(
            make_log(), ScenarioFilter(scenario_types=("changing_lane",)), None, mapping=late
        )


def test_boxes_without_tracks_vanish_and_are_counted(make_log: LogMaker) -> None:
    path = make_log("DELETE FROM track WHERE token = x'0600000000000000'")
    with LogDatabase(path) as database:
        reader = LogReader(database)
        query = CandidateQuery(tokens=(TinyLog().frame_token(ANCHOR),))
        log = reader.read(find_candidates(database, query).candidates[0])
        assert "0600000000000000" not in log.track_tokens
        assert reader.notes["boxes without a track or category"] == 151
        assert reader.count_oddities()["tracks without boxes"] == 0


def test_tracks_and_frames_without_boxes_are_counted(make_log: LogMaker) -> None:
    path = make_log("DELETE FROM lidar_box WHERE rowid > 100")
    with LogDatabase(path) as database:
        reader = LogReader(database)
        query = CandidateQuery(tokens=(TinyLog().frame_token(ANCHOR),))
        log = reader.read(find_candidates(database, query).candidates[0])
        assert len(log.boxes.x) == len(log.track_tokens) == 0
        assert log.boxes.first.tolist() == [0] * 152
        assert reader.notes["frames without boxes"] == 151
        assert reader.count_oddities()["tracks without boxes"] == 1  # the long vehicle's come later


def test_a_mapping_is_read_in_the_devkits_form(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(
        "_target_: nuplan.ScenarioMapping\nsubsample_ratio_override: 0.5\n"
        "scenario_map:\n  changing_lane: [20.0, -1.0]\n  stationary: [5, 0, 0.25]\n"
    )
    mapping = load_mapping(file)
    assert mapping.window("changing_lane") == ScenarioWindow(20.0, -1.0, 0.5)
    assert mapping.window("stationary").step == 4
    assert mapping.window("other") == ScenarioWindow(20.0, 0.0, 0.5)
    file.write_text("scenario_map: [1, 2]\n")
    with pytest.raises(ValueError, match="is no scenario mapping"):
        load_mapping(file)


def test_the_default_mapping_is_nuplans() -> None:
    mapping = ScenarioMapping()
    assert len(mapping.windows) == 73
    assert mapping.window("stationary_in_traffic") == ScenarioWindow(15.0, -3.0, 0.5)
    assert mapping.window("unknown") == ScenarioWindow(20.0, 0.0, 0.5)
    with pytest.raises(ValueError, match="subsample_ratio must be"):
        ScenarioWindow(subsample_ratio=0.4)


def test_the_map_name_is_the_location(make_log: LogMaker) -> None:
    path = make_log("UPDATE log SET map_version = 'us-nv-las-vegas-strip.gpkg'")
    assert tagged(path).map_name == LOCATION
