"""One attempt at a job wherever an engine sends it: `ServedDrive` as a command of its own.

`python -m evaluation.leaderboard_jobs.far_drive FOLDER` reads the order that lies in a job's
folder, drives, and leaves there how the attempt ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from evaluation.jobs.command_job import PYTHON, CommandJob, JobEngine
from evaluation.leaderboard_jobs.evaluator_process import (
    EvaluatorSettings,
    OfficialServers,
    Upstream,
    run_evaluator,
)
from evaluation.leaderboard_jobs.job import JobEnd, RouteJob
from evaluation.scoring.results_file import write_json
from sim_adapters.carla.servers import ServerSettings

# One attempt at a job on this machine: a server starts, an evaluator drives, the server ends.


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


class ServedDrive:
    """Makes attempts at jobs (a job queue's `Drive`).

    Args:
        make_server: Gives thread n's server for a job; each job gets a fresh one, since what a
            crashed evaluator left in a world would be on the next one's road.
        run_job: Drives one job.
    """

    def __init__(self, make_server: MakeServer, run_job: RunJob) -> None:
        self._make_server, self._run_job = make_server, run_job

    def __call__(self, number: int, job: RouteJob, stop: threading.Event) -> tuple[JobEnd, str]:
        """One attempt; its end and, if it isn't DONE, the reason."""
        server = self._make_server(number, job)
        try:
            server.start()
            return self._run_job(job, server.port, server.tm_port, stop)
        except RuntimeError as error:  # how a server that does not come up is reported
            return JobEnd.CRASHED, f"server: {error}"
        finally:
            server.stop()


ORDER_FILE, END_FILE = "order.json", "end.json"
_EVALUATOR_PATHS = ("routes", "agent_config", "agent")


class FarDrive:
    """Makes attempts at jobs (a job queue's `Drive`).

    Args:
        engine: Runs the command.
        evaluators: How evaluators run.
        servers: Theirs. Thread n's ports are its own on whatever machine it drives, so that drives
            may share one.
    """

    def __init__(
        self, engine: JobEngine, evaluators: EvaluatorSettings, servers: OfficialServers
    ) -> None:
        self._engine, self._evaluators, self._servers = engine, evaluators, servers

    def __call__(self, number: int, job: RouteJob, stop: threading.Event) -> tuple[JobEnd, str]:
        """One attempt; its end and, if it isn't DONE, the reason."""
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / END_FILE).unlink(missing_ok=True)
        write_json(job.folder / ORDER_FILE, self._order(number, job))
        command = (PYTHON, "-m", "evaluation.leaderboard_jobs.far_drive", str(job.folder))
        problem = self._engine.run(CommandJob(job.name, command, job.folder, END_FILE), stop)
        if stop.is_set():
            return JobEnd.STOPPED, "stopped from outside"
        if problem:
            return JobEnd.CRASHED, problem
        os.listdir(job.folder)  # has a network file system look for what another machine wrote
        end = json.loads((job.folder / END_FILE).read_text())
        return JobEnd(end["end"]), end["reason"]

    def _order(self, number: int, job: RouteJob) -> dict[str, Any]:
        evaluators = asdict(self._evaluators)
        servers = asdict(self._servers.settings)
        del servers["headless_version"]  # found anew
        order = {
            "job": asdict(job),
            "evaluators": evaluators,
            "servers": servers,
            "number": number,
            "num_servers": self._servers.num_servers,
            "run_folder": self._servers.folder,
        }
        return json.loads(json.dumps(order, default=str))  # paths as text


def drive_order(folder: Path) -> None:
    """Carry out the order in a job's folder."""
    order = json.loads((folder / ORDER_FILE).read_text())
    job = RouteJob(**order["job"] | {"folder": folder})
    evaluators = order["evaluators"]
    upstream = Upstream(**{name: Path(path) for name, path in evaluators.pop("upstream").items()})
    paths = {name: Path(evaluators[name]) for name in _EVALUATOR_PATHS}
    settings = EvaluatorSettings(upstream, **evaluators | paths)
    given = order["servers"]
    command = given["command"] and tuple(given["command"])
    servers = OfficialServers(
        ServerSettings(**given | {"command": command}),
        order["num_servers"],
        Path(order["run_folder"]),
    )
    drive = ServedDrive(servers.make, partial(run_evaluator, settings))
    end, reason = drive(order["number"], job, threading.Event())
    write_json(folder / END_FILE, {"end": end, "reason": reason})


if __name__ == "__main__":
    drive_order(Path(sys.argv[1]))
