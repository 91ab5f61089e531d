"""RouteJob: one route with one seed, what is known about its run, and the queue that drives all."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sim_adapters.maps.route_file import checked_name

RECORD_FILE, LOG_FILE = "record.json", "evaluator.log"
# The leaderboard's words for routes that ended by its own rules; everything else is run again
FINAL_STATUSES = (
    "Perfect",
    "Completed",
    "Failed - Agent timed out",
    "Failed - Agent got blocked",
    "Failed - Agent deviated from the route",
)


class JobEnd(StrEnum):
    """How one attempt at a job ended."""

    DONE = "done"
    CRASHED = "crashed"  # the evaluator or its server, as the reason says
    HUNG = "hung"
    STOPPED = "stopped"  # from outside


@dataclass(frozen=True)
class RouteJob:
    """One route with one seed; everything about it lies in `folder`."""

    route_id: str
    town: str
    seed: int  # of the TrafficManager
    folder: Path

    @property
    def name(self) -> str:
        """As messages show it."""
        return f"route {self.route_id} seed {self.seed}"

    @property
    def record_file(self) -> Path:
        """What the evaluator writes."""
        return self.folder / RECORD_FILE

    @property
    def log_file(self) -> Path:
        """The evaluator's output of the last attempt."""
        return self.folder / LOG_FILE


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job."""

    job: RouteJob
    number: int  # from 1
    end: JobEnd
    reason: str = ""  # of an attempt that failed


def make_jobs(routes: list[tuple[str, str]], seeds: range, folder: Path) -> list[RouteJob]:
    """Every route (id, town) with every seed, short names below `folder`.

    Raises:
        ValueError: an id is a path, or two would share a folder, as 1 and 01 do.
    """
    jobs = [
        RouteJob(route_id, town, seed, folder / f"route_{_folder_part(route_id)}_seed_{seed}")
        for route_id, town in routes
        for seed in seeds
    ]
    by_folder: dict[Path, str] = {}
    for job in jobs:
        other = by_folder.setdefault(job.folder, job.route_id)
        if other != job.route_id:
            raise ValueError(
                f"the routes {other} and {job.route_id} would both write to {job.folder}: give "
                "one of them another id"
            )
    return jobs


def _folder_part(route_id: str) -> str:
    return checked_name(route_id, "the route id").zfill(2)


def job_of_folder(folder: Path, town: str) -> RouteJob | None:
    """The job that drove into a folder of `make_jobs`; None if its evaluator wrote no record.

    The record names the route: a folder's name has more digits, and an id may have underscores.
    """
    seed = int(folder.name.rpartition("_seed_")[2])
    try:
        (record,) = json.loads((folder / RECORD_FILE).read_text())["_checkpoint"]["records"]
        return RouteJob(_route_id(record), town, seed, folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _route_id(record: dict[str, Any]) -> str:
    return record["route_id"].removeprefix("RouteScenario_").rpartition("_rep")[0]


def read_record(job: RouteJob) -> dict[str, Any] | None:
    """The job's record if its route ended by the leaderboard's rules, else None.

    A file of another route, a half-written one or a crash's counts as none.
    """
    try:
        document = json.loads(job.record_file.read_text())
        (record,) = document["_checkpoint"]["records"]
        is_final = record["status"] in FINAL_STATUSES and _route_id(record) == job.route_id
        return record if is_final else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def record_problem(job: RouteJob) -> str:
    """Why `read_record` finds nothing, in a few words."""
    try:
        (record,) = json.loads(job.record_file.read_text())["_checkpoint"]["records"]
        return str(record["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return "the evaluator wrote no record"


# Drives all jobs, N at once: a thread each, one attempt after the other

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
