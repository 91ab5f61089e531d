import csv
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from evaluation.recording.episode import (
    NOTHING_SEEN,
    POSITION_STEP_M,
    YAW_STEP_RAD,
    find_tracks,
    frames_of,
    kept_features,
    pack_episode,
    unpack_episode,
)
from evaluation.recording.folder import EpisodeFolder, file_name, find_episodes, read_episode
from evaluation.view import write_table
from tests.evaluation.recording.drives import STEPS, small_drive


def test_an_episode_comes_back_within_its_steps():
    drive = small_drive()
    again = unpack_episode(pack_episode(drive))
    assert again.about == drive.about
    assert (again.step_s, again.num_steps) == (0.1, STEPS)
    for name in ("actor_id", "kind", "first_step", "num_steps", "lights"):
        np.testing.assert_array_equal(getattr(again.tracks, name), getattr(drive.tracks, name))
    assert np.abs(again.tracks.x - drive.tracks.x).max() <= POSITION_STEP_M / 2
    assert np.abs(np.sin((again.tracks.yaw_rad - drive.tracks.yaw_rad) / 2)).max() <= YAW_STEP_RAD
    np.testing.assert_array_equal(again.signals, drive.signals)
    np.testing.assert_array_equal(again.phases, drive.phases)
    np.testing.assert_allclose(again.driver["value"], drive.driver["value"], atol=0.005)
    np.testing.assert_allclose(again.terms["comfort"], drive.terms["comfort"], atol=0.0005)
    assert again.seen.names == drive.seen.names
    np.testing.assert_allclose(again.seen.values, drive.seen.values, atol=1 / 256)


def test_a_drive_by_rules_that_saw_no_vector_comes_back():
    again = unpack_episode(pack_episode(replace(small_drive(), seen=NOTHING_SEEN)))
    assert again.seen.names == ()
    assert again.num_steps == STEPS


def test_a_plan_comes_back():
    plan = np.cumsum(np.ones((STEPS, 5, 2)), axis=1)
    again = unpack_episode(pack_episode(replace(small_drive(), plan=plan)))
    np.testing.assert_allclose(again.plan, plan, atol=0.026)


def test_yaw_is_kept_where_it_jumps_by_a_turn():
    drive = small_drive()
    yaw = np.tile([3.14, -3.14], 50)  # 0.003 rad apart
    again = unpack_episode(pack_episode(replace(drive, tracks=drive.tracks._replace(yaw_rad=yaw))))
    assert np.abs(np.diff(again.tracks.yaw_rad[:STEPS])).max() < 0.01
    assert np.abs(np.sin((again.tracks.yaw_rad - yaw) / 2)).max() <= YAW_STEP_RAD


def test_ten_minutes_with_sixty_road_users_take_less_than_a_megabyte():
    # Everybody turns and changes speed all the time, at 10 Hz: more than any town does
    steps, others = 6000, 60
    random = np.random.default_rng(0)
    acceleration = np.repeat(random.normal(0.0, 1.0, (others, steps // 20)), 20, axis=1)
    speed = np.abs(8.0 + 0.1 * acceleration.cumsum(axis=1))
    turn = np.repeat(random.normal(0.0, 0.1, (others, steps // 50)), 50, axis=1)
    yaw = 0.1 * turn.cumsum(axis=1)
    drive = small_drive()
    moving = drive.tracks._replace(
        actor_id=np.arange(others),
        kind=np.ones(others, np.int64),
        half_length_m=np.full(others, 2.4),
        half_width_m=np.full(others, 0.9),
        first_step=np.zeros(others, np.int64),
        num_steps=np.full(others, steps),
        x=(0.1 * speed * np.cos(yaw)).cumsum(axis=1).ravel(),
        y=(0.1 * speed * np.sin(yaw)).cumsum(axis=1).ravel(),
        yaw_rad=yaw.ravel(),
        speed_mps=speed.ravel(),
        lights=(acceleration < -1.0).ravel().astype(np.int64),
    )
    empty = np.zeros((0, steps))
    whole = replace(
        drive, tracks=moving, driver={}, terms={}, phases=empty, signals=empty,
        seen=drive.seen._replace(values=np.tile(random.normal(size=(6, 1)), (1, steps))),
    )  # fmt: skip
    assert len(pack_episode(whole)) < 1_000_000


def test_presences_are_found_by_slot_and_time():
    # Slot 0: actor 4 all the time. Slot 1: 5, nobody, 6, then at once 7
    ids = np.array([[4, 5], [4, 0], [4, 6], [4, 6], [4, 7]])
    slot, first, count = find_tracks(ids)
    assert list(zip(slot, first, count, strict=True)) == [
        (0, 0, 5),
        (1, 0, 1),
        (1, 2, 2),
        (1, 4, 1),
    ]


def test_of_another_actor_only_its_place_is_kept():
    names = ["speed", "actor_0_present", "actor_0_forward", "actor_0_forward_speed", "lead_gap"]
    assert kept_features(names) == [0, 1, 2, 4]


def test_a_folder_gives_back_the_drive_of_a_route(tmp_path):
    folder = EpisodeFolder(tmp_path)
    folder.write(small_drive(route="../../etc/7"))
    folder.write(small_drive(route="8"))
    (odd, plain) = find_episodes(tmp_path)
    assert {odd.parent, plain.parent} == {tmp_path / "drives"}
    assert folder.read("../../etc/7", 0).about["route"] == "../../etc/7"
    assert file_name("a/b") != file_name("a_b") == "a_b"
    plain.write_bytes(plain.read_bytes()[:50])
    with pytest.raises(ValueError, match=rf"{plain.name}: no recorded episode, or a damaged one"):
        read_episode(plain)
    folder.clear()
    assert find_episodes(tmp_path) == []


def test_frames_show_who_was_near_with_what_was_known_by_then():
    class Maps:
        def map_index(self, town):
            return 3

    recording = frames_of(small_drive(), Maps())  # pyright: ignore[reportArgumentType]
    assert (recording.route_id, recording.map_index, len(recording.frames)) == ("7", 3, STEPS)
    early, late = recording.frames[5], recording.frames[29]
    assert len(early.actors) == 2  # the oncoming car comes in step 10
    np.testing.assert_allclose(late.actors[0], [29.0, 0.0, 0.0, 2.4, 0.9, 10.0])
    np.testing.assert_allclose(late.actors[1], [41.0, 3.5, np.pi, 2.3, 0.9, 10.0])
    assert [len(frame.infractions) for frame in recording.frames[28:30]] == [0, 1]
    assert late.terms == {"progress": 0.25, "comfort": 0.5}


def test_a_table_has_a_row_for_each_road_user_and_step(tmp_path):
    write_table(small_drive(), tmp_path / "drive.csv")
    with (tmp_path / "drive.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * STEPS + 20
    ego, pedestrian = rows[0], rows[1]
    assert (ego["time_s"], ego["is_ego"], ego["kind"], ego["reward_comfort"]) == (
        "0.1",
        "1",
        "car",
        "1",
    )
    assert (pedestrian["kind"], pedestrian["length_m"], pedestrian["reward"]) == (
        "pedestrian",
        "0.6",
        "",
    )
    assert [row["actor_id"] for row in rows if row["step"] == "10"] == ["5", "9", "6"]


def test_a_table_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a table ends with \.csv or \.parquet"):
        write_table(small_drive(), tmp_path / "drive.xlsx")
    if find_spec("pyarrow") is None:
        with pytest.raises(ValueError, match="pip install pyarrow"):
            write_table(small_drive(), tmp_path / "drive.parquet")
