"""Starts CARLA servers and connects to them: Unreal below `CARLA_ROOT`, else the headless one.

A server belongs to the process that started it and ends with it. Ports are looked for, starts that
fail are tried again on other ports.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

import carla

from sim_adapters.carla.headless.process import client_version
from sim_adapters.carla.server_guard import end_guarded, start_guarded
from sim_adapters.carla.session import LiveSession
from sim_adapters.maps.town_files import CARLA_ROOT_VARIABLE
from sim_adapters.pool_worker import WorldLostError

ServerKind = Literal["auto", "unreal", "headless", "running"]

PORTS_PER_SERVER = 10  # a server takes three in a row, its client's TrafficManager another
_NEEDED_PORTS = (0, 1, 2)
_TM_PORTS = (5, 6, 7, 8, 9)  # the TrafficManager of a server's client takes one of them
_LAST_PORT = 65_000
_ATTEMPTS = 5
_PROBE_S = 2.0  # how long one question to a starting server may take
_STOP_S = 10.0
_SERVER_GONE_STATUS = 75  # of a process that ends because its server did

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """Which servers a run uses.

    Raises:
        ValueError: there is no CARLA below `carla_root`, or the client library is of a release that
            the headless server does not speak.
    """

    kind: ServerKind = "auto"  # auto: unreal if there is a carla_root, else headless
    carla_root: str | None = None  # null: $CARLA_ROOT
    command: tuple[str, ...] | None = None  # instead of both; {port} and {town} are filled in
    host: str = "127.0.0.1"  # of running servers; those of this run's own are on this machine
    first_port: int = 20_000  # process n has first_port + 10 n; running servers wait there
    start_timeout_s: float = 120.0
    call_timeout_s: float = 20.0  # of one call; a server that takes longer counts as lost
    log_folder: str | None = None  # of the servers' output; null: none is kept
    client_python: str | None = None  # interpreter that drives on the servers; null: this one
    key: str = "simulator.server"  # of these settings in the command's configuration, for messages
    headless_version: str | None = field(init=False, default=None)  # its client library's

    def __post_init__(self) -> None:
        """Settle on a kind and look for the server's files."""
        root = self.carla_root or os.environ.get(CARLA_ROOT_VARIABLE)
        object.__setattr__(self, "carla_root", root)
        if self.kind == "auto":
            object.__setattr__(self, "kind", "unreal" if root else "headless")
        if self.kind == "unreal" and self.command is None and not self.unreal_script.is_file():
            raise ValueError(
                f"there is no CARLA server {self.unreal_script}: set {CARLA_ROOT_VARIABLE} to an "
                f"unpacked CARLA 0.9.15 or 0.9.16, or use {self.key}.kind=headless"
            )
        if self.kind == "headless" and self.command is None:
            object.__setattr__(self, "headless_version", client_version(self.client_python))

    @property
    def unreal_script(self) -> Path:
        """Start script of CARLA's packaged server."""
        return Path(self.carla_root or "") / "CarlaUE4.sh"

    def server_command(self, port: int, town: str) -> list[str]:
        """Command line of one server."""
        if self.command is not None:
            return [part.format(port=port, town=town) for part in self.command]
        if self.kind == "unreal":
            options = ("-RenderOffScreen", "-nosound", f"-carla-rpc-port={port}")
            return [str(self.unreal_script), *options]
        options = (f"town={town}", f"port={port}", f"version={self.headless_version}")
        return [sys.executable, "-m", "sim_adapters.carla.headless", *options]


