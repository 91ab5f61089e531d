"""Jobs under SLURM, each an allocation of its own, submitted and asked after by submitit."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Literal

from evaluation.jobs.command_job import STOPPED, CommandJob, run_command

_POLL_S = 1.0  # submitit itself asks SLURM less often, and once for all jobs


class SlurmEngine:
    """Each job is a SLURM job.

    Args:
        folder: Of submitit's own files; shared like the jobs' folders.
        partition: SLURM's; None for the default one.
        num_cpus: Cores of a job.
        memory_gb: Memory [GB] of a job.
        timeout_min: Time limit of a job.
        cluster: `local` runs the same without SLURM, as a check of the settings.

    Raises:
        ValueError: submitit is not installed, or there is no SLURM.
    """

    def __init__(
        self,
        *,
        folder: str,
        partition: str | None,
        num_cpus: int,
        memory_gb: float,
        timeout_min: int,
        cluster: Literal["slurm", "local"],
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise ValueError("jobs=slurm needs submitit: pip install -e '.[slurm]'") from error
        try:
            self._executor = submitit.AutoExecutor(Path(folder).resolve(), cluster=cluster)
        except RuntimeError as error:  # submitit's, where there is no `srun`
            raise ValueError(f"jobs=slurm: {error}") from error
        self._executor.update_parameters(
            timeout_min=timeout_min, cpus_per_task=num_cpus, mem_gb=memory_gb
        )
        if partition is not None:
            self._executor.update_parameters(slurm_partition=partition)
        self._lock = threading.Lock()

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        """Run a job to its end, or until `stop` is set; nothing, or why there is no result."""
        with self._lock:
            self._executor.update_parameters(name=_short(job.name))
            submitted = self._executor.submit(_run_interruptibly, job)
        while not submitted.done():
            if stop.wait(_POLL_S):
                submitted.cancel(check=False)
                return STOPPED
        error = submitted.exception()
        return submitted.result() if error is None else f"SLURM job {submitted.job_id}: {error}"

    def close(self) -> None:
        """Nothing is held."""


def _run_interruptibly(job: CommandJob) -> str:
    """`run_command`, ended by SIGINT even where that was ignored when this process was started.

    submitit cancels a process of its own by it, and a shell starts what runs in the background
    without it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_command(job)


def _short(name: str) -> str:
    return name.replace(" ", "_")
