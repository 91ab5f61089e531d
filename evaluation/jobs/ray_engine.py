"""Jobs on a ray cluster. Scheduling, lost machines and the list of what runs are ray's own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from evaluation.jobs.command_job import STOPPED, CommandJob, run_command

_POLL_S = 1.0
_LOOPBACK = "127.0.0.1"
# Off, ray believes in 127.0.0.1 and listens nowhere else. On, as it is on Linux, it takes the
# machine's own address instead, and its servers listen on all. Read when ray is imported.
_MANY_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


class RayEngine:
    """Each job is a ray task.

    Args:
        address: `auto` for the cluster that `ray start` has begun on this machine, `HOST:PORT` of
            another, `local` for a ray of this run's own: it listens on loopback only.
        num_cpus: Cores of a job.
        memory_gb: Memory [GiB] of a job, by which ray counts; it enforces nothing.
        resources: Others of a job, as machines were given with `ray start --resources`.
        max_retries: How often ray runs a job again whose machine or process was lost.

    Raises:
        ValueError: ray is not installed, or there is no cluster.
    """

    def __init__(
        self,
        *,
        address: str,
        num_cpus: float,
        memory_gb: float,
        resources: Mapping[str, float],
        max_retries: int,
    ) -> None:
        if address == "local":  # it has no password: nothing but this machine shall reach it
            os.environ[_MANY_MACHINES] = "0"
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ValueError("jobs=ray needs ray: pip install -e '.[ray]'") from error
        self._ray: Any = ray
        self._connect(address)
        self._task = ray.remote(run_command)
        self._demands = {
            "num_cpus": num_cpus,
            "memory": int(memory_gb * 2**30),
            "resources": dict(resources),
            "max_retries": max_retries,
        }

    def _connect(self, address: str) -> None:
        sigterm = signal.getsignal(signal.SIGTERM)  # ray.init takes it
        options = {"include_dashboard": False} if address == "local" else {}
        try:
            self._ray.init(address=address, log_to_driver=False, **options)
        except ConnectionError as error:
            raise ValueError(
                f"jobs.address={address}: no ray cluster answers ({error}). Begin one with "
                "`ray start --head`, or use jobs.address=local (docs/many_machines.md)"
            ) from error
        if address == "local":
            (node,) = self._ray.nodes()
            assert node["NodeManagerAddress"] == _LOOPBACK, "ray was imported before this engine"
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, sigterm)

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        """Run a job to its end, or until `stop` is set; nothing, or why there is no result."""
        ray = self._ray
        reference = self._task.options(name=job.name, **self._demands).remote(job)
        while not ray.wait([reference], timeout=_POLL_S)[0]:
            if stop.is_set():
                ray.cancel(reference, force=True)  # its guard ends with it, and the command too
                return STOPPED
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError:
            raise  # an error of ours, not of a machine
        except ray.exceptions.RayError as error:
            return f"ray: {error}"

    def close(self) -> None:
        """Leave the cluster; a ray of this run's own ends."""
        self._ray.shutdown()
