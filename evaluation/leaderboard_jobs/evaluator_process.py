"""One evaluator process: started, watched for hangs, ended with all its children."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import evaluation
from evaluation.leaderboard_jobs.job import JobEnd, RouteJob, read_record, record_problem
from evaluation.leaderboard_jobs.upstream import Upstream
from sim_adapters.carla.guarded_process import end_guarded, start_guarded

PACKAGE_ROOT = Path(evaluation.__file__).parents[1]
AGENT = Path(evaluation.__file__).with_name("carla_agent.py")
_START = "evaluation.leaderboard_jobs.evaluator_start"
_POLL_S = 0.5
_EXIT_S = 10.0  # an evaluator with its record written gets so long to leave
_LOG_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class EvaluatorSettings:
    """How evaluators run.

    Args:
        upstream: The leaderboard.
        routes: Route file in leaderboard 2 format.
        agent_config: What the agent gets as `--agent-config`.
        agent: Its file.
        python: Interpreter that has the leaderboard's packages.
        timeout_s: The leaderboard's own limit for a call of the client and a step of the agent.
        hang_s: An evaluator that writes nothing for so long is ended. More than `timeout_s`, or
            slow servers are taken for hanging ones.
        error_s: The same after an error in its output, after which evaluators are known to hang.
    """

    upstream: Upstream
    routes: Path
    agent_config: Path
    agent: Path = AGENT
    python: str = sys.executable
    timeout_s: float = 120.0
    hang_s: float = 300.0
    error_s: float = 60.0

    def command(self, job: RouteJob, port: int, tm_port: int) -> list[str]:
        """Command line of the unmodified evaluator for one route."""
        options = {
            "routes": self.routes,
            "routes-subset": job.route_id,
            "repetitions": 1,
            "track": "MAP",
            "agent": self.agent,
            "agent-config": self.agent_config,
            "checkpoint": job.record_file,
            "debug-checkpoint": job.folder / "live.txt",
            "port": port,
            "traffic-manager-port": tm_port,
            "traffic-manager-seed": job.seed,
            "timeout": self.timeout_s,
        }
        pairs = [f"--{name}={value}" for name, value in options.items()]
        return [self.python, "-m", _START, str(self.upstream.evaluator), *pairs]


def run_evaluator(
    settings: EvaluatorSettings, job: RouteJob, port: int, tm_port: int, stop: threading.Event
) -> tuple[JobEnd, str]:
    """Drive one route to its end.

    Args:
        settings: How.
        job: Which; its folder is made, an old record removed.
        port: RPC port of a server that answers.
        tm_port: Free port for the TrafficManager.
        stop: Set to give up.

    Returns:
        The end and, if it isn't DONE, the reason.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    job.record_file.unlink(missing_ok=True)
    command = settings.command(job, port, tm_port)
    with job.log_file.open("wb") as log:
        environment = settings.upstream.environment(PACKAGE_ROOT)
        process = start_guarded(command, log, folder=job.folder, environment=environment)
    try:
        end, silent_s = _watch(process, job, settings, stop)
    finally:
        end_guarded(process, _EXIT_S)
    if read_record(job) is not None and end is not JobEnd.STOPPED:
        return JobEnd.DONE, ""  # also where it hung afterwards, as evaluators do
    return end, _reason(end, process.returncode, job, silent_s)


def _watch(
    process: subprocess.Popen[bytes],
    job: RouteJob,
    settings: EvaluatorSettings,
    stop: threading.Event,
) -> tuple[JobEnd, float]:
    """Wait until the evaluator ends, hangs, or is done and does not leave.

    Returns:
        The end, and for how long [s] the evaluator had been silent.
    """
    size, grown_at = -1, monotonic()
    while process.poll() is None:
        if stop.wait(_POLL_S):
            return JobEnd.STOPPED, 0.0
        now, new_size = monotonic(), job.log_file.stat().st_size
        if new_size != size:
            size, grown_at = new_size, now
        silent_s = now - grown_at
        if (
            silent_s > settings.hang_s
            or (silent_s > _EXIT_S and read_record(job) is not None)
            or (silent_s > settings.error_s and last_error(job.log_file))
        ):
            return JobEnd.HUNG, silent_s
    return JobEnd.CRASHED, 0.0


def _reason(end: JobEnd, code: int, job: RouteJob, silent_s: float) -> str:
    if end is JobEnd.STOPPED:
        return "stopped from outside"
    what = record_problem(job)
    error = last_error(job.log_file)
    how = f"silent for {silent_s:.0f} s" if end is JobEnd.HUNG else f"exit code {code}"
    return f"{what} ({how}{'; ' + error if error else ''})"


def last_error(log_file: Path) -> str:
    """The last line of the log that looks like a Python exception, or nothing."""
    with log_file.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        name, colon, _ = line.strip().partition(":")
        if colon and name.split(".")[-1].endswith(("Error", "Exception", "Invalid")):
            return line.strip()
    return ""
