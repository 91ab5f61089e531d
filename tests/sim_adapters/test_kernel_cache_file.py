"""Processes that compile at once must never find one kernel's machine code under another's name."""

import logging
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from sim_adapters.kernel_locator import KernelCacheFile, warn_once

NUM_KEYS = 40
MAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from twice import twice
print(twice(eval(sys.argv[2])))
"""
TWICE = """
from sim_adapters.kernels import device_function
@device_function
def twice(value):
    return value + value
"""


def cache_file(folder: Path, *, stamp: bytes = b"sources") -> KernelCacheFile:
    return KernelCacheFile(str(folder), "kernel", stamp)


def mixed_up_and_lost(folder: Path) -> tuple[int, int]:
    """Entries found under another's key and not found, after two threads saved at once.

    A file lock holds between two open files whether threads or processes have opened them.
    """
    keys = [f"specialisation {i}" for i in range(NUM_KEYS)]

    def save(own: list[str]) -> None:
        file = cache_file(folder)
        for key in own:
            file.save(key, f"code of {key}")

    threads = [threading.Thread(target=save, args=(keys[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = cache_file(folder)
    found = {key: file.load(key) for key in keys}
    wrong = sum(data not in (None, f"code of {key}") for key, data in found.items())
    return wrong, sum(data is None for data in found.values())


def test_entries_saved_at_once_are_all_kept_under_their_own_names(tmp_path: Path) -> None:
    assert mixed_up_and_lost(tmp_path) == (0, 0)


def test_an_entry_of_another_kernel_is_not_taken(tmp_path: Path) -> None:
    file = cache_file(tmp_path)
    file.save("float64", "code for float64")
    file.save("int64", "code for int64")
    data = {path.name: path.read_bytes() for path in tmp_path.glob("*.nbc")}
    (tmp_path / "kernel.1.nbc").write_bytes(data["kernel.2.nbc"])  # as the race left it
    assert file.load("float64") is None
    assert file.load("int64") == "code for int64"


def test_entries_of_older_sources_and_of_plain_numba_are_not_taken(tmp_path: Path) -> None:
    cache_file(tmp_path, stamp=b"older sources").save("float64", "old code")
    assert cache_file(tmp_path).load("float64") is None
    plain = KernelCacheFile.__base__
    assert plain is not None
    plain(str(tmp_path), "kernel", b"sources").save("float64", ("code", 1))
    assert cache_file(tmp_path).load("float64") is None


@pytest.mark.parametrize("stamp", [b"sources", b"older sources"])
def test_an_index_that_names_a_moved_class_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamp: bytes
) -> None:
    """A cache outlives the checkout: its keys may be of classes whose module is elsewhere now."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "old_place.py").write_text("class Scene:\n    pass\n")
    cache_file(tmp_path, stamp=stamp).save(import_module("old_place").Scene, "old code")
    (tmp_path / "old_place.py").unlink()
    monkeypatch.delitem(sys.modules, "old_place")
    file = cache_file(tmp_path)
    assert file.load("float64") is None
    file.save("float64", "code")
    assert file.load("float64") == "code"


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_truncated_file_is_written_anew(tmp_path: Path, suffix: str) -> None:
    file = cache_file(tmp_path)
    file.save("float64", "code")
    (kept,) = tmp_path.glob(f"*.{suffix}")
    kept.write_bytes(kept.read_bytes()[:-5])
    assert file.load("float64") is None
    file.save("float64", "code")
    assert file.load("float64") == "code"


def test_a_full_disk_costs_only_the_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = cache_file(tmp_path)
    monkeypatch.setattr(file, "_save_data", refuse)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        file.save("float64", "code")
        file.save("int64", "code")
    (record,) = caplog.records  # hundreds of kernels, one warning
    assert "No space left on device" in record.getMessage()
    assert str(tmp_path) in record.getMessage()
    assert file.load("float64") is None


def test_two_processes_keep_both_specialisations(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(TWICE)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", MAIN, str(tmp_path), argument],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for argument in ("21", "10.25")
    ]
    assert [run.communicate()[0].strip() for run in runs] == ["42", "20.5"]
    assert len(list((tmp_path / "kernels").rglob("*.nbc"))) == 2
