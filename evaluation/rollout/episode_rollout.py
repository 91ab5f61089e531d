"""Drives all routes of a benchmark in a batch of worlds and returns one EpisodeResult each.

The worlds are built here, too, and shown is how far they are.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evaluation.drivers.driver import Driver
from evaluation.rollout.benchmark import EvaluationTask, RouteQueue, towns_of, trace_scenarios
from evaluation.scoring.episode_result import EpisodeRecord, EpisodeRecords, EpisodeResult
from evaluation.scoring.referee import LeaderboardReferee, ScriptFacts
from rewards.driving_events import DrivingEvents
from rewards.reward_terms import Reward, RewardBreakdown
from sim_adapters.driving.worlds import DEFAULT_PIXELS_PER_METER, DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.maps.town_files import town_name
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch
from sim_adapters.simulator import PlaysScripts
from sim_adapters.world.scenarios.resolution import refuse_unknown_types


class Listener(Protocol):
    """Follows a rollout: a progress bar, a recorder."""

    def episode_finished(self, result: EpisodeResult) -> None:
        """One route is done."""
        ...

    def stepped(self, num_steps: int) -> None:
        """All worlds have made one more step; `num_steps` so far."""
        ...


class Recorder(Protocol):
    """Records drives: sees every step, and is told where each begins and ends."""

    def begin(
        self, agent: int, task: EvaluationTask | None, scene: SceneBatch, maps: MapBank
    ) -> None:
        """Driver `agent` starts a task, or drives on unrecorded."""
        ...

    def decided(self, driver: Driver, worlds: DrivingWorlds) -> None:
        """`driver` has chosen the actions of the next steps; `worlds.seen` is what it looked at."""
        ...

    def watch(
        self, events: DrivingEvents, outcome: RewardBreakdown, records: EpisodeRecords
    ) -> None:
        """One step of all drivers, judged; the scene is that of its end, before any reset."""
        ...

    def end(self, agent: int, result: EpisodeResult) -> None:
        """The drive of `agent` is over and judged."""
        ...


def run_episodes(
    worlds: DrivingWorlds,
    driver: Driver,
    tasks: Sequence[EvaluationTask],
    reward: Reward,
    *,
    listener: Listener | None = None,
    recorder: Recorder | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[EpisodeResult]:
    """Drive every task once; none is lost, whatever the number of worlds.

    Args:
        worlds: Used for these tasks from now on.
        driver: Drives all worlds.
        tasks: Routes with their seeds.
        reward: Pays what episodes are told to have returned; it ends none of them.
        listener: Told of every step and every finished route.
        recorder: Records the drives.
        clock: Wall clock [s].

    Returns:
        One result per task, in the order in which they finished.
    """
    court = _Court(worlds, driver, RouteQueue(tasks, worlds.num_envs), reward, recorder)
    started_s = np.full(worlds.num_envs, clock())
    court.open(np.arange(worlds.num_envs))
    results: list[EpisodeResult] = []
    num_steps = 0
    while len(results) < court.queue.num_tasks:
        court.decide()
        num_steps += 1
        finished = np.flatnonzero(~court.referee.records.running)
        for agent in map(int, finished):
            result = court.close(agent, clock() - started_s[agent])
            if result is not None:
                results.append(result)
                if listener:
                    listener.episode_finished(result)
            started_s[agent] = clock()
        if finished.size:
            court.open(finished)
        if listener:
            listener.stepped(num_steps)
    return results


class _Court:
    """Worlds with their driver, the queue of routes and the referee."""

    def __init__(
        self,
        worlds: DrivingWorlds,
        driver: Driver,
        queue: RouteQueue,
        reward: Reward,
        recorder: Recorder | None,
    ) -> None:
        self.worlds, self.driver, self.queue = worlds, driver, queue
        self.reward, self.recorder = reward, recorder
        self.referee = LeaderboardReferee(worlds.scene, worlds.memory.route, script_facts(worlds))

    def open(self, agents: NDArray[np.int64]) -> None:
        """Begin the next task of these drivers' worlds."""
        worlds = self.worlds
        worlds.reset(agents, [self.queue.next_scenario(int(agent)) for agent in agents])
        for agent in map(int, agents):
            task = self.queue.running[agent]
            self.referee.begin(agent, task.scenario.route.length_m if task else 0.0)
            if self.recorder:
                self.recorder.begin(agent, task, worlds.scene, worlds.maps)
        self.driver.begin_episodes(agents, worlds)

    def decide(self) -> None:
        """One decision of all drivers, held and judged; worlds whose episode ends run on in it."""
        worlds, records = self.worlds, self.referee.records
        worlds.act(self.driver.act(worlds))
        if self.recorder:
            self.recorder.decided(self.driver, worlds)
        for _ in range(worlds.action_repeat):
            advance_judged(worlds, self.referee, self.reward, self.recorder)
            if not records.running.any():
                break

    def close(self, agent: int, wall_s: float) -> EpisodeResult | None:
        """The result of a finished drive; None if it was nobody's task."""
        task = self.queue.running[agent]
        if task is None:
            return None
        record = self.referee.records.read(agent)
        result = episode_result(task, record, self.worlds.scene.step_s, wall_s)
        if self.recorder:
            self.recorder.end(agent, result)
        return result


def advance_judged(
    worlds: DrivingWorlds,
    referee: LeaderboardReferee,
    reward: Reward,
    recorder: Recorder | None = None,
) -> RewardBreakdown:
    """One step of the worlds, paid, judged and watched; what was paid for it."""
    events = worlds.advance()
    outcome = reward(events)
    referee.records.episode_return += outcome.reward.numpy() * referee.records.running
    referee.judge(events)
    if recorder:
        recorder.watch(events, outcome, referee.records)
    return outcome


