"""Commands that end with whoever started them, children included: see `server_guard`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sim_adapters.carla import server_guard


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
    guard = [sys.executable, "-S", "-E", str(server_guard.__file__), *command]
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
