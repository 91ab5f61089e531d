"""Jobs as processes of this machine."""

from __future__ import annotations

import threading

from evaluation.jobs.command_job import CommandJob, run_command


class LocalEngine:
    """Runs every job at once: how many there are is for the caller's threads to limit."""

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        """Run a job to its end, or until `stop` is set; nothing, or why there is no result."""
        return run_command(job, stop)

    def close(self) -> None:
        """Nothing is held."""
