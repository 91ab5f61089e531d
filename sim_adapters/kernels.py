"""Decorators of kernels: how they are compiled, in one place.

Kernels work on arrays that live longer than the call and allocate nothing, so they are compiled
without numba's reference counts (`_nrt=False`). Counting costs an atomic operation for every array
of every struct handed to every function, inlined or not: it made the traffic six times slower, each
call from Python several times dearer (no MemInfo object for every array) and compilation half as
long again. A kernel that allocates fails to compile ("NRT required but not enabled"); helpers that
do allocate use `numba.njit(cache=True)`.

Nobody calls a kernel through a C function pointer, so none gets a wrapper for that. Machine code is
made of the kernels that Python calls (`kernel_compiler.py`); any of them can be called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import config

from sim_adapters.kernel_compiler import Kernel

_LEAN: dict[str, Any] = {"nopython": True, "_nrt": False, "no_cfunc_wrapper": True}


def _decorator(**options: bool) -> Callable[[Callable[..., Any]], Any]:
    """Decorator that makes a kernel with these options of numba."""

    def decorate(function: Callable[..., Any]) -> Any:
        # NUMBA_DISABLE_JIT=1 runs kernels as the Python that they are
        disabled = getattr(config, "DISABLE_JIT", False)  # set by numba from its environment
        return function if disabled else Kernel(function, None, _LEAN | options)

    return decorate


# The loop over worlds or agents that Python calls; without the GIL, so that threads can share it
range_kernel = _decorator(nogil=True)
# Called by kernels
device_function = _decorator()
# Called by kernels and merged into them: for small functions in hot loops
inlined_function = _decorator(forceinline=True)
