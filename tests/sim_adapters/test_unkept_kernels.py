"""Machines without a home folder, or without a folder for kernels: they run all the same."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

from sim_adapters.kernel_cache import kernel_folder

OURS = "sim_adapters.kernel_locator.KernelCacheLocator"
LAST = "sim_adapters.kernel_locator.UnkeptKernelLocator"


def run(code: str, without: tuple[str, ...] = (), **changes: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | changes,
        capture_output=True,
        text=True,
        check=False,
    )


def test_kernels_that_cannot_be_kept_are_compiled_all_the_same() -> None:
    # Numba's own locators would find a place beside the sources, which this test may write
    result = run(
        "from sim_adapters.scene.counter_rng import mix; print(int(mix(1)))",
        without=("NUMBA_CACHE_DIR",),
        CARL_PLANNER_CACHE="/proc/nowhere",
        NUMBA_CACHE_LOCATOR_CLASSES=f"{OURS},{LAST}",
    )
    assert result.returncode == 0, result.stderr
    # SplitMix64's first number after state 1, worked in integers of 64 bits
    z = (1 + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    assert int(result.stdout) == z ^ (z >> 31)
    assert result.stderr.count("not kept in /proc/nowhere") == 1
    assert "set CARL_PLANNER_CACHE to a folder" in result.stderr


def test_the_last_resort_is_among_the_locators() -> None:
    result = run(
        "import os, sim_adapters; print(os.environ['NUMBA_CACHE_LOCATOR_CLASSES'])",
        without=("NUMBA_CACHE_LOCATOR_CLASSES",),
    )
    locators = result.stdout.strip().split(",")
    assert locators[0] == OURS
    assert locators[-1] == LAST


def test_a_process_without_home_gets_one() -> None:
    # The import of CARLA's library ends a process that has none
    code = "import os, sim_adapters, carla; print(os.environ['HOME'])"
    assert run(code, without=("HOME",)).stdout.strip() == pwd.getpwuid(os.getuid()).pw_dir
    nobody = "import pwd\npwd.getpwuid = {}.__getitem__\n" + code
    assert run(nobody, without=("HOME",)).stdout.strip() == "/"


def test_a_chosen_folder_needs_no_home() -> None:
    code = "from sim_adapters.kernel_cache import cache_root; print(cache_root())"
    chosen = run(code, without=("HOME",), CARL_PLANNER_CACHE="/chosen")
    assert chosen.stdout.strip() == "/chosen"
    xdg = run(code, without=("HOME", "CARL_PLANNER_CACHE"), XDG_CACHE_HOME="/xdg")
    assert xdg.stdout.strip() == "/xdg/carl_planner"


def test_a_town_that_cannot_be_kept_is_read_all_the_same(tmp_path: Path) -> None:
    crossing = Path(__file__).parents[1] / "data" / "crossing.xodr"
    load = f"""
from sim_adapters.maps.opendrive import load_map_bank
import sim_adapters.maps.opendrive as opendrive
first = load_map_bank([{str(crossing)!r}])
opendrive._run_worker = None  # once is enough
print(load_map_bank([{str(crossing)!r}]).points.x.size == first.points.x.size)
"""
    file, temporary = tmp_path / "file", tmp_path / "temporary"
    file.touch()
    temporary.mkdir()
    for cache in ("/proc/nowhere", str(file)):
        result = run(
            load,
            NUMBA_CACHE_DIR=str(kernel_folder()),
            CARL_PLANNER_CACHE=cache,
            TMPDIR=str(temporary),
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.split() == ["True"]
        assert result.stderr.count(f"not kept in {cache}/maps") == 1
        assert "set CARL_PLANNER_CACHE to a folder" in result.stderr
        assert list(temporary.iterdir()) == []  # it goes with the process
