"""Drives all routes of a benchmark in a batch of worlds and returns one EpisodeResult each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from evaluation.drivers.planners import Planner
from evaluation.rollout.route_queue import EvaluationTask, RouteQueue
from evaluation.scoring.episode_record import EpisodeRecord
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.referee import LeaderboardReferee, StepWatcher
from rewards.reward_breakdown import Reward
from sim_adapters.driving_env import DrivingVectorEnv
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.simulator import PlaysScripts


class Listener(Protocol):
    """Follows a rollout: a progress bar, a recorder."""

    def episode_finished(self, result: EpisodeResult) -> None:
        """One route is done."""
        ...

    def stepped(self, num_steps: int) -> None:
        """All worlds have made one more step; `num_steps` so far."""
        ...


class Recorder(StepWatcher, Protocol):
    """Records drives: sees every step, and is told where each begins and ends."""

    def begin(
        self, agent: int, task: EvaluationTask | None, scene: SceneBatch, maps: MapBank
    ) -> None:
        """Driver `agent` starts a task, or drives on unrecorded."""
        ...

    def decided(self, observation: Mapping[str, np.ndarray], planner: Planner) -> None:
        """`planner` has chosen the actions of the next steps on this observation."""
        ...

    def end(self, agent: int, result: EpisodeResult) -> None:
        """The drive of `agent` is over and judged."""
        ...


def run_episodes(
    env: DrivingVectorEnv,
    planner: Planner,
    tasks: Sequence[EvaluationTask],
    *,
    listener: Listener | None = None,
    recorder: Recorder | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[EpisodeResult]:
    """Drive every task once; none is lost, whatever the number of worlds.

    Args:
        env: Its worlds are used for these tasks from now on.
        planner: Drives all worlds.
        tasks: Routes with their seeds.
        listener: Told of every step and every finished route.
        recorder: Records the drives.
        clock: Wall clock [s].

    Returns:
        One result per task, in the order in which they finished.
    """
    queue = RouteQueue(tasks, env.num_envs)
    referee = LeaderboardReferee(
        inner_reward(env),
        env.scene,
        env.memory.route,
        recorder,
        **script_facts(env),
    )
    env.scenarios, env.driving_reward = queue, referee
    observation = env.restart()
    started_s = np.full(env.num_envs, clock())
    _open_records(env, queue, referee, planner, recorder, np.arange(env.num_envs))
    results: list[EpisodeResult] = []
    num_steps = 0
    while len(results) < queue.num_tasks:
        driven = list(queue.running)  # a finished world gets its next task within the step
        actions = planner.act(observation, env)
        if recorder:
            recorder.decided(observation, planner)
        observation, _, terminated, truncated, _ = env.step(actions)
        num_steps += 1
        finished = np.flatnonzero(terminated | truncated)
        for agent in finished:
            task = driven[agent]
            if task is not None:
                wall_s = clock() - started_s[agent]
                record = referee.records.read(int(agent))
                result = episode_result(task, record, env.scene.step_s, wall_s)
                results.append(result)
                if recorder:
                    recorder.end(int(agent), result)
                if listener:
                    listener.episode_finished(result)
            started_s[agent] = clock()
        if finished.size:
            _open_records(env, queue, referee, planner, recorder, finished)
        if listener:
            listener.stepped(num_steps)
    return results


def script_facts(env: DrivingVectorEnv) -> dict[str, Callable[..., Any]]:
    """What a referee asks of a simulator that plays the scenarios of its routes itself."""
    simulator, worlds = env.simulator, env.scene.ego.world
    if not isinstance(simulator, PlaysScripts):
        return {}
    return {
        "started_triggers": lambda: simulator.begun_triggers()[worlds],
        "timed_out_triggers": lambda: simulator.timed_out_triggers()[worlds],
        "held_up": lambda: simulator.held_up()[worlds],
        "traffic_speed": lambda _: simulator.background_speed_mps()[worlds],
    }


def inner_reward(env: DrivingVectorEnv) -> Reward:
    """The reward of the environment without the referee that an earlier rollout put before it."""
    reward = env.driving_reward
    return reward.driving_reward if isinstance(reward, LeaderboardReferee) else reward


def _open_records(
    env: DrivingVectorEnv,
    queue: RouteQueue,
    referee: LeaderboardReferee,
    planner: Planner,
    recorder: Recorder | None,
    agents: np.ndarray,
) -> None:
    for agent in map(int, agents):
        task = queue.running[agent]
        referee.begin(agent, task.scenario.route.length_m if task else 0.0)
        if recorder:
            recorder.begin(agent, task, env.scene, env.maps)
    planner.begin_episodes(agents, env)


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
