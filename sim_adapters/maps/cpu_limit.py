"""Takes the compilation of kernels out of a map worker's limit of CPU time."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import event

_COMPILING = "numba:compiler_lock"


class _CompilationIsFree(event.Listener):
    """Lifts the limit while numba compiles and puts it back, later by what that took."""

    def __init__(self, limit_s: int) -> None:
        self._limit_s = float(limit_s)
        self._depth = 0  # a kernel's compilation compiles the kernels that it calls
        self._since_s = 0.0

    def on_start(self, event: event.Event) -> None:
        """Let the clock run free."""
        del event
        self._depth += 1
        if self._depth == 1:
            self._since_s = time.process_time()
            _set_limit_s(resource.RLIM_INFINITY)

    def on_end(self, event: event.Event) -> None:
        """Count on."""
        del event
        self._depth -= 1
        if self._depth == 0:
            self._limit_s += time.process_time() - self._since_s
            _set_limit_s(int(self._limit_s) + 1)


@contextmanager
def compilation_is_free() -> Iterator[None]:
    """Within this context what numba compiles does not count to the process's CPU time.

    Without a limit of CPU time nothing happens.
    """
    limit_s, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if limit_s == resource.RLIM_INFINITY:
        yield
        return
    listener = _CompilationIsFree(limit_s)
    event.register(_COMPILING, listener)
    try:
        yield
    finally:
        event.unregister(_COMPILING, listener)


def _set_limit_s(limit_s: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        limit_s = hard if limit_s == resource.RLIM_INFINITY else min(limit_s, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, hard))
