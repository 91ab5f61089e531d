"""One attempt at a job on this machine: a server starts, an evaluator drives, the server ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from evaluation.leaderboard_jobs.job import JobEnd, RouteJob


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
