"""Drives all jobs on N servers: a thread each, one evaluator process after the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from evaluation.leaderboard_jobs.job import Attempt, JobEnd, RouteJob, read_record

log = logging.getLogger(__name__)


class JobServer(Protocol):
    """One CARLA server; `sim_adapters.carla.servers.LiveServer` is one."""

    @property
    def port(self) -> int:
        """RPC port, known once started."""
        ...

    @property
    def tm_port(self) -> int:
        """Port for the TrafficManager."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers; RuntimeError if it does not."""
        ...

    def stop(self) -> None:
        """End it; safe to call twice."""
        ...


MakeServer = Callable[[int, RouteJob], JobServer]
# Drives one job on the server with this port and TrafficManager port
RunJob = Callable[[RouteJob, int, int, threading.Event], tuple[JobEnd, str]]


@dataclass(frozen=True)
class QueueOutcome:
    """What a run of the queue came to."""

    attempts: list[Attempt]  # of this run; resumed jobs have none
    missing: dict[RouteJob, str]  # jobs without a record, and why


class JobQueue:
    """Jobs in the order given; those that fail go to the back until their attempts are used up.

    Args:
        jobs: All jobs; those with a record are taken as done.
        make_server: Gives thread n's server for a job; each job gets a fresh one, since what a
            crashed evaluator left in a world would be on the next one's road.
        run_job: Drives one job.
        num_servers: Threads.
        max_attempts: Of each job.
        on_attempt: Told of each attempt, on the thread that made it.
    """

    def __init__(
        self,
        jobs: Sequence[RouteJob],
        make_server: MakeServer,
        run_job: RunJob,
        *,
        num_servers: int,
        max_attempts: int,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        self.jobs = list(jobs)
        self.num_servers, self.max_attempts = num_servers, max_attempts
        self.stop = threading.Event()
        self._make_server, self._run_job, self._on_attempt = make_server, run_job, on_attempt
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
        num_threads = max(1, min(self.num_servers, len(self._waiting)))
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
                self._finish(job, *self._attempt(number, job))
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

    def _attempt(self, number: int, job: RouteJob) -> tuple[JobEnd, str]:
        server = self._make_server(number, job)
        try:
            server.start()
            return self._run_job(job, server.port, server.tm_port, self.stop)
        except RuntimeError as error:  # how a server that does not come up is reported
            return JobEnd.CRASHED, f"server: {error}"
        finally:
            server.stop()

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
