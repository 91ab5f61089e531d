"""Kernels are compiled once, by one process, whoever calls them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numba.core import codegen

from sim_adapters import kernel_locator
from sim_adapters.kernel_locator import KernelCacheFile
from sim_adapters.kernels import device_function, inlined_function, range_kernel

ROOT = Path(__file__).parents[2]
LIMIT = 100.0


@inlined_function
def add_one(value: float) -> float:
    return value + 1.0


@device_function
def double_next(value: float) -> float:
    if value > LIMIT:
        raise ValueError("above the limit")
    return 2.0 * add_one(value)


@range_kernel
def double_range(first: int, last: int, values: np.ndarray) -> None:
    for i in range(first, last):
        values[i] = double_next(values[i])


@range_kernel
def quadruple_range(first: int, last: int, values: np.ndarray) -> None:
    double_range(first, last, values)
    double_range(first, last, values)


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions of which machine code is made from now on."""
    names: list[str] = []
    emit = codegen.JITCodeLibrary._finalize_specific

    def emit_and_note(library: codegen.JITCodeLibrary) -> None:
        if library.name != "nrt":  # numba's own runtime
            names.append(library.name)
        emit(library)

    monkeypatch.setattr(codegen.JITCodeLibrary, "_finalize_specific", emit_and_note)
    return names


def test_machine_code_is_made_of_what_python_calls_and_nothing_else(emitted: list[str]) -> None:
    values = np.array([1.0, 2.0])
    quadruple_range(0, 2, values)
    np.testing.assert_array_equal(values, [10.0, 14.0])  # 2 (2 (x + 1) + 1)
    assert emitted == ["quadruple_range"]


def test_any_kernel_can_be_called_from_python(emitted: list[str]) -> None:
    assert add_one(2.0) == 3.0
    assert double_next(2.0) == 6.0
    values = np.array([3.0])
    double_range(0, 1, values)
    assert values[0] == 8.0
    assert emitted == ["add_one", "double_next", "double_range"]
    assert add_one.py_func(2.0) == 3.0


def test_an_error_passes_through_all_kernels() -> None:
    with pytest.raises(ValueError, match="above the limit"):
        quadruple_range(0, 1, np.array([99.5]))


# Processes -----------------------------------------------------------------------------------

KERNELS = """
from sim_adapters.kernels import device_function, range_kernel
@device_function
def half(value):
    return 0.5 * value
@range_kernel
def halve_range(first, last, values):
    for i in range(first, last):
        values[i] = half(values[i])
"""
# `argv[2]`: a file for which the compiler waits, so that the others come while it is at work
MAIN = """
import logging, sys, time
from pathlib import Path
import numpy as np
from sim_adapters.kernel_compiler import PythonCompiler
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
sys.path.insert(0, sys.argv[1])
from halves import half, halve_range
compile_extra = PythonCompiler.compile_extra
def compile_later(self, func):
    print("compiling", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    return compile_extra(self, func)
PythonCompiler.compile_extra = compile_later
values = np.array([3.0])
halve_range(0, 1, values)
kernels = (halve_range.for_python, half)
print(values[0], *(sum(kernel.stats.cache_misses.values()) for kernel in kernels))
"""


@contextmanager
def process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that calls a kernel; its first line says what it does, its last what it got."""
    environment = {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, str(folder), str(folder / "go")],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.kill()


def next_line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_a_process_waits_for_the_kernel_that_another_compiles(tmp_path: Path) -> None:
    (tmp_path / "halves.py").write_text(KERNELS)
    with process(tmp_path) as first:
        assert next_line(first) == "compiling"
        with process(tmp_path) as second:
            assert "halve_range" in (said := next_line(second))
            assert said.endswith("is being compiled by another process, waiting")
            (tmp_path / "go").touch()
            assert next_line(first) == "1.5 1 1"
            assert next_line(second) == "1.5 0 0"


def test_a_process_that_dies_while_it_compiles_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "halves.py").write_text(KERNELS)
    with process(tmp_path) as first:
        assert next_line(first) == "compiling"
        with process(tmp_path) as second:
            assert next_line(second).endswith("waiting")
            first.kill()
            assert next_line(second) == "compiling"
            (tmp_path / "go").touch()
            assert next_line(second) == "1.5 1 1"


def test_who_waits_too_long_compiles_for_himself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_locator, "CLAIM_S", 0.1)
    stopped, other = (KernelCacheFile(str(tmp_path), "kernel", b"sources") for _ in range(2))
    waited: list[float] = []

    def refuse(timeout: float) -> None:
        waited.append(timeout)
        raise kernel_locator.Timeout("kernel.lock")

    monkeypatch.setattr(other._claim, "acquire", refuse)
    with stopped.claim(), other.claim():
        assert waited == [0.0, 0.1]  # a look, then the longest wait
        assert stopped._claim.is_locked
    assert not stopped._claim.is_locked


def test_a_folder_that_cannot_be_written_needs_no_claim() -> None:
    cache = KernelCacheFile("/proc/nowhere", "kernel", b"sources")
    with cache.claim():
        assert not cache._claim.is_locked
