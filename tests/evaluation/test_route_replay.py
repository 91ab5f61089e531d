"""One route driven again by its id and seed: the drive that the whole benchmark had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from evaluation.evaluate import RULE_PLANNERS
from evaluation.rollout.benchmark import Benchmark
from evaluation.rollout.episode_rollout import run_episodes
from evaluation.rollout.evaluation_env import make_evaluation_env
from evaluation.rollout.recording import EpisodeRecorder, Recording
from evaluation.rollout.route_queue import make_tasks
from sim_adapters.maps.route_file import RouteSpec, write_routes

SEED = 3
# In a bank of both towns Town02's lanes, signals and signs follow those of Town01, alone they come
# first. Its route of 68 m passes a junction with lights.
ROUTES = (
    RouteSpec("first", "Town01", np.array([[392.315, -218.54, 0.0], [392.33, -267.582, 0.0]])),
    RouteSpec("second", "Town02", np.array([[189.695, -228.708, 0.0], [189.397, -296.739, 0.0]])),
)


def drive(benchmark: Benchmark, route_id: str | None, planner: str) -> dict[str, Recording]:
    """What `evaluate route=ID` drives, recorded, by route id."""
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", [f"planner={planner}", f"seed={SEED}"])
    specs = benchmark.read(route_id)
    env, scenarios = make_evaluation_env(config, specs, num_worlds=len(specs))
    try:
        tasks = make_tasks(scenarios, [SEED])
        recorder = EpisodeRecorder((spec.route_id, SEED) for spec in specs)
        run_episodes(env, RULE_PLANNERS[planner](), tasks, recorder=recorder)
    finally:
        env.close()
    return {route: recording for (route, _), recording in recorder.recordings.items()}


@pytest.mark.parametrize("planner", ["blind_follower", "idm"])
def test_a_route_alone_is_driven_as_in_the_whole_benchmark(tmp_path: Path, planner: str) -> None:
    write_routes(tmp_path / "two_towns.xml", ROUTES)
    benchmark = Benchmark("two towns", str(tmp_path / "two_towns.xml"))
    together = drive(benchmark, None, planner)["second"]
    alone = drive(benchmark, "second", planner)["second"]
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
