"""Commands that end with whoever started them: `start_guarded`, `server_guard.py COMMAND...`.

The owner holds the guard's stdin. When that closes, which it does however the owner ends, the guard
kills the server with all its children (CarlaUE4.sh is a shell around the server proper). Standard
library only and started by path, so that a guard costs little.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def guard(command: Sequence[str]) -> int:
    """Run `command` until it ends or stdin closes; its exit code."""
    # Ctrl-C and a batch system's SIGTERM are for the owner to answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_be_a_server,  # no thread runs yet
    )

    def kill_when_left() -> None:
        sys.stdin.buffer.read()
        _kill_group(server.pid)

    threading.Thread(target=kill_when_left, daemon=True).start()
    code = server.wait()
    _kill_group(server.pid)  # what a shell has left behind
    return code


def _be_a_server() -> None:
    """In the server's process: take signals again, and die with the guard."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def start_guarded(
    command: Sequence[str],
    log: IO[bytes] | None,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command behind its guard.

    Args:
        command: To run.
        log: Takes its output; without one nothing does, since a full pipe would stop it.
        folder: It runs there; None is the present one.
        environment: All of its variables; None is this process' own.

    Returns:
        The guard; its exit code is the command's. `end_guarded` ends both.
    """
    # -S, -E: the guard needs nothing but the standard library
    guard = [sys.executable, "-S", "-E", __file__, *command]
    return subprocess.Popen(
        guard,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if log is None else log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


def end_guarded(guard: subprocess.Popen[bytes], patience_s: float) -> None:
    """Close the guard's stdin, upon which it kills the command's whole group; wait for it."""
    assert guard.stdin is not None
    guard.stdin.close()
    try:
        guard.wait(patience_s)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()


if __name__ == "__main__":
    code = guard(sys.argv[1:])
    # os._exit: the thread still reads stdin, and a normal exit would wait for its lock
    os._exit(code if code >= 0 else 128 - code)
