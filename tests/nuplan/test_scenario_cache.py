"""The scenario cache: records, the command's work, its report, and what can go wrong."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from evaluation.val14.selection import select
from sim_adapters.nuplan.cache import make_cache
from sim_adapters.nuplan.log_reader import read_scenarios
from sim_adapters.nuplan.scenario_cache import build as cache_build
from sim_adapters.nuplan.scenario_cache import file as cache_file
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache, find_logs
from sim_adapters.nuplan.scenario_cache.file import CacheSize, open_cache
from sim_adapters.nuplan.scenario_cache.record import (
    ScenarioName,
    pack_scenario,
    read_header,
    unpack_scenario,
)
from sim_adapters.nuplan.scenario_cache.report import CacheReport
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_log import BoxLog, LightLog, ScenarioLog
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import TinyLog, edit_log, write_log

pytestmark = pytest.mark.usefixtures("own_map_cache")

LANE_CHANGES = ScenarioFilter(scenario_types=("changing_lane",))
FIRST = TinyLog(tags={220: ("changing_lane",), 300: ("changing_lane",)})
SECOND = TinyLog(tags={250: ("changing_lane",)}, seed=1)
Run = Callable[..., CacheReport]


@pytest.fixture(scope="module")
def two_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("logs")
    write_log(root / "first.db", FIRST)
    write_log(root / "second.db", SECOND)
    return root


@pytest.fixture
def run(two_logs: Path, tiny_map_root: Path, tmp_path: Path) -> Run:
    def build(
        wanted: ScenarioFilter = LANE_CHANGES, roots: tuple[Path, ...] = (two_logs,)
    ) -> CacheReport:
        return build_cache(CacheJob(roots, tiny_map_root, wanted, tmp_path / "cache"))

    return build


def assert_same(ours: ScenarioLog, theirs: ScenarioLog) -> None:
    for part in ("ego", "past_ego", "future_ego", "boxes", "lights"):
        for one, other in zip(getattr(ours, part), getattr(theirs, part), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    parts = ("ego", "past_ego", "future_ego", "boxes", "lights")
    emptied = dict.fromkeys(parts)
    assert replace(ours, **emptied) == replace(theirs, **emptied)


def name_of(log: ScenarioLog) -> ScenarioName:
    return ScenarioName(log.token, log.scenario_type, log.log_name, log.map_name)


def without_tracks(log: ScenarioLog) -> ScenarioLog:
    first = np.zeros(log.num_frames + 1, np.int32)
    boxes = BoxLog._make([first, *(column[:0] for column in log.boxes[1:])])
    lights = LightLog(first, log.lights.connector_fid[:0], log.lights.state[:0])
    return replace(log, boxes=boxes, lights=lights, track_tokens=(), route_fids=())


def with_growing_track(log: ScenarioLog) -> ScenarioLog:
    return replace(
        log, boxes=log.boxes._replace(width_m=log.boxes.width_m + np.arange(len(log.boxes.x)))
    )


def of_one_box_a_track(log: ScenarioLog) -> ScenarioLog:
    """Two frames with one box each, the tracks not in the order of their boxes."""
    first = np.minimum(np.arange(log.num_frames + 1), 2).astype(np.int32)
    boxes = BoxLog._make([first, *(column[:2] for column in log.boxes[1:])])
    boxes = boxes._replace(track=np.array([1, 0], np.int32))
    return replace(log, boxes=boxes, track_tokens=("aa", "bbcc"))


@pytest.mark.parametrize(
    "change", [replace, without_tracks, with_growing_track, of_one_box_a_track]
)
def test_a_record_gives_back_what_was_packed(
    change: Callable[[ScenarioLog], ScenarioLog], two_logs: Path, tiny_maps: MapBank
) -> None:
    for log in read_scenarios(two_logs / "first.db", LANE_CHANGES, tiny_maps):
        changed = change(log)
        record = bytearray(pack_scenario(changed))
        again = unpack_scenario(record, name_of(changed))
        assert_same(again, changed)
        assert all(column.flags.writeable and column.flags.aligned for column in again.boxes)


def test_bytes_that_are_no_record_are_refused(two_logs: Path) -> None:
    log = read_scenarios(two_logs / "second.db", LANE_CHANGES, None)[0]
    record = pack_scenario(log)
    for broken in (b"", b"\0" * 400, record[:-8], record[:200]):
        with pytest.raises(ValueError, match="record"):
            unpack_scenario(broken, name_of(log))


def test_the_cache_holds_what_the_logs_hold(
    run: Run, two_logs: Path, tmp_path: Path, tiny_maps: MapBank
) -> None:
    report = run()
    cache = open_cache(tmp_path / "cache")
    logs = [
        log
        for name in ("first", "second")
        for log in read_scenarios(two_logs / f"{name}.db", LANE_CHANGES, tiny_maps)
    ]
    assert len(cache) == len(logs) == report.num_cached == 3
    assert cache.tokens == tuple(sorted(log.token for log in logs))
    for log in logs:
        assert_same(cache.read(log.token), log)
    entry = cache.entries[SECOND.frame_token(250)]
    assert entry.num_frames == 151
    # 15 s at 4 m/s and a little more for the winding
    assert entry.human_path_m == pytest.approx(60.0, rel=0.01)
    assert cache.map_names == ("us-nv-las-vegas-strip",)


def test_a_finished_log_is_not_read_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run()
    shards = sorted((tmp_path / "cache" / "logs").iterdir())
    written = [shard.stat().st_mtime_ns for shard in shards]
    monkeypatch.setattr(cache_build, "write_shard", None)
    assert run().to_json() == first.to_json()
    assert [shard.stat().st_mtime_ns for shard in shards] == written


def test_a_stopped_run_goes_on_where_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, write = cache_build._read_log, cache_build.write_shard

    def stop_at_second(task: cache_build._ShardTask) -> str | None:
        if task.path.stem == "second":
            raise KeyboardInterrupt
        return work(task)

    monkeypatch.setattr(cache_build, "_read_log", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run()
    with pytest.raises(FileNotFoundError, match="an unfinished scenario cache"):
        open_cache(tmp_path / "cache")
    monkeypatch.setattr(cache_build, "_read_log", work)
    made: list[str] = []
    monkeypatch.setattr(
        cache_build,
        "write_shard",
        lambda path, name, *rest, **more: (made.append(name), write(path, name, *rest, **more)),
    )
    assert run().num_cached == 3
    assert made == ["second"]


def test_another_filter_or_a_changed_log_makes_its_shard_anew(
    run: Run, two_logs: Path, tmp_path: Path
) -> None:
    run()
    fewer = replace(LANE_CHANGES, limit_total_scenarios=1)
    assert run(fewer).num_cached == len(open_cache(tmp_path / "cache")) == 1
    os.utime(two_logs / "first.db")
    assert run().num_cached == len(open_cache(tmp_path / "cache")) == 3


def test_bad_logs_are_skipped_and_named(run: Run, two_logs: Path, tmp_path: Path) -> None:
    roots = tmp_path / "logs"
    roots.mkdir()
    for name in ("first", "second"):
        (roots / f"{name}.db").write_bytes((two_logs / f"{name}.db").read_bytes())
    content = (roots / "first.db").read_bytes()
    (roots / "first.db").write_bytes(content[: len(content) // 2])
    (roots / "empty.db").touch()
    report = run(roots=(roots,))
    assert report.num_cached == 1
    assert set(report.bad_logs) == {"first", "empty"}
    assert "cannot be read" in report.bad_logs["first"]
    assert "no table log" in report.bad_logs["empty"]
    assert "logs skipped: 2" in report.summary()


def test_a_log_that_turns_out_bad_while_it_is_read_is_skipped(
    run: Run, two_logs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "late.db"
    path.write_bytes((two_logs / "first.db").read_bytes())
    edit_log(path, "UPDATE category SET name = 'cow'")  # nobody looks at categories when scanning
    report = run(roots=(path, two_logs / "second.db"))
    assert report.num_cached == 1
    assert "category cow" in report.bad_logs["late"]
    lost = {FIRST.frame_token(220), FIRST.frame_token(300)}
    assert set(report.skipped) == lost
    assert all(reason.startswith("log late is bad: ") for reason in report.skipped.values())
    selection = select(open_cache(tmp_path / "cache"), ScenarioFilter())
    assert {name.token for name in selection.names} == {SECOND.frame_token(250)}
    assert selection.missing == report.skipped  # Val14 accounts for them by name


def test_unusable_scenarios_are_skipped_and_named(run: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.db", FIRST)
    # Frame 130 lies in the 5 s before the first scenario's window and not in the second's
    edit_log(path, f"UPDATE ego_pose SET vx = NULL WHERE token = x'{FIRST.token(7, 130).hex()}'")
    report = run(roots=(path,))
    assert report.skipped == {FIRST.frame_token(220): "1 of its 271 ego poses lack a value"}
    assert report.num_cached == 1
    assert "scenarios skipped: 1" in report.summary()


def test_tokens_that_no_log_gives_are_named_with_the_reason(run: Run) -> None:
    known, near_end, nowhere = SECOND.frame_token(250), FIRST.frame_token(3), "ab" * 8
    untagged = FIRST.frame_token(260)
    wanted = replace(LANE_CHANGES, scenario_tokens=(known, near_end, nowhere, untagged))
    report = run(wanted)
    assert report.num_cached == 1
    assert set(report.missing_tokens) == {near_end, nowhere, untagged}
    assert report.missing_tokens[nowhere] == "in none of the logs"
    assert "fewer than 2 scenes of log first" in report.missing_tokens[near_end]
    assert "exclude it" in report.missing_tokens[untagged]
    assert f"  {nowhere}: in none of the logs" in report.summary()


def test_a_token_that_an_unreadable_log_may_hold_is_named_as_such(
    run: Run, two_logs: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch()
    known, nowhere = SECOND.frame_token(250), FIRST.frame_token(220)
    wanted = replace(LANE_CHANGES, scenario_tokens=(known, nowhere))
    report = run(wanted, roots=(two_logs / "second.db", tmp_path / "empty.db"))
    expected = "in none of the logs that can be read; 1 cannot, see bad_logs"
    assert report.missing_tokens == {nowhere: expected}


def test_a_token_of_two_logs_is_cached_once(run: Run, two_logs: Path, tmp_path: Path) -> None:
    (tmp_path / "twin.db").write_bytes((two_logs / "second.db").read_bytes())
    report = run(roots=(two_logs / "second.db", tmp_path / "twin.db"))
    assert report.num_cached == 1
    (reason,) = report.skipped.values()
    assert "has the same token" in reason


def test_scenarios_without_route_and_standing_humans_are_named(run: Run, tmp_path: Path) -> None:
    lost = TinyLog(tags={220: ("changing_lane",)}, route="", seed=2)
    still = TinyLog(tags={220: ("changing_lane",)}, ego_speed_mps=0.0, seed=3)
    edit_log(
        write_log(tmp_path / "still.db", still),
        "UPDATE ego_pose SET x = 664050.0, y = 3996994.75, qx = 0, qy = 0, qz = 0",
    )
    report = run(roots=(write_log(tmp_path / "lost.db", lost), tmp_path / "still.db"))
    assert report.num_cached == 2  # Val14 holds such scenarios, too
    assert report.without_route == [lost.frame_token(220)]
    assert report.standing == [still.frame_token(220)]


def test_thresholds_on_the_ego_drop_scenarios_by_name(run: Run) -> None:
    report = run(replace(LANE_CHANGES, ego_displacement_minimum_m=1000.0))
    assert report.num_cached == 0
    assert len(report.thresholds) == 3


def test_oddities_are_counted(run: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.db", FIRST)
    edit_log(path, "UPDATE traffic_light_status SET status = '' WHERE rowid % 3 = 0")
    report = run(roots=(path,))
    assert report.notes["UNKNOWN light states"] == 2 * 151
    assert "302 UNKNOWN light states" in report.summary()


def test_a_map_that_cannot_be_used_ends_the_run(run: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.db", replace(FIRST, location="sg-one-north"))
    with pytest.raises(FileNotFoundError, match=r"asks for version 9.17.1964 of sg-one-north"):
        run(roots=(path,))


def test_logs_of_one_name_and_names_of_no_log_end_the_run(
    run: Run, two_logs: Path, tmp_path: Path
) -> None:
    (tmp_path / "first.db").write_bytes((two_logs / "first.db").read_bytes())
    with pytest.raises(ValueError, match=r"first.db have the same name"):
        run(roots=(two_logs, tmp_path / "first.db"))
    with pytest.raises(ValueError, match=r"none of the 2 logs .* the filter's log_names"):
        run(replace(LANE_CHANGES, log_names=("third",)))


def test_folders_without_logs_are_named(tmp_path: Path, two_logs: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no .db files; there are some in"):
        find_logs([two_logs.parent])
    with pytest.raises(FileNotFoundError, match=r"holds no .db files$"):
        find_logs([tmp_path / "missing"])
    assert find_logs([two_logs / "second.db"]) == [two_logs / "second.db"]


def test_the_command_reads_its_configuration(
    two_logs: Path, tiny_map_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "filter.yaml").write_text("scenario_types: [changing_lane]\n")
    overrides = [
        f"data_root=[{two_logs}/first.db,{two_logs}/second.db]",
        f"map_root={tiny_map_root}",
        f"filter={tmp_path}/filter.yaml",
        "+filter_changes.limit_total_scenarios=2",
        f"out={tmp_path}/cache",
        "num_workers=1",
    ]
    with initialize_config_module("configs", version_base="1.3"), caplog.at_level(logging.INFO):
        report = make_cache(compose("nuplan_cache", overrides))
        with pytest.raises(ValueError, match=r"data_root=..., out=... must be given"):
            make_cache(compose("nuplan_cache", overrides[1:4]))
    assert report.num_cached == len(open_cache(tmp_path / "cache")) == 2
    assert json.loads((tmp_path / "cache" / "report.json").read_text())["num_cached"] == 2
    assert "scanning logs: 2 done" in caplog.text


def test_a_folder_without_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no scenario cache"):
        open_cache(tmp_path)


def test_a_cache_of_another_version_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    monkeypatch.setattr(cache_file, "RECORD_VERSION", 99)
    with pytest.raises(ValueError, match="format version 2, this program reads 99"):
        open_cache(tmp_path / "cache")


def test_a_damaged_shard_is_named(run: Run, tmp_path: Path) -> None:
    run()
    cache = open_cache(tmp_path / "cache")
    shard = tmp_path / "cache" / "logs" / "second.scenarios"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cannot be read from .*second.scenarios"):
        cache.read(SECOND.frame_token(250))
    with pytest.raises(KeyError, match="is not among the 3"):
        cache.read("00")
    assert run().num_cached == 3  # the command mends it
    cache.read(SECOND.frame_token(250))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.999])
def test_a_changed_byte_of_a_record_is_noticed(share: float, run: Run, tmp_path: Path) -> None:
    run()
    cache = open_cache(tmp_path / "cache")
    token = SECOND.frame_token(250)
    entry = cache.entries[token]
    shard = tmp_path / "cache" / "logs" / "second.scenarios"
    content = bytearray(shard.read_bytes())
    content[entry.first_byte + int(share * entry.size)] ^= 0x10
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=r"second.scenarios \(bytes of its record have changed\)"):
        cache.read(token)


def test_changed_bytes_of_a_header_and_of_the_index_are_noticed(run: Run, tmp_path: Path) -> None:
    run()
    index, shard = (tmp_path / "cache" / name for name in ("index.json", "logs/first.scenarios"))
    content = bytearray(shard.read_bytes())
    content[content.index(b'"num_frames": 151') + 14] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="bytes of its header have changed"):
        read_header(shard)
    assert run().num_cached == 3  # the command makes that file anew
    read_header(shard)
    text = index.read_text()
    index.write_text(text.replace('"changing_lane", "us-nv', '"stationary", "us-nv', 1))
    with pytest.raises(ValueError, match="its list of scenarios has changed"):
        open_cache(tmp_path / "cache")
    for broken in ("", text[:-40], "[]", '{"format": "carl-planner nuPlan scenarios"}'):
        index.write_text(broken)
        with pytest.raises(ValueError, match=r"index.json cannot be used .* make the cache again"):
            open_cache(tmp_path / "cache")


def test_what_a_record_has_no_room_for_is_refused(two_logs: Path) -> None:
    log = read_scenarios(two_logs / "second.db", LANE_CHANGES, None)[0]
    long_token = replace(log, track_tokens=("ab" * 256, *log.track_tokens[1:]))
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        pack_scenario(long_token)
    count = 70_000
    first = np.minimum(np.arange(log.num_frames + 1), 1).astype(np.int32) * count
    lights = LightLog(first, np.arange(count, dtype=np.int64), np.zeros(count, np.uint8))
    with pytest.raises(ValueError, match="lights of more than 65536 connectors"):
        pack_scenario(replace(log, lights=lights))


def test_logs_of_an_unknown_location_are_named_and_cost_the_others_nothing(
    run: Run, two_logs: Path, tmp_path: Path
) -> None:
    path = write_log(tmp_path / "strange.db", replace(FIRST, location="us-xx-atlantis", seed=5))
    token = replace(FIRST, seed=5).frame_token(220)
    report = run(roots=(path, two_logs / "second.db"))
    assert report.num_cached == 1
    assert "'us-xx-atlantis' is not in nuplan-maps-v1.0.json" in report.bad_logs["strange"]
    assert "  strange: its location" in report.summary()
    wanted = replace(LANE_CHANGES, scenario_tokens=(token, SECOND.frame_token(250)))
    report = run(wanted, roots=(path, two_logs / "second.db"))
    assert "1 cannot, see bad_logs" in report.missing_tokens[token]


def test_what_a_filter_asks_for_in_vain_is_named_and_what_nobody_knows_refused(run: Run) -> None:
    wanted = replace(
        LANE_CHANGES,
        scenario_types=("changing_lane", "starting_u_turn"),
        log_names=("first", "third"),
        map_names=("us-nv-las-vegas-strip", "us-ma-boston"),
    )
    report = run(wanted)
    assert (report.num_cached, report.missing_logs) == (2, ["third"])
    assert (report.empty_types, report.empty_maps) == (["starting_u_turn"], ["us-ma-boston"])
    for line in ("  third", "  starting_u_turn", "  us-ma-boston"):
        assert line in report.summary().splitlines()
    with pytest.raises(ValueError, match=r"'chaning_lane' is no type .* mean changing_lane\?"):
        run(replace(wanted, scenario_types=("changing_lane", "chaning_lane")))
    with pytest.raises(ValueError, match="map_names of the filter holds 'us-ma-bostn', expected"):
        run(replace(wanted, map_names=("us-nv-las-vegas-strip", "us-ma-bostn")))


def test_a_log_s_own_types_may_be_asked_for(run: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "own.db", TinyLog(tags={220: ("my_own_type",)}, seed=7))
    assert run(ScenarioFilter(scenario_types=("my_own_type",)), roots=(path,)).num_cached == 1


def test_lights_that_nobody_sees_are_counted(run: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.db", FIRST)
    edit_log(path, "UPDATE traffic_light_status SET lane_connector_id = 99 WHERE rowid % 3 = 0")
    assert "302 light states of connectors that the map lacks" in run(roots=(path,)).summary()


def test_the_cache_knows_its_filter_and_what_its_scenarios_need(run: Run, tmp_path: Path) -> None:
    run(replace(LANE_CHANGES, name="my_split"))
    cache = open_cache(tmp_path / "cache")
    assert cache.filter_name == "my_split"
    # Frames; roadblocks 1, 31 and 2; six tracks at once until the bicycle goes after 9 s, without
    # which reactive traffic has two vehicles and three replayed things
    assert cache.size == CacheSize(151, 3, 6, 5)
