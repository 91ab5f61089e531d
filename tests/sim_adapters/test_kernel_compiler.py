"""Kernels are made machine code of once, where Python calls them."""

from __future__ import annotations


import numpy as np
import pytest
from numba.core import codegen

from sim_adapters.kernels import device_function, inlined_function, range_kernel

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
