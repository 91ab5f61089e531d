"""Speed of the whole nuPlan environment on synthetic maps, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hydra.utils import instantiate

from evaluation.speed.nuplan_set import speed_folder, speed_scenarios
from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.driving_env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.replay_route import logged_scenario
from sim_adapters.nuplan.scenario_log import LoggedScenario, ScenarioLog
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank

NUM_WORLDS = 32
MIN_TRACKS = 50  # the load the floor is stated for
FLOOR_STEPS_PER_S = 2_500.0


class _InTurn:
    """A source that goes through a list of scenarios, each world from another place."""

    def __init__(self, scenarios: Sequence[LoggedScenario]) -> None:
        self.scenarios = scenarios

    def next_scenario(self, world: int, episode: int) -> LoggedScenario:
        """The scenario of a world's episode."""
        return self.scenarios[(world + 7 * episode) % len(self.scenarios)]


def busy_logs(logs: Sequence[ScenarioLog]) -> list[ScenarioLog]:
    """The scenarios with 50 or more tracks a frame, or else the busiest four."""
    by_tracks = sorted(logs, key=_mean_tracks, reverse=True)
    return [log for log in by_tracks if _mean_tracks(log) >= MIN_TRACKS] or by_tracks[:4]


def _mean_tracks(log: ScenarioLog) -> float:
    return len(log.boxes.x) / log.num_frames


def make_env(logs: Sequence[ScenarioLog], maps: MapBank, num_worlds: int) -> DrivingVectorEnv:
    """CaRL's nuPlan environment over these scenarios."""
    config = compose_training_config(["experiment=carl_nuplan"])
    return DrivingVectorEnv(
        NuplanSimulator(maps, num_worlds),
        _InTurn([logged_scenario(log) for log in logs]),
        instantiate(config.reward),
        instantiate(config.observation),
        instantiate(config.detector),
        instantiate(config.env.action_layout),
    )


def stepping(env: DrivingVectorEnv) -> Callable[[], int]:
    """Work of one environment step; counts one per world."""
    # Gently forward: episodes last, resets stay part of the figure
    actions = np.tile(np.array([0.1, 0.0], np.float32), (env.num_envs, 1))

    def step() -> int:
        env.step(actions)
        return env.num_envs

    return step


def measure_nuplan_env() -> list[Measurement]:
    """Whole steps with CaRL's 9 x 256 x 256 raster, its events and reward, resets included."""
    cache = speed_scenarios()
    maps = load_nuplan_maps(speed_folder() / "maps", cache.map_names)
    logs = [cache.read(token) for token in cache.tokens]
    env = make_env(busy_logs(logs), maps, NUM_WORLDS)
    env.restart()
    step = stepping(env)
    for _ in range(20):
        step()
    median, low, high = measure_rate(step)
    tracks = float(env.scene.traits.valid[:, 1:].sum(axis=1).mean())
    note = f"{NUM_WORLDS} worlds, {tracks:.0f} tracks, synthetic maps"
    key, unit = "nuplan_env", "steps/s/core"
    return [Measurement(key, median, unit, low, high, FLOOR_STEPS_PER_S, note)]
