"""RouteQueue: gives every free world the next route until all are driven, and loses none."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sim_adapters.scene.counter_rng import random_bits
from sim_adapters.scene.scenario import Scenario

_SEED_PURPOSE = 7001  # of the counter-based randomness
_SEED_MASK = (1 << 62) - 1  # fits every integer type on the way


@dataclass(frozen=True)
class EvaluationTask:
    """One route to be driven with one seed; `scenario.seed` is already derived from both."""

    scenario: Scenario
    seed: int


def make_tasks(scenarios: Iterable[Scenario], seeds: Iterable[int]) -> list[EvaluationTask]:
    """Every route with every seed.

    A world's randomness follows from the route's id and the seed alone, so that one route driven
    again on its own, or by another planner, meets the same traffic.
    """
    seeds = list(seeds)
    return [
        EvaluationTask(replace(scenario, seed=world_seed(scenario.scenario_id, seed)), seed)
        for scenario in scenarios
        for seed in seeds
    ]


def world_seed(route_id: str, seed: int) -> int:
    """Seed of the world in which `route_id` is driven with `seed`."""
    route_hash = zlib.crc32(route_id.encode())
    return int(random_bits(seed, route_hash, 0, _SEED_PURPOSE)) & _SEED_MASK


class RouteQueue:
    """Hands out tasks, longest routes first so that no long one is left.

    `running[world]` is the task a world drives now. When none is left, a free world drives the
    shortest route again to keep the batch whole, and `running` says None: it is not recorded.
    """

    def __init__(self, tasks: Sequence[EvaluationTask], num_worlds: int) -> None:
        if not tasks:
            raise ValueError("no route to drive: the benchmark is empty")
        self._waiting = sorted(tasks, key=lambda task: task.scenario.route.length_m)
        self._filler = self._waiting[0].scenario
        self.num_tasks = len(tasks)
        self.running: list[EvaluationTask | None] = [None] * num_worlds

    def next_scenario(self, world: int) -> Scenario:
        """The scenario that `world` drives from now on."""
        task = self._waiting.pop() if self._waiting else None
        self.running[world] = task
        return task.scenario if task else self._filler
