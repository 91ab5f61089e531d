"""Worlds in processes: rows of one batch, lost worlds replaced, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.process_pool import PoolSettings, ProcessPool
from tests.sim_adapters.pool_worlds import (
    BREAK,
    DIE,
    HANG,
    LOSE,
    make_scene,
    scenario,
    world_factory,
)

MAPS = None  # the tiny world has none
ROOT = Path(__file__).parents[2]


def _pool(
    num_worlds: int, folder: Path | None = None, *, fail_starts: int = 0, **settings: float
) -> ProcessPool:
    return ProcessPool(
        world_factory(folder, fail_starts),
        make_scene(num_worlds),
        MAPS,  # pyright: ignore[reportArgumentType]
        PoolSettings(close_timeout_s=5.0, **settings),  # pyright: ignore[reportArgumentType]
    )


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[ProcessPool]:
    """Two worlds and a spare."""
    pool = _pool(2, num_spares=1, step_timeout_s=4.0)
    yield pool
    pool.close()


@pytest.fixture
def pool(shared_pool: ProcessPool) -> ProcessPool:
    """Two worlds and a spare at the start of an episode; whoever loses one gives it back."""
    shared_pool.reset(np.arange(2), [scenario(5), scenario(6)])
    shared_pool.num_lost[:] = 0
    return shared_pool


def _pids(pool: ProcessPool) -> list[int]:
    return [w.process.pid for w in pool._workers if w.process is not None and w.process.pid]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_each_process_writes_its_row(pool: ProcessPool) -> None:
    x, clocks = pool.scene.motion.x, pool.scene.clocks
    assert pool.scene.motion.y[:, 0].tolist() == [5.0, 6.0]
    assert pool.scene.routes.num_points.tolist() == [3, 3]
    pool.step(np.zeros(2), np.array([0.5, -0.25]))
    assert x[:, 0].tolist() == [0.5, -0.25]
    pool.reset(np.array([1]), [scenario(9)])
    assert x[:, 0].tolist() == [0.5, 0.0]  # the other row is not touched
    assert pool.scene.motion.x is x
    assert clocks.elapsed_s.tolist() == [0.1, 0.0]
    assert pool.scene.ego.world.tolist() == [0, 1]


@pytest.mark.parametrize("command", [DIE, LOSE, HANG])
def test_a_lost_world_is_failed_and_the_others_go_on(pool: ProcessPool, command: float) -> None:
    pool.step(np.array([command, 0.0]), np.ones(2))
    assert pool.scene.clocks.failed.tolist() == [True, False]
    assert pool.num_lost.tolist() == [1, 0]
    assert pool.scene.motion.x[1, 0] == 1.0
    pool.reset(np.array([0]), [scenario(7)])
    assert pool.scene.clocks.failed.tolist() == [False, False]
    assert pool.scene.motion.y[0, 0] == 7.0
    pool.step(np.zeros(2), np.ones(2))
    assert pool.scene.motion.x[:, 0].tolist() == [1.0, 2.0]
    assert pool.num_lost.tolist() == [1, 0]


def test_a_spare_takes_over_at_once(pool: ProcessPool) -> None:
    while sum(worker.is_ready for worker in pool._workers) < 3:
        pool.step(np.zeros(2), np.zeros(2))
    (spare,) = [worker.number for worker in pool._workers if worker.row < 0]
    pool.step(np.array([LOSE, 0.0]), np.zeros(2))
    pool.reset(np.array([0]), [scenario(7)])
    assert pool.scene.motion.z[0, 0] == spare


def test_a_process_killed_from_outside_is_replaced(pool: ProcessPool) -> None:
    (victim,) = [worker.process for worker in pool._workers if worker.row == 0]
    assert victim is not None
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    pool.step(np.zeros(2), np.ones(2))
    assert pool.num_lost.tolist() == [1, 0]
    pool.reset(np.array([0]), [scenario(8)])
    pool.step(np.zeros(2), np.ones(2))
    assert not pool.scene.clocks.failed.any()


def test_worlds_lost_at_the_start_are_started_again(tmp_path: Path) -> None:
    pool = _pool(1, tmp_path, fail_starts=2)
    pool.reset(np.arange(1), [scenario(5)])
    pool.close()
    assert (tmp_path / "starts_0").read_text() == "xxx"
    assert pool.num_lost.tolist() == [0]  # no episode had begun


def test_worlds_that_never_start_end_the_run(tmp_path: Path) -> None:
    pool = _pool(1, tmp_path, fail_starts=99, max_lost_in_a_row=2)
    with pytest.raises(RuntimeError, match=r"3 world processes were lost.*no licence left"):
        pool.reset(np.arange(1), [scenario(5)])
    pool.close()


def test_episodes_that_never_begin_end_the_run() -> None:
    pool = _pool(1, reset_timeout_s=0.2, max_lost_in_a_row=1)
    with pytest.raises(RuntimeError, match=r"2 world processes were lost.*no answer within 0.2 s"):
        pool.reset(np.arange(1), [scenario(5, "endless")])
    pool.close()


def test_errors_of_a_world_are_raised_with_its_name() -> None:
    pool = _pool(2)
    pool.reset(np.arange(2), [scenario(5), scenario(6)])
    with pytest.raises(ValueError, match="route of one point") as caught:
        pool.reset(np.array([1]), [scenario(1, "impossible")])
    assert "world 1 (impossible)" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="KeyError: 'a bug'") as error:
        pool.step(np.array([BREAK, 0.0]), np.zeros(2))
    assert "world 0 (straight)" in error.value.__notes__[0]
    pool.close()


def test_a_saved_pool_shows_its_scene_and_begins_anew(pool: ProcessPool) -> None:
    pool.step(np.zeros(2), np.ones(2))
    state = pool.state_dict()
    pool.step(np.zeros(2), np.ones(2))
    pool.load_state_dict(state)
    assert pool.scene.motion.x[:, 0].tolist() == [1.0, 1.0]
    pool.step(np.zeros(2), np.ones(2))
    assert pool.scene.clocks.failed.all()
    pool.reset(np.arange(2), [scenario(1), scenario(2)])
    assert not pool.scene.clocks.failed.any()
    assert pool.num_lost.tolist() == [0, 0]


def test_closing_ends_the_processes_and_their_worlds(tmp_path: Path) -> None:
    pool = _pool(2, tmp_path)
    pool.reset(np.arange(2), [scenario(5), scenario(6)])
    pids = _pids(pool)
    pool.close()
    pool.close()
    assert len(pids) == 2
    assert not any(_is_alive(pid) for pid in pids)
    assert (tmp_path / "closed_0").exists()
    assert (tmp_path / "closed_1").exists()
    assert pool.scene.motion.y[:, 0].tolist() == [5.0, 6.0]  # still readable


_COMMAND = """
import sys, time
import numpy as np
from tests.sim_adapters.test_process_pool import _pids, _pool
from tests.sim_adapters.pool_worlds import scenario
pool = _pool(2)
pool.reset(np.arange(2), [scenario(5), scenario(6)])
print(*_pids(pool), flush=True)
if sys.argv[1] == "end":
    sys.exit()
time.sleep(60.0)
"""


@pytest.mark.parametrize("end", ["end", "SIGTERM", "SIGKILL"])
def test_no_process_outlives_the_command(end: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, end],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert command.stdout is not None
    pids = [int(pid) for pid in command.stdout.readline().split()]
    if end != "end":
        command.send_signal(getattr(signal, end))
    command.wait(timeout=30.0)
    deadline = time.monotonic() + 10.0
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(_is_alive(pid) for pid in pids)
    assert not list(Path("/dev/shm").glob(f"pym-{command.pid}-*"))  # RawArray's files
