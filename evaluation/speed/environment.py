"""Speed of the simulation, of environments stage by stage, and of whole training runs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.demo_run.training import default_processes
from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.driving.env import DrivingVectorEnv
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


# Where the time of a whole environment step with CaRL's raster goes, stage by stage.
#
# Kernels are compiled code that Python profilers see as one call each; so each stage's call is
# timed where the environment makes it.

NUM_WORLDS = 32
NUM_WINDOWS, WINDOW_S = 7, 1.0
REST = "rest"  # action decoding, histories, episode accounts, views of the rows


class StageClock:
    """Adds up the CPU time of methods by the stage that they belong to.

    Args:
        clock: CPU time of the process by default, which other processes do not stretch.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.clock = clock
        self.spent_s: dict[str, float] = {}

    def watch(self, stage: str, owner: Any, method: str) -> None:
        """Time `owner.method` from now on; watched methods must not call one another."""
        inner = getattr(owner, method)
        self.spent_s.setdefault(stage, 0.0)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self.clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self.spent_s[stage] += self.clock() - start

        setattr(owner, method, timed)

    def window(self, work: Callable[[], int], window_s: float) -> dict[str, float]:
        """Seconds of every stage and of the rest for one unit of `work`, over a window."""
        self.spent_s = dict.fromkeys(self.spent_s, 0.0)
        units, start, end = 0, self.clock(), time.perf_counter() + window_s
        while units == 0 or time.perf_counter() < end:
            units += work()
        rest = self.clock() - start - sum(self.spent_s.values())
        return {stage: s / units for stage, s in {**self.spent_s, REST: rest}.items()}


def watch_stages(env: DrivingVectorEnv, stages: StageClock) -> None:
    """Time the stages of a step in `env`, which is of no other use afterwards."""
    stages.watch("world", env.simulator, "step")
    stages.watch("resets", env.simulator, "reset")
    stages.watch("events", env.worlds.detector, "detect")
    stages.watch("resets", env.worlds.detector, "reset_memory")
    stages.watch("reward", env, "driving_reward")
    stages.watch("gather", env.observer, "gather")
    stages.watch("raster", env.observer, "paint")


def measure_env_profile() -> list[Measurement]:
    """Microseconds of CPU of every stage for one step of one world."""
    env = busy_env(NUM_WORLDS, CARL_BEV)
    stages = StageClock()
    watch_stages(env, stages)
    step = stepping(env)
    windows = [stages.window(step, WINDOW_S) for _ in range(NUM_WINDOWS)]
    return stage_measurements(windows, f"{NUM_WORLDS} worlds, {mean_actors(env):.0f} actors")


def stage_measurements(windows: Sequence[Mapping[str, float]], note: str) -> list[Measurement]:
    """A line for the whole step, and one for each stage with its share, largest first."""
    step_us = [1e6 * sum(window.values()) for window in windows]
    whole = statistics.median(step_us)
    key, unit = "env_profile", "us/step"
    lines = [Measurement(key, whole, unit, min(step_us), max(step_us), note=note)]
    for stage in windows[0]:
        each = [1e6 * window[stage] for window in windows]
        median = statistics.median(each)
        share = f"{median / whole:.0%} of a step"
        lines.append(Measurement(f"{key}.{stage}", median, unit, min(each), max(each), note=share))
    return [lines[0], *sorted(lines[1:], key=lambda line: -line.value)]


# Speed of training runs, measured as the user starts them: in processes of their own.

WARM_UP_ITERATIONS = 2  # kernels, memory and caches


def iteration_rates(overrides: Sequence[str], *, processes: int = 1) -> list[float]:
    """Samples per second of each iteration of a training run after the warm-up.

    Args:
        overrides: Of `carl_planner.train`.
        processes: Started by torchrun where more than one.

    Raises:
        RuntimeError: the run failed; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "carl_planner.train"]
        if processes > 1:
            torchrun = ["-m", "torch.distributed.run", "--standalone"]
            launcher = [*torchrun, f"--nproc_per_node={processes}", *launcher]
        command = [sys.executable, *launcher, *overrides, f"output_root={folder}"]
        environment = {**os.environ}
        if processes > 1:
            environment.setdefault("OMP_NUM_THREADS", "1")
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        metrics = next(Path(folder).rglob("metrics.jsonl"))
        lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    rates = [line["time/samples_per_s"] for line in lines if "time/samples_per_s" in line]
    return rates[WARM_UP_ITERATIONS:]


def measurement(key: str, rates: Sequence[float], floor: float | None, note: str) -> Measurement:
    """Median and range over iterations."""
    low, high = min(rates), max(rates)
    return Measurement(key, statistics.median(rates), "samples/s", low, high, floor, note)


def measure_train_demo() -> list[Measurement]:
    """`experiment=demo` end to end on all cores: simulation, observation, policy and updates."""
    processes = default_processes()
    rates = iteration_rates(["experiment=demo", "ppo.total_samples=400_000"], processes=processes)
    return [measurement("train_demo", rates, 10_000, f"{processes} processes, MLP, end to end")]


def measure_train_driver() -> list[Measurement]:
    """`experiment=driver` end to end on all cores, in two of its towns; and its world steps."""
    processes = default_processes()
    repeat = 2  # env.action_repeat of the experiment: steps of 0.1 s in a decision of 0.2 s
    overrides = [
        "experiment=driver",
        "simulator.towns=[Town01,Town05]",
        f"env.action_repeat={repeat}",
        "ppo.total_samples=330_000",
    ]
    rates = iteration_rates(overrides, processes=processes)
    note = f"{processes} processes, decisions of 0.2 s, end to end"
    steps = [repeat * rate for rate in rates]
    low, median, high = min(steps), statistics.median(steps), max(steps)
    return [
        measurement("train_driver.decisions", rates, 15_000, note),
        Measurement("train_driver.world_steps", median, "steps/s", low, high, 30_000, note),
    ]


def measure_train_carl() -> list[Measurement]:
    """CaRL's network and raster end to end, with a batch that fits a laptop."""
    overrides = [
        "experiment=carl_embedded",
        "simulator.towns=[Town01,Town02]",
        "ppo.num_envs=16",
        "ppo.num_steps=32",
        "ppo.minibatch_size=256",
        "ppo.micro_batch_size=64",
        "ppo.total_samples=2560",
    ]
    rates = iteration_rates(overrides)
    note = "2M parameters, 10x256x256, 3 epochs, batch 512"
    return [measurement("train_carl", rates, None, note)]


def measure_ddp_efficiency() -> list[Measurement]:
    """Two processes with one thread each against one process with one thread, same batch."""
    overrides = [
        "experiment=demo",
        "num_threads=1",
        "simulator.num_threads=1",
        "ppo.total_samples=300_000",
    ]
    one = statistics.median(iteration_rates(overrides))
    two = iteration_rates(overrides, processes=2)
    ratios = [rate / one / 2.0 for rate in two]
    note = f"one process: {one:,.0f} samples/s"
    median = statistics.median(ratios)
    return [Measurement("ddp_efficiency", median, "ratio", min(ratios), max(ratios), 0.8, note)]
