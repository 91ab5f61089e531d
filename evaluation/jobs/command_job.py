"""CommandJob: what to run, where its results lie, and whether they are there."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sim_adapters.carla.server_guard import end_guarded, start_guarded

LOG_FILE = "job.log"
PYTHON = "python"  # as first word: the interpreter of the process that runs the job
STOPPED = "stopped from outside"
_POLL_S = 0.5
_EXIT_S = 10.0


@dataclass(frozen=True)
class CommandJob:
    """One command. Its folder is seen under the same path by every machine that may run it."""

    name: str  # as messages and the cluster's own lists show it
    command: tuple[str, ...]
    folder: Path  # where it runs
    result: str  # below `folder`: written whole or not at all, and then the job is done

    @property
    def is_done(self) -> bool:
        """Whether the result is there."""
        return (self.folder / self.result).is_file()

    @property
    def log_file(self) -> Path:
        """The command's output, of all attempts."""
        return self.folder / LOG_FILE


class JobEngine(Protocol):
    """Where jobs run. Several threads may run one each; the engine decides when and where."""

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        """Run a job to its end, or until `stop` is set; nothing, or why there is no result."""
        ...

    def close(self) -> None:
        """Let go of what the engine holds; no job is running any more."""
        ...


def run_command(job: CommandJob, stop: threading.Event | None = None) -> str:
    """Run a job in this process' machine, unless its result is there already.

    An engine that runs a job again, because a machine was lost on the way back, does no harm. The
    command and all its children end with this process, however that ends.

    Returns:
        Nothing, or why there is no result.
    """
    if job.is_done:
        return ""
    host = socket.gethostname()
    if not job.folder.is_dir():
        return f"{host} does not see {job.folder}: output= must lie on a file system that all share"
    first, *words = job.command
    command = [sys.executable if first == PYTHON else first, *words]
    with job.log_file.open("ab") as log:
        guard = start_guarded(command, log, folder=job.folder)
    try:
        code = _wait(guard, stop or threading.Event())
    finally:
        end_guarded(guard, _EXIT_S)
    if job.is_done:
        return ""
    return STOPPED if code is None else f"exit code {code} on {host}: see {job.log_file}"


def _wait(guard: subprocess.Popen[bytes], stop: threading.Event) -> int | None:
    """The command's exit code; None if it was to stop before."""
    while (code := guard.poll()) is None:
        if stop.wait(_POLL_S):
            return None
    return code


# Jobs as processes of this machine.


class LocalEngine:
    """Runs every job at once: how many there are is for the caller's threads to limit."""

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        """Run a job to its end, or until `stop` is set; nothing, or why there is no result."""
        return run_command(job, stop)

    def close(self) -> None:
        """Nothing is held."""
