"""`carl-doctor`: checks what a run needs on this machine and says what to do where it lacks."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

EXPECTED_TOWNS = ("01", "02", "03", "04", "05", "06", "07", "10HD", "15")
MIN_FREE_GB = 2.0
CARLA_PORT = 2000
# As the planner does: our package first, which gives a process without HOME one
IMPORT_CARLA, IMPORT_LIMIT_S = "import sim_adapters, carla", 120.0


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str  # what was checked
    state: str  # "ok", "note" (works without it) or "problem" (something will fail)
    found: str  # what is there
    advice: str = ""  # what to do about it, unless it is ok


def check_python() -> Finding:
    """Python 3.11 and 3.12 are supported."""
    found = sys.version.split()[0]
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("python", "ok", found)
    return Finding("python", "problem", found, "make a virtual environment with 3.11 or 3.12")


def check_torch() -> Finding:
    """The torch build, and whether it sees a GPU."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries does not load
        return Finding("torch", "problem", str(error), "pip install --force-reinstall torch")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        return Finding("torch", "ok", f"{torch.__version__}, {torch.cuda.device_count()} x {name}")
    advice = "no CUDA device: train small observations on CPU, or install a CUDA build of torch"
    return Finding("torch", "note", f"{torch.__version__}, {os.cpu_count()} CPU threads", advice)


def check_carla() -> Finding:
    """The carla client library, which reads the town maps.

    Imported in a child process, which the library may end.
    """
    remedy = "pip install carla==0.9.16"
    try:
        version = importlib.metadata.version("carla")
    except importlib.metadata.PackageNotFoundError as error:
        return Finding("carla", "problem", f"not installed: {error}", remedy)
    command = [sys.executable, "-c", IMPORT_CARLA]
    try:
        child = subprocess.run(command, capture_output=True, check=False, timeout=IMPORT_LIMIT_S)
    except subprocess.TimeoutExpired:
        reason = f"importing version {version} takes more than {IMPORT_LIMIT_S:g} s"
        return Finding("carla", "problem", reason, f"run {sys.executable} -c '{IMPORT_CARLA}'")
    if child.returncode == 0:
        return Finding("carla", "ok", version)
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        reason = f"importing version {version} is ended by {name}"
        return Finding("carla", "problem", reason, f"set HOME to a folder that exists, or {remedy}")
    lines = child.stderr.decode(errors="replace").strip().splitlines()
    return Finding("carla", "problem", lines[-1] if lines else "no reason", remedy)


def check_towns() -> Finding:
    """The OpenDRIVE files of CARLA's towns."""
    from sim_adapters.maps.town_files import find_town_file

    missing = []
    for number in EXPECTED_TOWNS:
        try:
            find_town_file(f"Town{number}")
        except (FileNotFoundError, ValueError):
            missing.append(number)
    if not missing:
        return Finding("towns", "ok", f"{len(EXPECTED_TOWNS)} towns")
    advice = "pip install --no-deps py123d==0.7.0, or set CARLA_ROOT to a CARLA installation"
    return Finding("towns", "problem", f"missing Town {', '.join(missing)}", advice)


def check_cache() -> Finding:
    """The folder of compiled kernels and parsed maps."""
    from sim_adapters.kernel_cache import cache_root

    folder = cache_root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor.{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Finding(
            "cache", "problem", str(error), "set CARL_PLANNER_CACHE to a writable folder"
        )
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Finding("cache", "ok", f"{folder}, {size_mb:.0f} MB (safe to delete)")


def check_disk() -> Finding:
    """Room for checkpoints and videos where the command runs."""
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    if free_gb >= MIN_FREE_GB:
        return Finding("disk", "ok", f"{free_gb:.0f} GB free")
    advice = "free some space: a run that cannot save stops with its last checkpoint intact"
    return Finding("disk", "problem", f"{free_gb:.1f} GB free", advice)


def check_ports() -> Finding:
    """Whether a CARLA server's default ports are free on loopback."""
    busy = []
    for port in range(CARLA_PORT, CARLA_PORT + 3):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                busy.append(str(port))
    if not busy:
        return Finding("ports", "ok", f"{CARLA_PORT} to {CARLA_PORT + 2} free")
    advice = "a CARLA server runs here already, or another program uses its ports"
    return Finding("ports", "note", f"in use: {', '.join(busy)}", advice)


CHECKS = (check_python, check_torch, check_carla, check_towns, check_cache, check_disk, check_ports)


def main() -> None:
    """Print every finding; exit status 1 if one of them is a problem."""
    findings = [check() for check in CHECKS]
    table = Table(title="carl-doctor", title_justify="left")
    for column in ("check", "", "found", "what to do"):
        table.add_column(column)
    colours = {"ok": "green", "note": "yellow", "problem": "red"}
    for finding in findings:
        colour = colours[finding.state]
        table.add_row(finding.name, f"[{colour}]{finding.state}", finding.found, finding.advice)
    Console().print(table)
    sys.exit(any(finding.state == "problem" for finding in findings))


if __name__ == "__main__":
    main()
