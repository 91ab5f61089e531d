"""Two judgements of the same ticks: ours on a drive worked by hand, and what a comparison shows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluation.leaderboard_agent.tick_recording import (
    CriteriaEvent,
    CriteriaLog,
    StopLineRow,
    TickRecorder,
    TickRecording,
    read_recording,
)
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.official_report import skipped_scenarios
from evaluation.leaderboard_jobs.second_opinion import OfficialTests, judge_recording
from evaluation.leaderboard_parity import compare_route, infraction_differences
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeRecord, Infraction, InfractionKind
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.scene.events.arrays import EventArrays
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import empty_memory
from sim_adapters.scene.state import ActorKind, LightState, empty_scene
from tests.evaluation.leaderboard.official_records import COLLISION, SLOW, make_record

TICK_S, SPEED_MPS = 0.05, 10.0
EAST, OVER_THE_JUNCTION = (5.0, 65.0), (-55.0, 45.0)  # from x to x [m]
CROSSING_FILE = Path(__file__).parents[2] / "data" / "crossing.xodr"


@pytest.fixture(scope="module")
def crossing() -> MapBank:
    return load_map_bank([str(CROSSING_FILE)])


def plan_east(maps: MapBank, start_x: float, end_x: float) -> np.ndarray:
    """The eastbound lane's points as an evaluator's plan, (P, 4)."""
    route = Router(maps).trace("crossing", np.array([[start_x, -1.75, 0.0], [end_x, -1.75, 0.0]]))
    return np.column_stack([route.x, route.y, route.z, route.yaw_rad])


def record_drive(
    maps: MapBank,
    tmp_path: Path,
    *,
    seconds: float,
    hit_at_s: float = np.inf,
    lights=LightState.OFF,
    stops_at_s: float = np.inf,
    from_to_x: tuple[float, float] = EAST,
    left_m: float = 0.0,
    said: Sequence[tuple[int, CriteriaEvent, int]] = (),
    stop_lines: Sequence[StopLineRow] = (),
) -> TickRecording:
    """10 m/s along the plan beside a parked car in slot 1; traffic drives at 20 m/s."""
    plan = plan_east(maps, *from_to_x)
    scene = empty_scene(1, 4, num_lights=maps.max_lights, num_route_points=len(plan), step_s=TICK_S)
    traits, motion = scene.traits, scene.motion
    traits.valid[0, :2], traits.actor_id[0, :2] = True, [7, 77]
    traits.kind[0, :2] = ActorKind.CAR
    traits.half_length_m[0, :2], traits.half_width_m[0, :2] = 2.4, 1.0
    scene.lights.state[0] = lights
    scene.ego.speed_limit_mps[0] = 10.0
    recorder = TickRecorder(str(CROSSING_FILE), plan)
    for tick in range(int(seconds / TICK_S)):
        time_s = tick * TICK_S
        driven_m = SPEED_MPS * min(time_s, stops_at_s)
        motion.x[0, 0], motion.y[0, 0] = plan[0, 0] + driven_m, plan[0, 1] + left_m
        motion.vx_mps[0, 0] = SPEED_MPS if time_s < stops_at_s else 0.0
        motion.x[0, 1], motion.y[0, 1] = 40.0, 30.0
        scene.contacts.other_slot[0] = -1
        if abs(time_s - hit_at_s) < 0.5 * TICK_S:
            scene.contacts.other_slot[0, 0] = 1
        scene.clocks.elapsed_s[0] = time_s
        recorder.add(scene, 20.0, light_states=[lights])
    events = np.array([(tick, int(event), number) for tick, event, number in said], np.int64)
    recorder.save(
        tmp_path / "ticks.npz",
        stop_lines=np.array(stop_lines).reshape(-1, len(StopLineRow._fields)),
        criteria_events=events.reshape(-1, 3),
    )
    return read_recording(tmp_path / "ticks.npz")


def test_a_recording_comes_back_as_it_was_without_unused_slots(crossing, tmp_path):
    recording = record_drive(crossing, tmp_path, seconds=1.0)
    assert recording.num_ticks == 20
    scene = recording.empty_scene(TICK_S)
    assert scene.num_slots == 2
    recording.write(10, scene)
    assert scene.motion.x[0, 0] == pytest.approx(recording.plan[0, 0] + 5.0)
    assert scene.clocks.elapsed_s[0] == pytest.approx(0.5)
    assert scene.traits.actor_id[0].tolist() == [7, 77]


def test_a_file_that_is_no_recording_is_refused(tmp_path):
    np.savez(tmp_path / "ticks.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="no recording"):
        read_recording(tmp_path / "ticks.npz")


def test_the_drive_is_judged_by_the_leaderboards_rules(crossing, tmp_path):
    recording = record_drive(crossing, tmp_path, seconds=8.0, hit_at_s=1.0)
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert record.end is EpisodeEnd.COMPLETED
    kinds = [infraction.kind for infraction in record.infractions]
    assert kinds.count(InfractionKind.COLLISION_VEHICLE) == 1
    # Half the traffic's speed in each of four quarters, and the last one once more
    slow = [entry for entry in record.infractions if entry.kind is InfractionKind.MINIMUM_SPEED]
    assert [entry.percent for entry in slow] == [50.0] * 5


def test_a_drive_that_stops_early_is_not_over(crossing, tmp_path):
    recording = record_drive(crossing, tmp_path, seconds=2.0)
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert record.end is None
    assert 25.0 < record.route_percent < 40.0  # 20 m of 60 m


def test_an_ego_is_blocked_at_its_3600th_standing_tick(crossing, tmp_path):
    # CARLA's tick is a float of four bytes: 3,600 of them are 180.000003 s
    recording = record_drive(crossing, tmp_path, seconds=2.0 + 180.0, stops_at_s=2.0)
    assert recording.num_ticks == 40 + 3600
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert (record.end, record.num_steps) == (EpisodeEnd.BLOCKED, 40 + 3600)


def count(record: EpisodeRecord, kind: InfractionKind) -> int:
    return sum(infraction.kind is kind for infraction in record.infractions)


def test_a_scenario_with_a_time_limit_stops_and_restarts_the_blocked_clock(crossing, tmp_path):
    # Standing from tick 40 on; the test is off from tick 1,000 and begins anew at tick 2,000
    said = [(1000, CriteriaEvent.BLOCKED_TEST, 0), (2000, CriteriaEvent.BLOCKED_TEST, 1)]
    recording = record_drive(crossing, tmp_path, seconds=285.0, stops_at_s=2.0, said=said)
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert (record.end, record.num_steps) == (EpisodeEnd.BLOCKED, 1 + 2000 + 3600)


def test_no_drive_is_blocked_while_a_scenario_holds_it_up(crossing, tmp_path):
    said = [(50, CriteriaEvent.BLOCKED_TEST, 0)]
    recording = record_drive(crossing, tmp_path, seconds=200.0, stops_at_s=2.0, said=said)
    assert judge_recording(recording, crossing, DetectorSettings.leaderboard()).end is None


@pytest.mark.parametrize(
    ("said", "wrong_m"),
    [
        pytest.param([], 20.0, id="without a scenario"),
        pytest.param([(0, CriteriaEvent.WRONG_WAY_TEST, 0)], 0.0, id="all along"),
        # On again in tick 15, at 7.6 m: the 13 m after the seventh are wrong
        pytest.param(
            [(0, CriteriaEvent.WRONG_WAY_TEST, 0), (15, CriteriaEvent.WRONG_WAY_TEST, 1)],
            13.0,
            id="in the first part",
        ),
    ],
)
def test_two_way_scenarios_allow_the_oncoming_lane(crossing, tmp_path, said, wrong_m):
    # From the own lane to the oncoming one, 3.5 m to the left, in one tick; 10 cm past each metre
    recording = record_drive(
        crossing,
        tmp_path,
        seconds=2.06,
        from_to_x=OVER_THE_JUNCTION,
        left_m=3.5,
        said=said,
    )
    recording.ego_place[:, 0] += 0.1
    recording.ego_place[0, 1] -= 3.5
    tests = OfficialTests(recording, recording.empty_scene(TICK_S), DetectorSettings.leaderboard())
    facts, counters = EventArrays.allocate(1), empty_memory(recording.empty_scene(TICK_S)).counters
    for tick in range(recording.num_ticks):
        tests.apply(tick, facts, counters)
    assert tests.lanes.percent == pytest.approx(100.0 * wrong_m / 20.0)


def test_a_route_of_100_m_ends_one_tick_after_its_last_point(crossing, tmp_path):
    # 99 % lie behind the last metre: only its last point itself is more
    recording = record_drive(crossing, tmp_path, seconds=12.0, from_to_x=OVER_THE_JUNCTION)
    assert len(recording.plan) == 101
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    # Past x = 100 m in tick 201, counted from 0; the tick after is the last
    assert (record.end, record.num_steps) == (EpisodeEnd.COMPLETED, 203)


@pytest.mark.parametrize(("hit_at_s", "hits"), [(201 * TICK_S, 1), (202 * TICK_S, 1), (10.15, 0)])
def test_what_is_hit_in_the_tick_after_arrival_counts(crossing, tmp_path, hit_at_s, hits):
    recording = record_drive(
        crossing, tmp_path, seconds=12.0, from_to_x=OVER_THE_JUNCTION, hit_at_s=hit_at_s
    )
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert count(record, InfractionKind.COLLISION_VEHICLE) == hits


@pytest.mark.parametrize(
    ("first", "last", "hits"),
    [(10, 30, 2), (19, 20, 2), (20, 30, 1), (10, 19, 1)],
)
def test_a_scenarios_own_collision_test_counts_once_more(crossing, tmp_path, first, last, hits):
    # The contact is that of tick 20: a test sees those after it began, up to the tick it ended in
    said = [
        (0, CriteriaEvent.COLLISION_TEST_BEGAN, 0),
        (first, CriteriaEvent.COLLISION_TEST_BEGAN, 1),
        (last, CriteriaEvent.COLLISION_TEST_ENDED, 1),
    ]
    recording = record_drive(crossing, tmp_path, seconds=3.0, hit_at_s=1.0, said=said)
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert count(record, InfractionKind.COLLISION_VEHICLE) == hits


# Of the west arm's light: the lane leads to the junction at x = -10 m, the line lies 0.4 m before
LINE = StopLineRow(
    light=0, center_x=-13.0, center_y=-1.75, center_z=0.0, x=-10.4, y=-1.75, z=0.0, yaw_rad=0.0,
    width_m=3.5, road_id=1, lane_id=-1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "lights", "runs"),
    [
        (LINE, LightState.RED, 1),
        (LINE, LightState.GREEN, 0),
        (LINE, LightState.YELLOW, 0),
        (LINE._replace(lane_id=-2), LightState.RED, 0),  # not the lane that the tail is in
        (LINE._replace(yaw_rad=np.pi), LightState.RED, 0),  # for the other direction
        (LINE._replace(center_x=-30.0), LightState.RED, 0),  # further than 15 m away by then
        (LINE._replace(x=-8.0), LightState.RED, 0),  # crossed when the tail is in the junction
    ],
)
def test_a_red_light_is_run_where_the_lights_own_line_is_crossed(
    crossing, tmp_path, line, lights, runs
):
    recording = record_drive(
        crossing,
        tmp_path,
        seconds=6.0,
        from_to_x=OVER_THE_JUNCTION,
        lights=lights,
        stop_lines=[line],
    )
    record = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    assert count(record, InfractionKind.RED_LIGHT) == runs


class Board:
    """As py_trees' blackboard."""

    def set(self, name: str, value: object, overwrite: bool = True) -> None:
        setattr(self, name, value)


