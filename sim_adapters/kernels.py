"""Decorators of kernels: how numba compiles them, in one place.

Kernels work on arrays that live longer than the call and allocate nothing, so they are compiled
without numba's reference counts (`_nrt=False`). Counting costs an atomic operation for every array
of every struct handed to every function, inlined or not: it made the traffic six times slower, each
call from Python several times dearer (no MemInfo object for every array) and compilation half as
long again. A kernel that allocates fails to compile ("NRT required but not enabled"); helpers that
do allocate use `numba.njit(cache=True)`.

Nobody calls a kernel through a C function pointer, so none gets a wrapper for that.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_LEAN: dict[str, Any] = {"cache": True, "_nrt": False, "no_cfunc_wrapper": True}

# The loop over worlds or agents that Python calls; without the GIL, so that threads can share it
range_kernel = njit(**_LEAN, nogil=True)
# Called by kernels
device_function = njit(**_LEAN)
# Called by kernels and merged into them: for small functions in hot loops
inlined_function = njit(**_LEAN, forceinline=True)
