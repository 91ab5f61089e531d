"""The official leaderboard on this machine: where it is, its servers, and one evaluator process.

The process is started, watched for hangs, and ended with all its children.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from filelock import FileLock

import evaluation
from evaluation.leaderboard_jobs.job import JobEnd, RouteJob, read_record, record_problem
from evaluation.scoring.results_file import write_json
from sim_adapters.carla.server_guard import end_guarded, start_guarded
from sim_adapters.carla.servers import LiveServer, ServerSettings

# Where the leaderboard, scenario_runner and CARLA's `agents` package are on this machine

LEADERBOARD, SCENARIO_RUNNER, CARLA = "LEADERBOARD_ROOT", "SCENARIO_RUNNER_ROOT", "CARLA_ROOT"
EVALUATOR = Path("leaderboard") / "leaderboard_evaluator.py"
_MARKS = {
    LEADERBOARD: EVALUATOR,
    SCENARIO_RUNNER: Path("srunner") / "scenariomanager" / "carla_data_provider.py",
}
_AGENTS = Path("agents") / "navigation" / "global_route_planner.py"
_HOW_TO = """get all three like this (docs/leaderboard.md has the details):
  git clone https://github.com/carla-simulator/leaderboard
  git clone https://github.com/carla-simulator/scenario_runner -b v0.9.16
  git clone https://github.com/carla-simulator/carla -b 0.9.16 --depth 1 --filter=blob:none --sparse
  git -C carla sparse-checkout set PythonAPI/carla/agents
  export LEADERBOARD_ROOT=$PWD/leaderboard SCENARIO_RUNNER_ROOT=$PWD/scenario_runner
  export PYTHONPATH=$PWD/carla/PythonAPI/carla      # not needed with CARLA_ROOT set
  pip install -r docs/leaderboard_requirements.txt"""


class MissingUpstreamError(FileNotFoundError):
    """Something of the leaderboard is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Upstream:
    """Folders of the three packages that are used but not part of this project."""

    leaderboard: Path
    scenario_runner: Path
    agents_parent: Path  # holds CARLA's `agents` package

    @property
    def evaluator(self) -> Path:
        """The evaluator's script."""
        return self.leaderboard / EVALUATOR

    def environment(self, package_root: Path) -> dict[str, str]:
        """Environment for an evaluator process.

        Args:
            package_root: Folder from which this project's packages are imported.
        """
        folders = (self.leaderboard, self.scenario_runner, self.agents_parent, package_root)
        inherited = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            LEADERBOARD: str(self.leaderboard),
            SCENARIO_RUNNER: str(self.scenario_runner),
            "PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, [inherited])]),
            "PYTHONUNBUFFERED": "1",  # a growing log is how hangs are told from slow routes
        }


def find_upstream(leaderboard: str | None = None, scenario_runner: str | None = None) -> Upstream:
    """The folders that the arguments or the environment name.

    Args:
        leaderboard: Instead of `$LEADERBOARD_ROOT`.
        scenario_runner: Instead of `$SCENARIO_RUNNER_ROOT`.

    Raises:
        MissingUpstreamError: names everything that is missing, and how to get it.
    """
    found, missing = {}, []
    for variable, given in ((LEADERBOARD, leaderboard), (SCENARIO_RUNNER, scenario_runner)):
        folder = given or os.environ.get(variable)
        if not folder:
            missing.append(f"{variable} is not set")
        elif not (Path(folder) / _MARKS[variable]).is_file():
            missing.append(f"{variable}={folder} holds no {_MARKS[variable]}")
        else:
            found[variable] = Path(folder).resolve()
    agents = next((folder for folder in _agent_folders() if (folder / _AGENTS).is_file()), None)
    if agents is None:
        missing.append(f"no {_AGENTS} below $CARLA_ROOT/PythonAPI/carla or on PYTHONPATH")
    if agents is None or missing:
        raise MissingUpstreamError(
            f"the CARLA leaderboard is not complete: {'; '.join(missing)}.\n{_HOW_TO}"
        )
    return Upstream(found[LEADERBOARD], found[SCENARIO_RUNNER], agents.resolve())


def _agent_folders() -> list[Path]:
    root = os.environ.get(CARLA)
    listed = [Path(root) / "PythonAPI" / "carla"] if root else []
    search_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [*listed, *(Path(entry) for entry in (*search_path, *sys.path) if entry)]


# Servers of an official run, and the note of what they said they are

SERVER_FILE = "server.json"
TICK_S = 0.05  # of the leaderboard's simulator


class OfficialServers:
    """Gives each job a fresh server; the first one's version is kept in the run's folder.

    Args:
        settings: Which kind, where.
        num_servers: That run at once.
        folder: Of the run.
    """

    def __init__(self, settings: ServerSettings, num_servers: int, folder: Path) -> None:
        self.settings, self.num_servers = settings, num_servers
        self.folder, self._file = folder, folder / SERVER_FILE

    def make(self, number: int, job: RouteJob) -> NotedServer:
        """Server `number` for a job; not yet started."""
        server = LiveServer(self.settings, number, self.num_servers, town=job.town, step_s=TICK_S)
        return NotedServer(server, self)

    def note_version(self, server: LiveServer) -> None:
        """Ask a server for its version and keep the answer.

        Raises:
            RuntimeError: it does not answer, or has another version than the run's first one.
        """
        version = server.version()  # any client may ask; the agent's own may be of another release
        with FileLock(self._file.with_suffix(".lock")):  # drives may be on many machines
            known = self.version()
            if known is None:
                write_json(self._file, {"kind": self.settings.kind, "version": version})
            elif known != version:
                raise RuntimeError(
                    f"the server on port {server.port} has version {version}, this run's folder "
                    f"was begun with {known}: choose another output="
                )

    def version(self) -> str | None:
        """Version of the run's servers, None before the first has started."""
        if not self._file.is_file():
            return None
        return str(json.loads(self._file.read_text())["version"])


class NotedServer:
    """A LiveServer whose version is noted when it has started (a `JobServer`)."""

    def __init__(self, server: LiveServer, servers: OfficialServers) -> None:
        self._server, self._servers = server, servers

    @property
    def port(self) -> int:
        """RPC port."""
        return self._server.port

    @property
    def tm_port(self) -> int:
        """Port for the TrafficManager."""
        return self._server.tm_port

    def start(self) -> None:
        """Start it, wait until it answers, note its version."""
        self._server.start()
        self._servers.note_version(self._server)

    def stop(self) -> None:
        """End it; safe to call twice."""
        self._server.stop()


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