class CollisionTest:
    """As scenario_runner's."""

    def initialise(self) -> str:
        return "sensor"

    def terminate(self, new_status: str) -> None:
        pass


def test_messages_to_the_criteria_are_noted_and_passed_on():
    log, board, route, scenario = (
        CriteriaLog(Board, CollisionTest),
        Board(),
        CollisionTest(),
        CollisionTest(),
    )
    assert route.initialise() == "sensor"
    log.tick = 7
    board.set("AC_SwitchActorBlockedTest", False, overwrite=True)
    board.set("AC_SwitchActorBlockedTest", None, overwrite=True)  # the criterion has read it
    board.set("ScenarioRouteNumber0", True)
    scenario.initialise()
    log.tick = 9
    scenario.terminate("success")
    scenario.terminate("invalid")
    board.set("AC_SwitchWrongDirectionTest", True)
    log.stop()
    board.set("AC_SwitchWrongDirectionTest", False)
    assert vars(board)["AC_SwitchWrongDirectionTest"] is False
    assert log.rows().tolist() == [
        [0, CriteriaEvent.COLLISION_TEST_BEGAN, 0],
        [7, CriteriaEvent.BLOCKED_TEST, 0],
        [7, CriteriaEvent.COLLISION_TEST_BEGAN, 1],
        [9, CriteriaEvent.COLLISION_TEST_ENDED, 1],
        [9, CriteriaEvent.WRONG_WAY_TEST, 1],
    ]


