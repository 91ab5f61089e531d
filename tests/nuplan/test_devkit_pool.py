"""Devkit worlds in processes, with reactive agents: as the batch, replaced when they die.

Needs the devkit (`make test-nuplan`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sim_adapters.process_pool import PoolSettings, ProcessPool
from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.simulator import Simulator
from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_map import LOCATION
from tests.nuplan.tiny_road import AREAS, POINTS, SLOTS, Road, batch_world, devkit_world, make_road

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]

NUM_STEPS = 40
Rows = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """A log of two scenarios."""
    tags = {210: ("changing_lane",), 250: ("changing_lane",)}
    return make_road(tmp_path_factory.mktemp("road"), TinyLog(tags=tags, jitter_us=2_000))


@pytest.fixture(scope="module")
def pool(road: Road) -> Iterator[ProcessPool]:
    """Two reactive worlds, a process each."""
    from sim_adapters.nuplan.devkit.simulator import make_devkit_simulator

    made = make_devkit_simulator(
        2,
        data_root=road.root / "logs",
        map_root=road.root / "maps",
        cache=None,
        locations=[LOCATION],
        traffic="idm",
        max_actors=SLOTS - 1,
        max_route_points=POINTS,
        max_route_areas=AREAS,
        pool=PoolSettings(starts_at_once=2, close_timeout_s=5.0),
    )
    yield made
    made.close()


def drive(simulator: Simulator) -> list[Rows]:
    """All arrays of the scene after each step of waving wheels and pulsing pedals."""
    seen = []
    for k in range(NUM_STEPS):
        steer = np.full(simulator.scene.num_agents, 0.05 * np.sin(0.3 * k))
        simulator.step(steer, np.full(steer.size, 0.5 if k % 20 < 15 else -0.4))
        seen.append(rows_of(simulator))
    return seen


def rows_of(simulator: Simulator) -> Rows:
    """The scene's arrays but the drivers' places in the batch."""
    return {k: v for k, v in copy_arrays(simulator.scene).items() if k != "ego.world"}


def assert_equal(one: Rows, row: int, other: Rows, other_row: int) -> None:
    for name, array in one.items():
        np.testing.assert_array_equal(array[row], other[name][other_row], err_msg=name)


def test_worlds_in_processes_equal_worlds_alone_and_the_batch(pool: ProcessPool, road: Road):
    pool.reset(np.array([1, 0]), [road.scenarios[1], road.scenarios[0]])
    together = drive(pool)
    for world, scenario in enumerate(road.scenarios):
        alone, batch = devkit_world(road, "idm"), batch_world(road, "idm")
        for simulator in (alone, batch):
            simulator.reset(np.arange(1), [scenario])
        for seen, lone, ours in zip(together, drive(alone), drive(batch), strict=True):
            assert_equal(lone, 0, seen, world)
            for name in ("motion.x", "motion.y", "motion.yaw_rad", "body.vx_mps"):
                np.testing.assert_allclose(ours[name][0], lone[name][0], atol=1e-6, err_msg=name)
        assert together[-1]["traits.valid"][world, 1:].any()  # somebody reacted


def test_the_same_scenario_gives_the_same_drive_in_any_process(pool: ProcessPool, road: Road):
    pool.reset(np.arange(2), [road.scenario, road.scenario])
    for seen in drive(pool):
        assert_equal(seen, 0, seen, 1)


def test_a_process_that_dies_cuts_its_episode_off_and_is_replaced(pool: ProcessPool, road: Road):
    pool.reset(np.arange(2), list(road.scenarios))
    (victim,) = [worker.process for worker in pool._workers if worker.row == 0]
    assert victim is not None
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    before = pool.scene.clocks.elapsed_s[1]
    drive(pool)
    assert pool.scene.clocks.failed.tolist() == [True, False]
    assert pool.num_lost.tolist() == [1, 0]
    assert pool.scene.clocks.elapsed_s[1] > before
    pool.reset(np.array([0]), [road.scenarios[0]])
    assert not pool.scene.clocks.failed.any()
    pool.step(np.zeros(2), np.zeros(2))
    assert pool.scene.clocks.elapsed_s[0] == pytest.approx(0.1, abs=0.01)


def test_a_scenario_that_the_devkit_does_not_find_ends_the_run_by_name(road: Road):
    world = devkit_world(road)
    assert road.scenario.log is not None
    unknown = replace(road.scenario.log, token="00ff00ff00ff00ff")
    with pytest.raises(ValueError, match=r"00ff00ff00ff00ff.*simulator\.data_root must hold"):
        world.reset(np.arange(1), [replace(road.scenario, log=unknown)])
