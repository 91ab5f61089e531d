"""Drives all jobs, N at once: a thread each, one attempt after the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from evaluation.leaderboard_jobs.job import Attempt, JobEnd, RouteJob, read_record

log = logging.getLogger(__name__)


# Thread n's attempt at a job, ended early by the event: its end and, if it isn't DONE, the reason
Drive = Callable[[int, RouteJob, threading.Event], tuple[JobEnd, str]]


@dataclass(frozen=True)
class QueueOutcome:
    """What a run of the queue came to."""

    attempts: list[Attempt]  # of this run; resumed jobs have none
    missing: dict[RouteJob, str]  # jobs without a record, and why


class JobQueue:
    """Jobs in the order given; those that fail go to the back until their attempts are used up.

    Args:
        jobs: All jobs; those with a record are taken as done.
        drive: Makes one attempt at a job, on one of `num_drives` threads.
        num_drives: At once.
        max_attempts: Of each job.
        on_attempt: Told of each attempt, on the thread that made it.
    """

    def __init__(
        self,
        jobs: Sequence[RouteJob],
        drive: Drive,
        *,
        num_drives: int,
        max_attempts: int,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        self.jobs = list(jobs)
        self.num_drives, self.max_attempts = num_drives, max_attempts
        self.stop = threading.Event()
        self._drive, self._on_attempt = drive, on_attempt
        self._waiting = [job for job in self.jobs if read_record(job) is None]
        self._num_running = 0
        self._attempts: list[Attempt] = []
        self._changed = threading.Condition()

    @property
    def num_resumed(self) -> int:
        """Jobs that an earlier run has done."""
        return len(self.jobs) - len(self._waiting)

    def run(self) -> QueueOutcome:
        """Drive everything; returns when no job is left to try, or after `stop` was set.

        Ctrl-C ends all evaluators and servers before it travels on.
        """
        num_threads = max(1, min(self.num_drives, len(self._waiting)))
        with ThreadPoolExecutor(num_threads) as pool:
            try:
                workers = [pool.submit(self._work, number) for number in range(num_threads)]
                for worker in workers:
                    worker.result()
            finally:
                self._give_up()
        return QueueOutcome(self._attempts, self._missing())

    def _give_up(self) -> None:
        self.stop.set()
        with self._changed:
            self._changed.notify_all()

    def _work(self, number: int) -> None:
        try:
            while (job := self._take()) is not None:
                self._finish(job, *self._drive(number, job, self.stop))
        except BaseException:
            self._give_up()  # an unexpected error ends the run, not just this thread
            raise

    def _take(self) -> RouteJob | None:
        """The next job; waits while others may still come back. None when there is no more."""
        with self._changed:
            while not self._waiting and self._num_running and not self.stop.is_set():
                self._changed.wait()
            if self.stop.is_set() or not self._waiting:
                return None
            self._num_running += 1
            return self._waiting.pop(0)

    def _finish(self, job: RouteJob, end: JobEnd, reason: str) -> None:
        with self._changed:
            number = 1 + sum(attempt.job == job for attempt in self._attempts)
            attempt = Attempt(job, number, end, reason)
            self._attempts.append(attempt)
            self._num_running -= 1
            if end in (JobEnd.CRASHED, JobEnd.HUNG) and number < self.max_attempts:
                self._waiting.append(job)
            self._changed.notify_all()
        if end in (JobEnd.CRASHED, JobEnd.HUNG):
            log.warning("%s, attempt %d of %d: %s", job.name, number, self.max_attempts, reason)
        if self._on_attempt is not None:
            self._on_attempt(attempt)

    def _missing(self) -> dict[RouteJob, str]:
        reasons = {attempt.job: attempt.reason for attempt in self._attempts}
        return {job: reasons.get(job, "not tried") for job in self.jobs if read_record(job) is None}
