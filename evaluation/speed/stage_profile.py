"""Where the time of a whole environment step with CaRL's raster goes, stage by stage.

Kernels are compiled code that Python profilers see as one call each; so each stage's call is timed
where the environment makes it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evaluation.speed.environment import CARL_BEV, busy_env, mean_actors, stepping
from evaluation.speed.stopwatch import Measurement
from sim_adapters.driving_env import DrivingVectorEnv

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
    stages.watch("events", env.detector, "detect")
    stages.watch("resets", env.detector, "reset_memory")
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
