"""Two judgements of the same ticks: ours on a drive worked by hand, and what a comparison shows."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evaluation.leaderboard_agent.tick_recording import (
    TickRecorder,
    TickRecording,
    read_recording,
)
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.scenario_log import skipped_scenarios
from evaluation.leaderboard_jobs.second_opinion import judge_recording
from evaluation.leaderboard_parity import compare_route, infraction_differences
from evaluation.scoring.episode_result import EpisodeEnd
from evaluation.scoring.infractions import Infraction, InfractionKind
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, LightState, empty_scene
from tests.evaluation.leaderboard.official_records import COLLISION, SLOW, make_record

TICK_S, SPEED_MPS = 0.05, 10.0
CROSSING_FILE = Path(__file__).parents[2] / "data" / "crossing.xodr"


@pytest.fixture(scope="module")
def crossing() -> MapBank:
    return load_map_bank([str(CROSSING_FILE)])


def plan_east(maps: MapBank, length_m: float) -> np.ndarray:
    """The eastbound lane's points as an evaluator's plan, (P, 4)."""
    route = Router(maps).trace(
        "crossing", np.array([[5.0, -1.75, 0.0], [5.0 + length_m, -1.75, 0.0]])
    )
    return np.column_stack([route.x, route.y, route.z, route.yaw_rad])


def record_drive(
    maps: MapBank,
    tmp_path: Path,
    *,
    seconds: float,
    hit_at_s: float = np.inf,
    lights=LightState.OFF,
    stops_at_s: float = np.inf,
) -> TickRecording:
    """10 m/s along the plan beside a parked car in slot 1; traffic drives at 20 m/s."""
    plan = plan_east(maps, 60.0)
    scene = empty_scene(1, 4, num_lights=maps.max_lights, num_route_points=len(plan), step_s=TICK_S)
    traits, motion = scene.traits, scene.motion
    traits.valid[0, :2], traits.actor_id[0, :2] = True, [7, 77]
    traits.kind[0, :2] = ActorKind.CAR
    traits.half_length_m[0, :2], traits.half_width_m[0, :2] = 2.4, 1.0
    scene.lights.state[0] = lights
    scene.ego.speed_limit_mps[0] = 10.0
    recorder = TickRecorder("crossing", plan)
    for tick in range(int(seconds / TICK_S)):
        time_s = tick * TICK_S
        driven_m = SPEED_MPS * min(time_s, stops_at_s)
        motion.x[0, 0], motion.y[0, 0] = plan[0, 0] + driven_m, plan[0, 1]
        motion.vx_mps[0, 0] = SPEED_MPS if time_s < stops_at_s else 0.0
        motion.x[0, 1], motion.y[0, 1] = 40.0, 30.0
        scene.contacts.other_slot[0] = -1
        if abs(time_s - hit_at_s) < 0.5 * TICK_S:
            scene.contacts.other_slot[0, 0] = 1
        scene.clocks.elapsed_s[0] = time_s
        recorder.add(scene, 20.0)
    recorder.save(tmp_path / "ticks.npz")
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
