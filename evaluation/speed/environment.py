"""Speed of whole environments and of the simulation on its own, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.driving_env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import make_embedded_vec

# Many actors, no scripted events: the load the floors are stated for.
BUSY = (
    "simulator.num_threads=1",
    "simulator.max_vehicles=48",
    "simulator.traffic.num_vehicles=48",
    "simulator.max_pedestrians=16",
    "simulator.pedestrians.num_pedestrians=12",
    "scenarios.scenario_triggers=false",
)
CARL_BEV = ("observation=carl_bev", "policy=carl")


def busy_env(num_envs: int, overrides: Sequence[str]) -> DrivingVectorEnv:
    """Worlds that have driven for 3 s, so that traffic has spread."""
    env = make_embedded_vec(num_envs, [*BUSY, *overrides])
    env.reset(seed=0)
    for _ in range(30):
        env.step(gentle_actions(env))
    return env


def gentle_actions(env: DrivingVectorEnv) -> np.ndarray:
    """Straight on with moderate throttle: episodes last, resets stay part of the figure."""
    return np.tile(np.array([0.0, 0.45], np.float32), (env.num_envs, 1))


def stepping(env: DrivingVectorEnv) -> Callable[[], int]:
    """Work of one environment step; counts one per world."""
    actions = gentle_actions(env)

    def step() -> int:
        env.step(actions)
        return env.num_envs

    return step


def mean_actors(env: DrivingVectorEnv) -> float:
    """Valid actor slots a world, the ego included."""
    return float(env.scene.traits.valid.sum(axis=1).mean())


def measure_env(key: str, overrides: Sequence[str], num_envs: int, floor: float) -> Measurement:
    """Environment steps per second and core: events, reward, resets and observation included."""
    env = busy_env(num_envs, overrides)
    median, low, high = measure_rate(stepping(env))
    note = f"{num_envs} worlds, {mean_actors(env):.0f} actors"
    return Measurement(key, median, "steps/s/core", low, high, floor, note)


def measure_env_carl_bev() -> list[Measurement]:
    """Whole steps with CaRL's 10 x 256 x 256 raster."""
    return [measure_env("env_carl_bev", CARL_BEV, 32, 2_500)]


def measure_env_vector() -> list[Measurement]:
    """Whole steps with the vector observation."""
    return [measure_env("env_vector", ["observation=vector"], 64, 15_000)]


def measure_agent_steps() -> list[Measurement]:
    """Simulated agents x steps per second and core, without events, reward and observation."""
    env = busy_env(64, ["observation=vector"])
    simulator = env.simulator
    steer, acceleration = np.zeros(env.num_envs), np.full(env.num_envs, -1.0)

    def step() -> int:
        simulator.step(steer, acceleration)
        return int(env.scene.traits.valid.sum())

    median, low, high = measure_rate(step)
    note = f"{env.num_envs} worlds, {mean_actors(env):.0f} actors, ego standing"
    return [Measurement("agent_steps", median, "agents x steps/s/core", low, high, 500_000, note)]