def infraction(kind: InfractionKind, percent: float = 0.0) -> Infraction:
    return Infraction(kind, time_s=1.0, x=0.0, y=0.0, z=0.0, percent=percent)


def test_differences_name_number_and_shares():
    theirs = [infraction(InfractionKind.MINIMUM_SPEED, 92.1), infraction(InfractionKind.RED_LIGHT)]
    ours = [infraction(InfractionKind.MINIMUM_SPEED, 92.07)]
    assert infraction_differences(theirs, ours) == [
        "red_light: 1 | 0",
        "min_speed_infractions: 1 (92.1 %) | 1 (92.07 %)",
    ]


def test_a_scenarios_own_timeout_counts_in_both_scores(crossing, tmp_path):
    recording = record_drive(crossing, tmp_path, seconds=8.0, hit_at_s=1.0)
    ours = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    (job,) = make_jobs([("2", "crossing")], range(1), tmp_path)
    official = make_record(
        "2",
        penalty=round(0.6 * 0.7 * 0.85**5, 6),
        infractions={
            InfractionKind.COLLISION_VEHICLE: [COLLISION],
            InfractionKind.MINIMUM_SPEED: [SLOW] * 5,
            InfractionKind.SCENARIO_TIMEOUT: ["Agent timed out a scenario"],
        },
    )
    parity = compare_route(job, official, ours)
    assert parity.differences == ()
    assert parity.our_score == pytest.approx(parity.official_score, abs=1e-3)