def script_facts(worlds: DrivingWorlds) -> ScriptFacts:
    """What a referee asks of a simulator that plays the scenarios of its routes itself."""
    simulator, places = worlds.simulator, worlds.scene.ego.world
    if not isinstance(simulator, PlaysScripts):
        return ScriptFacts()
    return ScriptFacts(
        traffic_speed=lambda _: simulator.background_speed_mps()[places],
        started_triggers=lambda: simulator.begun_triggers()[places],
        timed_out_triggers=lambda: simulator.timed_out_triggers()[places],
        held_up=lambda: simulator.held_up()[places],
    )


def episode_result(
    task: EvaluationTask, record: EpisodeRecord, step_s: float, wall_s: float
) -> EpisodeResult:
    """The result that follows from a closed record."""
    assert record.end is not None, "the episode has not ended"
    num_steps = max(record.num_steps, 1)
    return EpisodeResult(
        route_id=task.scenario.scenario_id,
        town=task.scenario.town,
        seed=task.seed,
        length_m=task.scenario.route.length_m,
        route_completion=record.route_percent,
        infractions=record.infractions,
        end=record.end,
        duration_s=record.num_steps * step_s,
        wall_s=wall_s,
        mean_actors=record.actor_sum / num_steps,
        mean_speed_mps=record.speed_sum_mps / num_steps,
        outside_lanes_m=record.outside_m,
        episode_return=record.episode_return,
        num_triggers=len(task.scenario.triggers),
        num_started=record.num_started,
    )


# The worlds of an evaluation: the benchmark's towns, the checkpoint's observation


def make_evaluation_worlds(
    config: DictConfig, specs: Sequence[RouteSpec], num_worlds: int
) -> tuple[DrivingWorlds, list[Scenario]]:
    """Worlds for these routes, and the routes traced on their maps.

    Args:
        config: Groups `simulator`, `detector`, `observation` and `env`; perhaps a `scenario_file`.
        specs: Routes to be driven.
        num_worlds: Worlds driven at once.
    """
    towns = with_town_files(towns_of(specs), config.simulator.towns)
    observer = instantiate(config.observation)
    resolution = observer.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
    maps = load_map_bank(towns, pixels_per_meter=resolution)
    scenarios = trace_scenarios(specs, maps, config.get("scenario_file"))
    for scenario in scenarios:  # all of them before the first tick: results must not be lost
        refuse_unknown_types(scenario)
    make_simulator = instantiate(config.simulator, towns=towns, **room_for(scenarios, config))
    simulator = make_simulator(num_worlds=num_worlds, pixels_per_meter=resolution)
    layout = config.env.get("action_layout")
    worlds = DrivingWorlds(
        simulator,
        observer,
        instantiate(config.detector),
        instantiate(layout) if layout is not None else None,
        action_repeat=config.env.action_repeat,
    )
    return worlds, scenarios


def room_for(scenarios: Sequence[Scenario], config: DictConfig) -> dict[str, int]:
    """Route points and triggers that a world has to hold, at least as many as configured."""
    points = max(len(scenario.route.x) for scenario in scenarios)
    triggers = max(len(scenario.triggers) for scenario in scenarios)
    return {
        "max_route_points": max(points, config.simulator.max_route_points),
        "max_triggers": max(triggers, config.simulator.max_triggers),
    }


def with_town_files(towns: Sequence[str], configured: Sequence[str]) -> list[str]:
    """`towns` of a route file, with the files that `simulator.towns` gives for some of them."""
    files = {town_name(town): town for town in configured}
    return [files.get(town, town) for town in towns]


# Progress of an evaluation: a bar in a terminal, plain lines in a log file

log = logging.getLogger(__name__)
LINE_INTERVAL_S = 10.0
BAR_INTERVAL_S = 0.2
BAR_WIDTH = 11  # characters


class EvaluationProgress:
    """A Listener that shows how far a rollout has come; use it as a context manager."""

    def __init__(self, name: str, num_episodes: int) -> None:
        self.name, self.num_episodes = name, num_episodes
        self.num_finished, self.score_sum = 0, 0.0
        self._next_time = 0.0
        self._is_terminal = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(BAR_WIDTH),  # with the longest name and the rest 80 columns
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            disable=not self._is_terminal,
        )
        self._task = self._bar.add_task(name, total=num_episodes, state="")

    @property
    def mean_score(self) -> float:
        """Mean driving score of the finished episodes, as the table has it; 0 before the first."""
        return self.score_sum / self.num_finished if self.num_finished else 0.0

    def __enter__(self) -> EvaluationProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.update(self._task, state=self._state())
        self._bar.stop()
        if not self._is_terminal and kind is None:
            self._log()

    def episode_finished(self, result: EpisodeResult) -> None:
        """Count one finished route."""
        self.num_finished += 1
        self.score_sum += result.driving_score
        self._bar.advance(self._task)

    def stepped(self, num_steps: int) -> None:
        """Refresh the display now and then."""
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + (BAR_INTERVAL_S if self._is_terminal else LINE_INTERVAL_S)
        self._bar.update(self._task, state=self._state())
        if not self._is_terminal and num_steps > 1:
            self._log()

    def _state(self) -> str:
        return f"mean score {self.mean_score:.1f}" if self.num_finished else "mean score -"

    def _log(self) -> None:
        log.info(
            "%s: %d/%d routes, %s", self.name, self.num_finished, self.num_episodes, self._state()
        )
