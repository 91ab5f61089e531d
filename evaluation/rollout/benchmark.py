"""Benchmark: routes to be driven, read from a leaderboard route file, and their queue."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from evaluation.scoring.referee import FIRST_BUDGET_S, SLOWEST_SHARE_OF_LIMIT
from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.maps.route_scenarios import trace_scenario
from sim_adapters.maps.router import Router
from sim_adapters.maps.scenario_file import read_scenario_file, triggers_on_route
from sim_adapters.scene.counter_rng import random_bits
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, Scenario

log = logging.getLogger(__name__)
LONG_ROUTE_TOWNS = ("Town01", "Town02", "Town03", "Town04", "Town05", "Town06")


@dataclass(frozen=True)
class Benchmark:
    """Routes of one file; nothing in it is ever skipped.

    Args:
        name: Shown in tables and files.
        routes: A leaderboard route file, or "pkg:NAME" for one in evaluation/routes.
        seen_towns: Towns that the planner may have been trained in, for the report.
    """

    name: str
    routes: str
    seen_towns: Sequence[str] = ()

    @property
    def path(self) -> Path:
        """The route file."""
        if self.routes.startswith("pkg:"):
            return Path(str(files("evaluation") / "routes" / self.routes.removeprefix("pkg:")))
        return Path(self.routes)

    def read(self, route_id: str | None = None) -> list[RouteSpec]:
        """All routes of the file, or the one with `route_id`.

        Raises:
            ValueError: the file has no such route.
        """
        specs = read_routes(self.path)
        if route_id is None:
            return specs
        chosen = [spec for spec in specs if spec.route_id == route_id]
        if not chosen:
            known = ", ".join(spec.route_id for spec in specs)
            raise ValueError(f"{self.path} has no route {route_id!r}; it has {known}")
        return chosen


def long_routes(routes: str | None, own: str | None) -> Benchmark:
    """A route file in the embedded world; its scores are embedded scores, never longest6's.

    Args:
        routes: A leaderboard route file.
        own: This project's file where none is named; None where one has to be.

    Raises:
        ValueError: no file.
    """
    if routes is None and own is None:
        raise ValueError(
            "benchmark=longest6 needs routes=FILE.xml, your copy of its routes; this project's own "
            "36 long routes are benchmark=embedded36"
        )
    name = f"embedded, routes of {routes}" if routes else Path(str(own)).stem.removeprefix("pkg:")
    # CaRL trains in all towns of longest6 (its protocol holds out none)
    return Benchmark(name, str(routes or own), seen_towns=LONG_ROUTE_TOWNS)


def towns_of(specs: Sequence[RouteSpec]) -> list[str]:
    """Towns in which the routes lie, sorted."""
    return sorted({spec.town for spec in specs})


def trace_scenarios(
    specs: Sequence[RouteSpec], maps: MapBank, scenario_file: str | None = None
) -> list[Scenario]:
    """The dense route of every spec, with its triggers; seeds are set when tasks are made.

    Args:
        specs: Routes.
        maps: Of their towns.
        scenario_file: Leaderboard 1's scenarios by town (JSON), whose routes carry none.

    Raises:
        FileNotFoundError: there is no such scenario file.
        ValueError: a route cannot be driven on its map, which is named, or a bad scenario file.
    """
    router = Router(maps)
    events = read_scenario_file(scenario_file) if scenario_file else {}
    scenarios = []
    for spec in specs:
        scenario = trace_scenario(spec, router, seed=0)
        triggers, refused = triggers_on_route(scenario.route, events.get(spec.town, []))
        if refused:
            kinds = ", ".join(f"{refused.count(kind)} {kind}" for kind in sorted(set(refused)))
            log.warning("route %s: no counterpart here of %s: not played", spec.route_id, kinds)
        scenarios.append(
            replace(
                scenario,
                scenario_id=spec.route_id,
                triggers=(*scenario.triggers, *triggers),
                time_limit_s=longest_duration_s(scenario.route, maps),
            )
        )
    return scenarios


def longest_duration_s(route: Route, maps: MapBank) -> float:
    """An upper bound of the leaderboard's time budget; the referee enforces the budget itself."""
    slowest_mps = SLOWEST_SHARE_OF_LIMIT * float(maps.points.speed_limit_mps.min())
    return FIRST_BUDGET_S + route.length_m / slowest_mps


# Every free world gets the next route until all are driven, and none is lost

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
