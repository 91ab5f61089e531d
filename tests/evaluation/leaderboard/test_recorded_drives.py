"""Official drives in the viewer: ticks and the evaluator's record make an episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.leaderboard_agent.tick_recording import TickRecorder
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_results import official_result
from evaluation.leaderboard_jobs.recorded_drives import write_official_view
from evaluation.recording.about import passed_percent
from evaluation.recording.folder import EpisodeFolder
from evaluation.scoring.episode_result import InfractionKind
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.state import ActorKind, LightState, empty_scene
from tests.evaluation.leaderboard.official_records import SLOW, write_record

CROSSING_FILE = Path(__file__).parents[2] / "data" / "crossing.xodr"
RED_LIGHT = "Agent ran a red light 12 at (x=12.0, y=2.0, z=0.0)"  # CARLA's y points right


def record_ticks(path: Path, num_lights: int) -> None:
    """Eastwards at 10 m/s, 20 Hz, for three seconds; another car 200 m away comes nearer."""
    plan = np.column_stack([np.arange(31.0), np.full(31, -2.0), np.zeros((31, 2))])
    scene = empty_scene(1, 4, num_lights=num_lights, num_route_points=31, step_s=0.05)
    scene.traits.valid[0, [0, 2]], scene.traits.actor_id[0, [0, 2]] = True, [7, 77]
    scene.traits.kind[0, [0, 2]] = [ActorKind.CAR, ActorKind.VAN]
    scene.traits.half_length_m[0, [0, 2]] = [2.4, 2.9]
    scene.lights.state[0] = LightState.RED
    scene.motion.y[0, [0, 2]], scene.motion.vx_mps[0, 0] = -2.0, 10.0
    recorder = TickRecorder(str(CROSSING_FILE), plan)
    for tick in range(61):
        scene.motion.x[0, 0] = 0.5 * tick
        scene.motion.x[0, 2] = 200.0 if tick < 30 else 100.0
        scene.ego.throttle[0] = tick / 100.0
        scene.clocks.elapsed_s[0] = 0.05 * tick
        recorder.add(scene, 0.0)
    recorder.save(path)


def test_recorded_routes_are_shown_with_their_official_judgement(tmp_path: Path) -> None:
    (job, unrecorded) = make_jobs([("5", "crossing"), ("6", "crossing")], range(1), tmp_path)
    texts = {InfractionKind.RED_LIGHT: [RED_LIGHT], InfractionKind.MINIMUM_SPEED: [SLOW]}
    record = write_record(job, penalty=0.7 * 0.85, infractions=texts)
    results = [official_result(job, record)]
    results.append(official_result(unrecorded, write_record(unrecorded)))
    record_ticks(job.folder / RECORDING_FILE, load_map_bank([str(CROSSING_FILE)]).max_lights)
    about = {"planner": "agent", "benchmark": "routes", "world": "headless"}
    page = write_official_view(tmp_path, [job, unrecorded], results, about)
    assert page == tmp_path / "view.html"
    episode = EpisodeFolder(tmp_path).read("5", 0)
    assert episode.about["score"] == pytest.approx(59.5)
    assert (episode.step_s, episode.num_steps) == (pytest.approx(0.1), 30)
    np.testing.assert_allclose(episode.tracks.x[:30], np.arange(1, 31), atol=0.006)
    np.testing.assert_allclose(episode.driver["throttle"][:3], [0.02, 0.04, 0.06], atol=0.003)
    np.testing.assert_allclose(episode.driver["route_percent"][-1], 100.0, atol=0.01)
    # The van is nearer than 150 m from tick 30 on, which is step 14
    assert episode.tracks.actor_id.tolist() == [7, 77]
    assert episode.tracks.first_step.tolist() == [0, 14]
    red, slow = episode.about["infractions"]
    assert (red["kind"], red["time_s"], red["y"]) == ("red_light", pytest.approx(1.2), -2.0)
    assert (slow["time_s"], slow["x"]) == (pytest.approx(3.0), pytest.approx(30.0))
    assert not list(tmp_path.rglob("route_6*.episode"))


def test_a_run_without_recordings_has_no_page(tmp_path: Path) -> None:
    (job,) = make_jobs([("5", "crossing")], range(1), tmp_path)
    results = [official_result(job, write_record(job))]
    assert write_official_view(tmp_path, [job], results, {}) is None
    assert not (tmp_path / "view.html").exists()


def test_a_route_that_crosses_itself_is_followed_in_order() -> None:
    # East for 50 m, back on a line 0.5 m beside it: half way is half way
    east = np.column_stack([np.arange(51.0), np.zeros(51)])
    plan = np.concatenate([east, east[::-1] + np.array([0.0, 0.5])])
    percent = passed_percent(plan, *plan.T)
    np.testing.assert_allclose(percent, np.linspace(0.0, 100.0, len(plan)))
