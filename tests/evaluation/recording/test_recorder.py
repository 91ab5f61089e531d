from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.recording.recorder import DriveRecorder
from evaluation.recording.tape import BLOCK_STEPS
from evaluation.rollout.benchmark import make_tasks
from evaluation.rollout.episode_rollout import run_episodes
from sim_adapters.scene.scenario import ScenarioTrigger
from sim_adapters.scene.state import ActorKind
from tests.evaluation.fake_drive import FakeWorlds, MetreAStep, no_reward, straight_scenario

LENGTHS = {"1": 40, "2": 15, "3": 290, "4": 60, "5": 7}
MAPS = SimpleNamespace(
    ranges=SimpleNamespace(signal=np.array([0, 1])), map_index=lambda town: ["Town01"].index(town)
)


class ChangingWorlds(FakeWorlds):
    """Somebody else stands beside the ego, another one after every tenth step."""

    maps = MAPS
    num_steps = 0

    def advance(self):
        traits, motion = self.scene.traits, self.scene.motion
        traits.actor_id[:, 0] = 1
        traits.valid[:, 2], traits.kind[:, 2] = True, ActorKind.VAN
        traits.actor_id[:, 2] = 100 + self.num_steps // 10
        traits.half_length_m[:, 2] = traits.actor_id[:, 2] / 100.0
        motion.x[:, 2] = self.num_steps
        self.num_steps += 1
        return super().advance()


def record(num_worlds: int, metres: float = 1.0, **options):
    env = ChangingWorlds(num_worlds)
    episodes = []
    recorder = DriveRecorder(env.scene, MAPS, episodes.append, {"planner": "p"}, **options)
    scenarios = [straight_scenario(name, length) for name, length in LENGTHS.items()]
    results = run_episodes(
        env, MetreAStep(metres), make_tasks(scenarios, [0]), no_reward, recorder=recorder
    )
    return {episode.about["route"]: episode for episode in episodes}, results


@pytest.mark.parametrize("num_worlds", [1, 2, 5])
def test_every_drive_is_recorded_from_its_first_step_to_its_last(num_worlds):
    episodes, results = record(num_worlds)
    assert episodes.keys() == LENGTHS.keys()
    for result in results:
        episode = episodes[result.route_id]
        assert episode.num_steps * 0.1 == pytest.approx(result.duration_s)
        ego = episode.tracks.x[: episode.num_steps]
        np.testing.assert_allclose(ego, np.arange(1, episode.num_steps + 1))
        assert episode.driver["route_percent"][-1] == pytest.approx(result.route_completion, abs=5)
        assert episode.about["score"] == pytest.approx(result.driving_score, abs=1e-3)
        assert episode.driver.keys() & {"value"} == set()
        assert episode.terms["progress"].sum() == pytest.approx(result.episode_return, rel=1e-5)
    assert episodes["3"].num_steps > BLOCK_STEPS


def test_road_users_are_told_apart_by_their_ids():
    episodes, _ = record(1)
    tracks = episodes["3"].tracks
    assert tracks.actor_id[0] == 1
    others = tracks.actor_id[1:]
    np.testing.assert_array_equal(others, np.arange(others[0], others[0] + len(others)))
    np.testing.assert_array_equal(tracks.num_steps[2:-1], 10)
    np.testing.assert_allclose(tracks.half_length_m[1:], others / 100.0)
    assert set(tracks.kind[1:]) == {ActorKind.VAN}
    starts = tracks.starts
    np.testing.assert_array_equal(np.diff(tracks.x[starts[2] : starts[3]]), 1.0)


def test_scripts_begin_when_their_phase_leaves_waiting():
    phases = np.zeros((1, 4), np.uint8)
    triggers = tuple(
        ScenarioTrigger(f"t{k}", "ControlLoss", float(k), 0.0, 0.0, 0.0) for k in range(2)
    )
    env = ChangingWorlds(1)
    episodes = []

    def now():
        phases[0, 1] = 2 * (env.num_steps >= 12)
        return phases

    recorder = DriveRecorder(env.scene, MAPS, episodes.append, {}, phases=now)
    scenario = replace(straight_scenario("1", 30), triggers=triggers)
    run_episodes(env, MetreAStep(), make_tasks([scenario], [0]), no_reward, recorder=recorder)
    assert [t["started_s"] for t in episodes[0].about["triggers"]] == [None, 1.2]
    assert episodes[0].phases.shape == (2, episodes[0].num_steps)


def test_a_recording_ends_with_its_record_though_a_held_action_goes_on():
    env = ChangingWorlds(1)
    episodes = []
    recorder = DriveRecorder(env.scene, MAPS, episodes.append, {})
    task = make_tasks([straight_scenario("1", 30)], [0])[0]
    recorder.begin(0, task, env.scene, MAPS)
    env.scene.traits.actor_id[:, 0] = 1
    records = SimpleNamespace(ends=[None], route_percent=np.zeros(1))
    outcome = SimpleNamespace(terms={}, reward=SimpleNamespace(numpy=lambda: np.zeros(1)))
    for end in (None, None, "Completed", "Completed"):
        records.ends[0] = end
        recorder.watch(None, outcome, records)
    result = run_episodes(FakeWorlds(1), MetreAStep(), [task], no_reward)[0]
    recorder.end(0, result)
    assert episodes[0].num_steps == 3
