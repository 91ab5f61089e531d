"""ProcessPool: N one-world simulators in processes, one SceneBatch in shared memory.

For backends that need a process each (a CARLA client and its server, nuPlan's devkit). A process
whose world is lost is replaced while the other worlds go on: its row is marked `failed`, which
truncates the episode, and the next one starts in a spare process, or in the replacement.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from sim_adapters.pool_worker import (
    ACCELERATION,
    STEER,
    Close,
    Done,
    Failed,
    Lost,
    MakeWorld,
    Reset,
    Step,
    WorldLostError,
    serve,
)
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import (
    SharedArrays,
    copy_arrays,
    iterate_arrays,
    rebuild,
    restore_arrays,
)
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch

__all__ = ["ProcessPool", "WorldLostError"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoolSettings:
    """How patient a pool is."""

    num_spares: int = 0  # processes more than worlds, which take over at once from a lost one
    starts_at_once: int = 2  # processes that may be starting at the same time
    start_timeout_s: float = 300.0  # until a process has made its world
    reset_timeout_s: float = 180.0  # until an episode has begun
    step_timeout_s: float = 60.0
    close_timeout_s: float = 15.0
    max_lost_in_a_row: int = 8  # starts and resets lost without a success between: the run ends


@dataclass
class _Worker:
    """A process as the parent sees it."""

    number: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    is_ready: bool = False
    row: int = -1  # which world it drives, -1 none
    started_s: float = 0.0


class ProcessPool:
    """B worlds with one driver each (a `Simulator`).

    Args:
        make_world: Called with a process' number in each process; gives a simulator of one world
            whose scene has the shapes of `scene`. Must be importable there: no lambda.
        scene: B empty worlds; the pool's own `scene` is a copy in shared memory.
        maps: What the scenarios refer to.
        settings: How many processes, how patient.
    """

    def __init__(
        self,
        make_world: MakeWorld,
        scene: SceneBatch,
        maps: MapBank,
        settings: PoolSettings | None = None,
    ) -> None:
        self.maps = maps
        self.settings = settings or PoolSettings()
        self._context = multiprocessing.get_context("spawn")
        actions = {name: np.zeros(scene.num_agents) for name in (STEER, ACCELERATION)}
        self._shared = SharedArrays(dict(iterate_arrays(scene)) | actions, self._context)
        views = self._shared.views()
        self.scene: SceneBatch = rebuild(scene, views)
        self.num_lost = np.zeros(scene.num_worlds, np.int64)  # episodes cut off by a lost world
        self._steer, self._acceleration = views[STEER], views[ACCELERATION]
        self._make_world = make_world
        self._workers = [_Worker(n) for n in range(scene.num_worlds + self.settings.num_spares)]
        self._scenarios: list[str] = [""] * scene.num_worlds  # what each world drives, for logs
        self._beginning: dict[int, Scenario] = {}  # rows amid a reset
        self._lost_in_a_row = 0
        self._is_closed = False
        atexit.register(self.close)  # runs before multiprocessing waits for its children
        self._start_some()

    # Simulator -------------------------------------------------------------------------------

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start `scenarios[i]` in `worlds[i]`, in other processes where the last ones were lost.

        Raises:
            ValueError: a world refuses its scenario.
            RuntimeError: a process met an error, or worlds are lost again and again.
        """
        waiting = dict(zip((int(world) for world in worlds), scenarios, strict=True))
        for row, scenario in waiting.items():
            self._scenarios[row] = scenario.scenario_id
        self._beginning = waiting
        while waiting:
            self._assign(waiting)
            busy = [worker for worker in self._workers if worker.row in waiting]
            for worker in busy:
                self._send(worker, Reset(worker.row, waiting[worker.row]))
            for worker in self._collect(busy, self.settings.reset_timeout_s):
                del waiting[worker.row]
                self._lost_in_a_row = 0

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Advance every world; one that is lost on the way is `failed` until its reset.

        Raises:
            RuntimeError: a process met an error.
        """
        self._steer[:], self._acceleration[:] = steer, acceleration
        busy = [worker for worker in self._workers if worker.row >= 0]
        for worker in busy:
            self._send(worker, Step(worker.row))
        driven = {worker.row for worker in self._collect(busy, self.settings.step_timeout_s)}
        for row in range(self.scene.num_worlds):
            if row not in driven and not self.scene.clocks.failed[row]:
                self.scene.clocks.failed[row] = True
                self.num_lost[row] += 1
        self._note_started()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The scene; what the processes stand on cannot be saved."""
        return copy_arrays(self.scene) | {"num_lost": self.num_lost.copy()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Show the saved scene as that of lost worlds: the next step is each episode's last."""
        restore_arrays(self.scene, state)
        self.num_lost[:] = state["num_lost"]
        self.scene.clocks.failed[:] = True
        for worker in self._workers:
            worker.row = -1

    def close(self) -> None:
        """End all processes; safe to call twice. The scene stays readable."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        for worker in self._workers:
            if worker.connection is not None and worker.is_ready:
                try:
                    worker.connection.send(Close())
                except OSError:
                    _logger.debug("world process %d had ended already", worker.number)
        deadline = monotonic() + self.settings.close_timeout_s
        for worker in self._workers:
            if worker.process is not None and worker.is_ready:
                worker.process.join(max(deadline - monotonic(), 0.0))
            self._end(worker)

    # Processes -------------------------------------------------------------------------------

    def _start_some(self) -> None:
        """Start processes that are missing, not too many at once."""
        starting = sum(w.process is not None and not w.is_ready for w in self._workers)
        for worker in self._workers:
            if worker.process is None and starting < self.settings.starts_at_once:
                self._start(worker)
                starting += 1

    def _start(self, worker: _Worker) -> None:
        ours, theirs = self._context.Pipe()
        worker.process = self._context.Process(
            target=serve,
            args=(theirs, worker.number, self._make_world, self._shared, _effective_level()),
            name=f"world-process-{worker.number}",
            daemon=True,
        )
        with _main_module_hidden():
            worker.process.start()
        theirs.close()
        worker.connection, worker.is_ready, worker.started_s = ours, False, monotonic()

    def _end(self, worker: _Worker) -> None:
        """Make sure that a process is gone; its servers go with it."""
        if worker.connection is not None:
            worker.connection.close()
        if worker.process is not None:
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            worker.process.close()
        worker.process, worker.connection = None, None
        worker.is_ready, worker.row = False, -1

    def _replace(self, worker: _Worker, reason: str) -> None:
        """Start anew what was lost; raises if too many are, one after the other."""
        if not worker.is_ready or worker.row in self._beginning:
            self._count_loss(reason)
        what = f"world {worker.row} ({self._scenarios[worker.row]})" if worker.row >= 0 else "start"
        _logger.warning("process %d lost its %s: %s", worker.number, what, reason)
        self._end(worker)
        self._start_some()

    def _assign(self, waiting: Mapping[int, Scenario]) -> None:
        """Give every waiting row a ready process, if need be wait until there is one."""
        for row in waiting:
            while all(worker.row != row for worker in self._workers):
                free = [w for w in self._workers if w.is_ready and w.row < 0]
                # Its own number first: a server that has the row's town loaded already
                free.sort(key=lambda worker: worker.number != row)
                if free:
                    free[0].row = row
                else:
                    self._note_started(timeout_s=1.0)

    def _note_started(self, timeout_s: float = 0.0) -> None:
        """Take note of processes that have become ready, or have failed to."""
        starting = {w.connection: w for w in self._workers if w.connection and not w.is_ready}
        if not starting:
            return
        for connection in wait(list(starting), timeout_s):
            assert isinstance(connection, Connection)
            worker = starting[connection]
            if self._answer(worker):
                worker.is_ready = True
                num_ready = sum(worker.is_ready for worker in self._workers)
                _logger.info("%d of %d world processes are ready", num_ready, len(self._workers))
        for worker in starting.values():
            late = monotonic() - worker.started_s > self.settings.start_timeout_s
            if worker.process is not None and not worker.is_ready and late:
                self._replace(worker, f"not ready within {self.settings.start_timeout_s:g} s")
        self._start_some()

    def _send(self, worker: _Worker, message: Reset | Step) -> None:
        assert worker.connection is not None
        try:
            worker.connection.send(message)
        except OSError:
            _logger.debug("world process %d has ended", worker.number)  # `_collect` deals with it

    def _collect(self, busy: list[_Worker], timeout_s: float) -> list[_Worker]:
        """Those of `busy` that did what they were asked to; the others are replaced."""
        done = []
        pending = {worker.connection: worker for worker in busy if worker.connection}
        deadline = monotonic() + timeout_s
        while pending:
            answered = wait(list(pending), max(deadline - monotonic(), 0.0))
            for connection in answered:
                assert isinstance(connection, Connection)
                worker = pending.pop(connection)
                if self._answer(worker):
                    done.append(worker)
            if not answered:
                for worker in pending.values():
                    self._replace(worker, f"no answer within {timeout_s:g} s")
                break
        return done

    def _answer(self, worker: _Worker) -> bool:
        """Read one answer; False if the process was lost and replaced."""
        assert worker.connection is not None
        assert worker.process is not None
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            answer = Lost(f"the process ended with exit code {worker.process.exitcode}")
        if isinstance(answer, Done):
            return True
        row, scenario = worker.row, self._scenarios[worker.row] if worker.row >= 0 else ""
        if isinstance(answer, Failed):
            where = f"world {row} ({scenario})" if row >= 0 else f"world process {worker.number}"
            answer.error.add_note(f"in {where}:\n{answer.details}")
            raise answer.error
        self._replace(worker, answer.reason)
        return False

    def _count_loss(self, reason: str) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row > self.settings.max_lost_in_a_row:
            raise RuntimeError(
                f"{self._lost_in_a_row} world processes were lost without an episode begun in "
                f"between, the last one because: {reason}"
            )


def _effective_level() -> int:
    return _logger.getEffectiveLevel()


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep a spawned process from running the command's module: it would import torch for nothing.

    `multiprocessing` imports the parent's main module into every spawned process, for functions
    that live there; ours don't.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
