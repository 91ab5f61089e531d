"""RouteJob: one route with one seed, and what is known about its run."""

from __future__ import annotations

import json
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
