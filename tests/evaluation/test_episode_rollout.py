import dataclasses
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.evaluate import triggers_statement
from evaluation.rollout.benchmark import RouteQueue, make_tasks, world_seed
from evaluation.rollout.episode_rollout import run_episodes
from evaluation.scoring.episode_result import InfractionKind
from sim_adapters.scene.scenario import ScenarioTrigger
from tests.evaluation.fake_drive import FakeWorlds, MetreAStep, no_reward, straight_scenario

LENGTHS = {"1": 40, "2": 15, "3": 25, "4": 60, "5": 5, "6": 33, "7": 20}


def tasks_of(seeds=(0,)):
    return make_tasks([straight_scenario(k, length) for k, length in LENGTHS.items()], seeds)


@pytest.mark.parametrize("num_worlds", [1, 3, 7, 20])
def test_every_route_is_driven_once_whatever_the_number_of_worlds(num_worlds):
    results = run_episodes(FakeWorlds(num_worlds), MetreAStep(), tasks_of((0, 1)), no_reward)
    driven = sorted((result.route_id, result.seed) for result in results)
    assert driven == sorted((route, seed) for route in LENGTHS for seed in (0, 1))


def test_results_do_not_depend_on_the_number_of_worlds():
    def outcomes(num_worlds):
        results = run_episodes(FakeWorlds(num_worlds), MetreAStep(), tasks_of(), no_reward)
        return {r.route_id: (r.route_completion, r.duration_s, r.length_m) for r in results}

    assert outcomes(1) == outcomes(4)


def test_an_episode_holds_the_facts_of_its_own_route():
    for result in run_episodes(FakeWorlds(3), MetreAStep(0.5), tasks_of(), no_reward):
        length = LENGTHS[result.route_id]
        assert result.length_m == length
        assert result.route_completion == 100.0
        assert result.mean_speed_mps == pytest.approx(5.0)
        # The last 10 m are skipped by the leaderboard's arrival rule past 99 % only.
        assert length - 1 <= result.duration_s / 0.1 * 0.5 <= length
        assert result.episode_return == pytest.approx(100.0, abs=2.0)


def test_triggers_that_have_begun_are_counted_before_the_world_is_reset():
    env, begun, timed_out = FakeWorlds(1), np.zeros(1, np.int64), np.zeros(1, np.int64)
    env.simulator = SimpleNamespace(
        begun_triggers=lambda: begun,
        timed_out_triggers=lambda: timed_out,
        held_up=lambda: np.zeros(1, np.bool_),
        background_speed_mps=lambda: np.full(1, np.nan),
    )
    trigger = ScenarioTrigger("ControlLoss_1", "ControlLoss", 0.0, 0.0, 0.0, 0.0)
    scenario = replace(straight_scenario("1", 30), triggers=(trigger,) * 3)

    class Reaches(MetreAStep):
        def act(self, worlds):
            begun[0], timed_out[0] = 2, 1
            return super().act(worlds)

    (result,) = run_episodes(env, Reaches(), make_tasks([scenario], [0]), no_reward)
    assert (result.num_triggers, result.num_started) == (3, 2)
    # Once, though the simulator says so in every step: 0.7 of the points
    assert [found.kind for found in result.infractions] == [InfractionKind.SCENARIO_TIMEOUT]
    others = "the others lie beyond the end of a drive, or are named in the log as not played"
    statement = f"2 of 3 triggers started; {others}"
    assert triggers_statement([result]) == statement
    none, all_of_them = (
        dataclasses.replace(result, num_triggers=number, num_started=number) for number in (0, 3)
    )
    assert triggers_statement([none]) == "the routes have none"
    assert triggers_statement([none, all_of_them]) == "all 3 triggers started"


def test_a_simulator_without_scenarios_starts_none():
    (result, *_) = run_episodes(FakeWorlds(1), MetreAStep(), tasks_of(), no_reward)
    assert (result.num_triggers, result.num_started) == (0, 0)


def test_worlds_can_be_used_for_another_driver():
    env = FakeWorlds(3)
    first = run_episodes(env, MetreAStep(), tasks_of(), no_reward)
    second = run_episodes(env, MetreAStep(0.5), tasks_of(), no_reward)
    assert len(first) == len(second) == len(LENGTHS)
    assert sum(r.duration_s for r in second) > 1.8 * sum(r.duration_s for r in first)


def test_long_routes_start_first():
    queue = RouteQueue(tasks_of(), 2)
    lengths = [queue.next_scenario(0).route.length_m for _ in range(7)]
    assert lengths == sorted(LENGTHS.values(), reverse=True)


def test_a_world_without_a_task_is_marked():
    queue = RouteQueue(tasks_of()[:1], 2)
    queue.next_scenario(0)
    queue.next_scenario(1)
    assert queue.running[0] is not None
    assert queue.running[1] is None


def test_seed_of_a_world_follows_from_route_and_seed_alone():
    alone = make_tasks([straight_scenario("4", 60)], [1])[0]
    among = next(t for t in tasks_of((0, 1)) if t.scenario.scenario_id == "4" and t.seed == 1)
    assert alone.scenario.seed == among.scenario.seed == world_seed("4", 1)
    assert len({world_seed(route, seed) for route in LENGTHS for seed in range(5)}) == 35


def test_a_benchmark_without_routes_is_refused():
    with pytest.raises(ValueError, match="no route to drive"):
        RouteQueue([], 2)
