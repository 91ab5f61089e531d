"""Workers: a list of tasks done by several processes, or in this one, with a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from types import TracebackType
from typing import TypeVar

from sim_adapters.nuplan.scenario_cache.report import show_progress

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Workers:
    """Processes that live through several lists of tasks; a context manager.

    Args:
        num_workers: Processes; with 1 tasks are done here.
    """

    def __init__(self, num_workers: int) -> None:
        # Spawned rather than forked: libraries that run threads do not survive a fork
        context = multiprocessing.get_context("spawn")
        self._pool = (
            ProcessPoolExecutor(num_workers, mp_context=context) if num_workers > 1 else None
        )

    def run(
        self, work: Callable[[Task], Answer], tasks: Sequence[Task], what: str
    ) -> Iterator[tuple[Task, Answer]]:
        """Every task with its answer, as they come."""
        if self._pool is None or len(tasks) <= 1:
            done = ((task, work(task)) for task in tasks)
        else:
            futures = {self._pool.submit(work, task): task for task in tasks}
            done = ((futures[future], future.result()) for future in as_completed(futures))
        yield from show_progress(done, len(tasks), what)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)  # a stopped command leaves its list undone