class LiveServer:
    """The server of one world process.

    Args:
        settings: Which kind, where.
        number: Of the process, which decides about ports.
        num_processes: Processes that share the ports.
        town: That a server starts with, where it can be told.
        step_s: Of the sessions.
        end_with_server: End this process as soon as its server has ended. The client library would
            wait out its time limit for an answer first, and all other worlds with it.
    """

    def __init__(
        self,
        settings: ServerSettings,
        number: int,
        num_processes: int,
        *,
        town: str,
        step_s: float,
        end_with_server: bool = False,
    ) -> None:
        self.settings, self.number, self.num_processes = settings, number, num_processes
        self.town, self.step_s = town, step_s
        self.end_with_server = end_with_server
        self.port = settings.first_port + PORTS_PER_SERVER * number
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def _host(self) -> str:
        return self.settings.host if self.settings.kind == "running" else "127.0.0.1"

    @property
    def tm_port(self) -> int:
        """A free port for the TrafficManager of this server's client.

        Raises:
            RuntimeError: other programs have all of the server's ports.
        """
        for offset in _TM_PORTS:
            if is_free(self.port + offset):
                return self.port + offset
        raise RuntimeError(
            f"ports {self.port + _TM_PORTS[0]} to {self.port + _TM_PORTS[-1]} are all in use: "
            f"choose another {self.settings.key}.first_port"
        )

    def start(self) -> None:
        """Start the server and wait until it answers; nothing to do for a running one.

        Raises:
            WorldLostError: it did not come up on any of several ports.
        """
        if self.settings.kind == "running":
            return
        reason = ""
        for attempt in range(_ATTEMPTS):
            self.port = self._free_port(attempt)
            self._guard = self._launch()
            reason = self._wait_until_up(self._guard)
            if not reason:
                if self.end_with_server:
                    threading.Thread(target=self._watch, args=(self._guard,), daemon=True).start()
                return
            self.stop()
            _logger.warning("no CARLA server on port %d: %s", self.port, reason)
        command = " ".join(self.settings.server_command(self.port, self.town))
        raise WorldLostError(
            f"no CARLA server could be started in {_ATTEMPTS} attempts: {reason}. Its command was "
            f"`{command}`; {self._where_output_is()}"
        )

    def _where_output_is(self) -> str:
        folder = self.settings.log_folder
        if folder is not None:
            return f"its output is in {folder}"
        return f"{self.settings.key}.log_folder=DIR keeps what it says"

    def connect(self) -> LiveSession:
        """A client of the server.

        Raises:
            RuntimeError: it does not answer.
        """
        return LiveSession(
            self._host, self.port, step_s=self.step_s, timeout_s=self.settings.call_timeout_s
        )

    def version(self) -> str:
        """The release that the server says it is of.

        Raises:
            RuntimeError: it does not answer.
        """
        return self._ask_version(self.settings.call_timeout_s)

    def stop(self) -> None:
        """End the server, if it is this process' own; safe to call twice."""
        guard, self._guard = self._guard, None
        if guard is not None:
            end_guarded(guard, _STOP_S)

    def _free_port(self, attempt: int) -> int:
        """First of a block of free ports that no other process of this run would choose."""
        block = self.number + attempt * self.num_processes
        while True:
            port = self.settings.first_port + PORTS_PER_SERVER * block
            if port + PORTS_PER_SERVER > _LAST_PORT:
                raise WorldLostError(
                    f"no free ports from {self.settings.first_port} to {_LAST_PORT} for server "
                    f"{self.number}: set {self.settings.key}.first_port lower, or end old servers"
                )
            taken = [port + k for k in _NEEDED_PORTS if not is_free(port + k)]
            if not taken:
                return port
            _logger.info("port %d is in use: trying others for server %d", taken[0], self.number)
            block += self.num_processes

    def _launch(self) -> subprocess.Popen[bytes]:
        command = self.settings.server_command(self.port, self.town)
        if self.settings.log_folder is None:
            return start_guarded(command, None)
        folder = Path(self.settings.log_folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"server_{self.port}.log").open("ab") as log:
            return start_guarded(command, log)

    def _wait_until_up(self, guard: subprocess.Popen[bytes]) -> str:
        """Wait until the server answers; why it does not, if so."""
        deadline = monotonic() + self.settings.start_timeout_s
        pause_s = 0.1
        while monotonic() < deadline:
            code = guard.poll()
            if code is not None:
                return f"it ended with exit code {code} before it answered"
            if not is_free(self.port) and self._answers():
                return ""
            sleep(pause_s)
            pause_s = min(1.5 * pause_s, 1.0)
        return f"it did not answer within {self.settings.start_timeout_s:g} s"

    def _watch(self, guard: subprocess.Popen[bytes]) -> None:
        code = guard.wait()
        if self._guard is guard:  # else it was stopped
            _logger.warning("the server on port %d ended with exit code %d", self.port, code)
            os._exit(_SERVER_GONE_STATUS)  # the main thread may be waiting inside the client

    def _answers(self) -> bool:
        try:
            self._ask_version(_PROBE_S)
        except RuntimeError:
            return False
        return True

    def _ask_version(self, timeout_s: float) -> str:
        client = carla.Client(self._host, self.port)
        client.set_timeout(timeout_s)
        return client.get_server_version()


def is_free(port: int) -> bool:
    """Whether a server could listen on a TCP port of this machine."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # Connections of an ended server linger for a minute and do no harm
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def free_port(first: int) -> int:
    """The first port from `first` on that a server could listen on."""
    return next(port for port in range(first, 65_536) if is_free(port))


def describe(settings: ServerSettings, num_servers: int) -> str:
    """One line for the log about what a run starts."""
    if settings.kind == "running":
        last = settings.first_port + PORTS_PER_SERVER * (num_servers - 1)
        return f"{num_servers} running servers at {settings.host}:{settings.first_port} to {last}"
    if settings.command is not None:
        return f"{num_servers} servers by {_shown(settings.command)}"
    if settings.kind == "unreal":
        return f"{num_servers} CARLA servers from {settings.carla_root}"
    return (
        f"{num_servers} headless servers of CARLA {settings.headless_version}'s protocol "
        f"({CARLA_ROOT_VARIABLE} would name a CARLA)"
    )


def _shown(command: Sequence[str]) -> str:
    return " ".join(command)