def test_an_unnoticed_collision_is_listed(crossing, tmp_path):
    recording = record_drive(crossing, tmp_path, seconds=8.0)
    ours = judge_recording(recording, crossing, DetectorSettings.leaderboard())
    calm = dataclasses.replace(ours, infractions=())
    (job,) = make_jobs([("2", "crossing")], range(1), tmp_path)
    official = make_record(
        "2", penalty=0.6, infractions={InfractionKind.COLLISION_VEHICLE: [COLLISION]}
    )
    assert compare_route(job, official, calm).differences == ("collisions_vehicle: 1 | 0",)


def test_skipped_scenarios_are_read_out_of_the_evaluators_output(tmp_path):
    (job,) = make_jobs([("9", "Town02")], range(1), tmp_path)
    job.folder.mkdir()
    job.log_file.write_text(
        "\x1b[93mSkipping scenario 'ControlLoss_2' due to setup error: no lane was found\n\x1b[0m"
        "WARNING: Ignoring scenario 'HardBreak_1' as it is too far from the route\n"
        "WARNING: Cannot spawn actor vehicle.* at position\n"
    )
    assert [(entry.name, entry.reason) for entry in skipped_scenarios([job])] == [
        ("ControlLoss_2", "no lane was found"),
        ("HardBreak_1", "it is too far from the route"),
    ]
