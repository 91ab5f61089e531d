"""The headless server as a process: which CARLA it speaks as, how it is started and ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

# What differs on the wire between the CARLA versions that the server can speak.

DEFAULT_VERSION = "0.9.16"


@dataclass(frozen=True)
class WireVersion:
    """Numbers that moved between releases.

    Args:
        name: What `version` answers; the client compares it with its own.
        world_observer_index: Place of the world observer in the server's registry of sensors.
        first_attribute_type: Code of a Boolean blueprint attribute; int, float, string and
            colour follow.
    """

    name: str
    world_observer_index: int
    first_attribute_type: int


_VERSIONS = {
    "0.9.15": WireVersion("0.9.15", world_observer_index=16, first_attribute_type=0),
    DEFAULT_VERSION: WireVersion(DEFAULT_VERSION, world_observer_index=17, first_attribute_type=1),
}


def wire_version(name: str) -> WireVersion:
    """The version called `name`.

    Raises:
        ValueError: the server does not speak it.
    """
    if name not in _VERSIONS:
        raise ValueError(f"version {name!r} is not spoken here: use {' or '.join(_VERSIONS)}")
    return _VERSIONS[name]


_PACKAGE = "carla"
_RELEASE = re.compile(r"\d+\.\d+\.\d+")  # a rebuilt wheel may be called 0.9.15.post1
_QUESTION = f"from importlib import metadata; print(metadata.version({_PACKAGE!r}))"
_ANSWER_LIMIT_S = 60.0


def client_version(python: str | None = None) -> str:
    """Release of an interpreter's client library, as `wire_version` knows it.

    Args:
        python: The interpreter; None: that of this process.

    Raises:
        ValueError: it has no client library, or one whose protocol the server does not speak.
    """
    installed = _installed_here() if python is None else _installed_in(python)
    release = _RELEASE.match(installed)
    try:
        return wire_version(release.group() if release else installed).name
    except ValueError as error:
        raise ValueError(
            f"the client library carla {installed}{_of(python)} finds no headless server to talk "
            f"to: {error}, by pip install carla==VERSION; or set CARLA_ROOT to a CARLA of its own "
            "release"
        ) from None


def _installed_here() -> str:
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        raise ValueError(_no_library(None)) from None


def _installed_in(python: str) -> str:
    command = [python, "-c", _QUESTION]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"python={python} does not run: {error}") from None
    if answer.returncode != 0:
        raise ValueError(_no_library(python))
    return answer.stdout.strip()


def _no_library(python: str | None) -> str:
    return f"there is no CARLA client library{_of(python)}: pip install carla==0.9.16 there"


def _of(python: str | None) -> str:
    return "" if python is None else f" of {python}"


START_LIMIT_S = 600.0  # a cold start parses the town and compiles the kernels, on shared cores
_STOP_LIMIT_S = 5.0
_READY = re.compile(r"listening on \S+:(\d+)")
_PACKAGE_ROOT = Path(__file__).parents[3]


class HeadlessServer:
    """A server process, as a context manager.

        with HeadlessServer("Town01") as server:
            client = carla.Client("127.0.0.1", server.port)

    Args:
        town: First town.
        port: RPC port; 0 takes two free ones.
        version: Release whose protocol is spoken; None: that of this process' client library.
        log_path: Where the server logs; a temporary file by default.
        start_limit_s: How long the start may take.
    """

    def __init__(
        self,
        town: str = "Town01",
        *,
        port: int = 0,
        version: str | None = None,
        log_path: Path | None = None,
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        self._command = [
            *(sys.executable, "-u", "-m", "sim_adapters.carla.headless"),
            *(f"town={town}", f"port={port}", f"version={version or client_version()}"),
        ]
        self._log_path = log_path
        self._start_limit_s = start_limit_s
        self._log: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def __enter__(self) -> HeadlessServer:
        """Start, and wait until the server answers."""
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """What the server has logged so far."""
        if self._log is None:
            return ""
        return Path(self._log.name).read_text(errors="replace")

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            RuntimeError: it ended or did not listen in time; with its log.
        """
        self._log = (
            tempfile.NamedTemporaryFile(prefix="headless-carla-", suffix=".log")  # noqa: SIM115
            if self._log_path is None
            else self._log_path.open("wb")  # closed by `stop`
        )
        search_path = [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search_path))},
        )
        deadline = time.monotonic() + self._start_limit_s
        while time.monotonic() < deadline:
            found = _READY.search(self.log_text())
            if found:
                self.port = int(found.group(1))
                return
            if not self.is_running:
                break
            time.sleep(0.05)
        log = self.log_text()
        self.stop()
        raise RuntimeError(f"the headless server did not start:\n{log[-2000:]}")

    def stop(self) -> None:
        """End the process, gently at first; more than one call does nothing."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
