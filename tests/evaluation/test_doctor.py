"""carl-doctor: every check's two answers, and the exit status."""

import builtins
import shutil
import socket
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from evaluation import doctor
from evaluation.doctor import Finding


def test_supported_python_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_python().state == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    finding = doctor.check_python()
    assert finding.state == "problem"
    assert "3.11" in finding.advice


def test_missing_gpu_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor.check_torch().state == "note"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "H100")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert doctor.check_torch().state == "ok"
    assert "8 x H100" in doctor.check_torch().found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise ImportError('no such library')", "ImportError: no such library"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "is ended by SIGSEGV"),
    ],
)
def test_carla_that_cannot_be_imported_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, code: str, found: str
) -> None:
    assert doctor.check_carla().state == "ok"
    monkeypatch.setattr(doctor, "IMPORT_CARLA", code)
    finding = doctor.check_carla()
    assert finding.state == "problem"
    assert found in finding.found
    assert "pip install carla" in finding.advice


def test_missing_town_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find_all_but_one(town: str) -> Path:
        if town == "Town07":
            raise FileNotFoundError(town)
        return tmp_path

    monkeypatch.setattr("sim_adapters.maps.town_files.find_town_file", lambda town: tmp_path)
    assert doctor.check_towns() == Finding("towns", "ok", "9 towns")
    monkeypatch.setattr("sim_adapters.maps.town_files.find_town_file", find_all_but_one)
    finding = doctor.check_towns()
    assert finding.state == "problem"
    assert finding.found == "missing Town 07"
    assert "py123d" in finding.advice


def test_cache_that_cannot_be_written_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path / "cache"))
    assert doctor.check_cache().state == "ok"
    assert list((tmp_path / "cache").iterdir()) == [], "the probe is removed"
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path / "file" / "cache"))
    finding = doctor.check_cache()
    assert finding.state == "problem"
    assert "CARL_PLANNER_CACHE" in finding.advice


def test_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10e9, 1e9, 9e9))
    assert doctor.check_disk().state == "ok"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10e9, 9e9, 1e9))
    assert doctor.check_disk().state == "problem"
    assert doctor.check_disk().found == "1.0 GB free"


@pytest.fixture
def listening_port() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_busy_port_is_a_note(monkeypatch: pytest.MonkeyPatch, listening_port: int) -> None:
    monkeypatch.setattr(doctor, "CARLA_PORT", listening_port)
    finding = doctor.check_ports()
    assert finding.state == "note"
    assert str(listening_port) in finding.found


def test_free_ports_are_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda self, address: 111)
    assert doctor.check_ports().state == "ok"


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("note", 0), ("problem", 1)])
def test_exit_status_is_1_for_a_problem_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, status: int
) -> None:
    finding = Finding("towns", state, "found this", "do that")
    monkeypatch.setattr(
        doctor, "CHECKS", (lambda: Finding("python", "ok", "3.11"), lambda: finding)
    )
    with pytest.raises(SystemExit) as end:
        doctor.main()
    assert int(end.value.code or 0) == status
    out = capsys.readouterr().out
    assert "found this" in out
    assert "do that" in out


def test_library_that_does_not_load_is_a_finding_not_a_crash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    importing = builtins.__import__

    def without_torch(name: str, *arguments: object) -> object:
        if name == "torch":
            raise OSError("libtorch.so: cannot open shared object file")
        return importing(name, *arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(SystemExit) as end:
        doctor.main()
    assert end.value.code == 1
    assert "libtorch.so" in capsys.readouterr().out
