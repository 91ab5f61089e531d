"""Servers of an official run, and the note of what they said they are."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock

from evaluation.leaderboard_jobs.job import RouteJob
from evaluation.scoring.results_file import write_json
from sim_adapters.carla.servers import LiveServer, ServerSettings

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
