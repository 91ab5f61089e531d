"""One route driven again by its id and seed: the drive that the whole benchmark had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from numpy.typing import NDArray

from evaluation.drivers.driver import Driver, driver_config
from evaluation.drivers.rule_drivers import BlindFollower
from evaluation.rollout.benchmark import Benchmark, make_tasks
from evaluation.rollout.episode_rollout import make_evaluation_worlds, run_episodes
from evaluation.rollout.recording import EpisodeRecorder, Recording
from evaluation.scoring.episode_result import EpisodeResult
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.maps.route_file import RouteSpec, write_routes

SEED = 3
# In a bank of both towns Town02's lanes, signals and signs follow those of Town01, alone they come
# first. Its route of 68 m passes a junction with lights.
ROUTES = (
    RouteSpec("first", "Town01", np.array([[392.315, -218.54, 0.0], [392.33, -267.582, 0.0]])),
    RouteSpec("second", "Town02", np.array([[189.695, -228.708, 0.0], [189.397, -296.739, 0.0]])),
)


def drive(benchmark: Benchmark, route_id: str | None, driver: str) -> dict[str, Recording]:
    """What `evaluate route=ID` drives, recorded, by route id."""
    return drive_with(benchmark, route_id, instantiate(driver_config(driver)), action_repeat=1)[0]


def drive_with(
    benchmark: Benchmark, route_id: str | None, driver: Driver, action_repeat: int
) -> tuple[dict[str, Recording], list[EpisodeResult]]:
    """Recordings by route id, and the results."""
    with initialize_config_module("configs", version_base="1.3"):
        overrides = [f"seed={SEED}", f"env.action_repeat={action_repeat}"]
        config = compose("evaluate", overrides)
    specs = benchmark.read(route_id)
    worlds, scenarios = make_evaluation_worlds(config, specs, num_worlds=len(specs))
    try:
        tasks = make_tasks(scenarios, [SEED])
        recorder = EpisodeRecorder((spec.route_id, SEED) for spec in specs)
        reward = instantiate(config.reward)
        results = run_episodes(worlds, driver, tasks, reward, recorder=recorder)
    finally:
        worlds.close()
    recordings = {route: recording for (route, _), recording in recorder.recordings.items()}
    return recordings, results


@pytest.mark.parametrize("driver", ["blind_follower", "idm"])
def test_a_route_alone_is_driven_as_in_the_whole_benchmark(tmp_path: Path, driver: str) -> None:
    write_routes(tmp_path / "two_towns.xml", ROUTES)
    benchmark = Benchmark("two towns", str(tmp_path / "two_towns.xml"))
    together = drive(benchmark, None, driver)["second"]
    alone = drive(benchmark, "second", driver)["second"]
    assert (together.map_index, alone.map_index) == (1, 0)  # the town's place in its bank
    assert len(together.frames) == len(alone.frames) > 50
    for one, other in zip(together.frames, alone.frames, strict=True):
        # The ego first, then everybody near it: bit by bit
        np.testing.assert_array_equal(one.actors, other.actors)
        np.testing.assert_array_equal(one.kinds, other.kinds)
        assert (one.steer, one.throttle, one.brake) == (other.steer, other.throttle, other.brake)
        assert (one.reward, one.infractions) == (other.reward, other.infractions)
        num_lights = other.signals.size  # a bank of two towns has room for the larger one's
        np.testing.assert_array_equal(one.signals[:num_lights], other.signals)
    assert len(alone.frames[-1].actors) > 1, "an empty road tells little"


class RepeatsByHand(BlindFollower):
    """Decides every `repeat` calls and gives the same action in between."""

    def __init__(self, repeat: int) -> None:
        super().__init__(speed_mps=9.0)  # into what is ahead: collisions, a red light
        self.repeat = repeat

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        if len(agents) == worlds.num_envs:
            self.calls = np.zeros(worlds.num_envs, np.int64)
            self.held = np.zeros((worlds.num_envs, 2), np.float32)
        self.calls[agents] = 0

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        decides = self.calls % self.repeat == 0
        self.held[decides] = super().act(worlds)[decides]
        self.calls += 1
        return self.held.copy()


def test_the_referee_sees_every_step_of_a_held_action(tmp_path: Path) -> None:
    write_routes(tmp_path / "two_towns.xml", ROUTES)
    benchmark = Benchmark("two towns", str(tmp_path / "two_towns.xml"))
    by_hand, expected = drive_with(benchmark, None, RepeatsByHand(3), action_repeat=1)
    held, results = drive_with(benchmark, None, RepeatsByHand(1), action_repeat=3)

    def by_route(found: list[EpisodeResult]) -> dict[str, EpisodeResult]:
        return {result.route_id: replace(result, wall_s=0.0) for result in found}

    assert by_route(results) == by_route(expected)
    assert any(result.infractions for result in results), "a flawless drive tells little"
    for route in by_hand:
        assert len(held[route].frames) == len(by_hand[route].frames)
        for one, other in zip(held[route].frames, by_hand[route].frames, strict=True):
            np.testing.assert_array_equal(one.actors, other.actors)
