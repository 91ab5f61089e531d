"""Servers of a run: ports, ends that take everything along, clear words when none comes up."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sim_adapters.carla import server_guard
from sim_adapters.carla.servers import LiveServer, ServerSettings, describe, is_free
from sim_adapters.pool_worker import WorldLostError

FIRST_PORT = 26_000  # of these tests


@pytest.fixture(autouse=True)
def _no_carla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARLA_ROOT", raising=False)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def _wait_until(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def _server(*command: str, number: int = 0, **settings: float) -> LiveServer:
    chosen = ServerSettings(command=command or None, first_port=FIRST_PORT, **settings)  # pyright: ignore[reportArgumentType]
    return LiveServer(chosen, number, 2, town="Town01", step_s=0.1)


def test_kind_follows_carla_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ServerSettings().kind == "headless"
    assert "headless servers" in describe(ServerSettings(), 2)
    (tmp_path / "CarlaUE4.sh").touch()
    monkeypatch.setenv("CARLA_ROOT", str(tmp_path))
    settings = ServerSettings()
    assert settings.kind == "unreal"
    command = settings.server_command(2000, "Town01")
    assert command[0] == str(tmp_path / "CarlaUE4.sh")
    assert {"-RenderOffScreen", "-nosound", "-carla-rpc-port=2000"} < set(command)
    options = ServerSettings(kind="headless").server_command(2010, "Town02")
    assert {"town=Town02", "port=2010"} < set(options)


def test_a_missing_carla_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"CarlaUE4.sh: set CARLA_ROOT"):
        ServerSettings(kind="unreal", carla_root=str(tmp_path))


def test_ports_in_use_are_passed_over_without_meeting_the_neighbours() -> None:
    first, second = _server(number=0), _server(number=1)
    assert first._free_port(0) == FIRST_PORT
    assert second._free_port(0) == FIRST_PORT + 10
    with _listening(FIRST_PORT + 1):  # where the first one would stream
        assert not is_free(FIRST_PORT + 1)
        assert first._free_port(0) == FIRST_PORT + 20  # +10 is the second one's
    assert is_free(FIRST_PORT + 1)


def test_a_server_that_ends_at_once_is_given_up_with_its_command() -> None:
    with pytest.raises(WorldLostError, match=r"exit code 3.*`sh -c exit 3`.*log_folder"):
        _server("sh", "-c", "exit 3").start()


def test_a_server_that_does_not_answer_is_ended_and_given_up(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    server = _server("sh", "-c", f"echo $$ >> {note}; sleep 60", start_timeout_s=0.3)
    with pytest.raises(WorldLostError, match=r"did not answer within 0.3 s"):
        server.start()
    pids = [int(line) for line in note.read_text().split()]
    assert len(pids) == 5
    assert _wait_until(lambda: not any(_is_alive(pid) for pid in pids))


@pytest.mark.parametrize("end", ["stdin", "guard killed"])
def test_a_guard_takes_the_servers_children_along(tmp_path: Path, end: str) -> None:
    # As CarlaUE4.sh: a shell that waits for the server proper
    note = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {note}; wait"
    guard = subprocess.Popen(
        [sys.executable, "-S", "-E", str(server_guard.__file__), "sh", "-c", script],
        stdin=subprocess.PIPE,
    )
    assert guard.stdin is not None
    assert _wait_until(lambda: note.exists() and bool(note.read_text().strip()))
    child = int(note.read_text())
    shell = int(Path(f"/proc/{child}/stat").read_text().split()[3])
    assert _is_alive(child)
    if end == "stdin":
        guard.send_signal(signal.SIGTERM)  # is the owner's business, not the guard's
        guard.stdin.close()
    else:
        guard.kill()
        guard.stdin.close()
    guard.wait(10.0)
    assert _wait_until(lambda: not _is_alive(shell))
    if end == "stdin":
        assert _wait_until(lambda: not _is_alive(child))
        assert guard.returncode == 128 + signal.SIGKILL
    else:  # nobody is left to take the grandchild along; the server proper of the headless kind
        os.kill(child, signal.SIGKILL)  # is the child itself


def test_a_guard_ends_with_its_server() -> None:
    guard = subprocess.Popen(
        [sys.executable, "-S", "-E", str(server_guard.__file__), "sh", "-c", "exit 4"],
        stdin=subprocess.PIPE,
    )
    assert guard.wait(10.0) == 4
