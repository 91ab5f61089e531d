"""While a kernel is compiled, signals wait and the garbage collector rests.

LLVM hands machine code to numba through a callback from C. Python runs the handler of a signal that
came meanwhile inside that callback, drops what it raises, and the kernel fails with "no compiled
object yet" in place of KeyboardInterrupt or of a test's timeout.

The compiler makes millions of small objects that live until it is done: collecting in between costs
an eighth of its time and frees nothing.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from numba.core import event

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_COMPILING = "numba:compiler_lock"


class SignalHold(event.Listener):
    """Keeps the signals of the main thread from the first lock of the compiler to its last."""

    def __init__(self) -> None:
        self._depth = 0  # a kernel's compilation compiles the kernels that it calls
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._held: list[tuple[int, FrameType | None]] = []
        self._collects = False

    def on_start(self, event: event.Event) -> None:
        """Put the handlers aside."""
        del event
        if threading.current_thread() is not threading.main_thread():
            return  # handlers run in the main thread only
        self._depth += 1
        if self._depth > 1:
            return
        self._collects = gc.isenabled()
        gc.disable()
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):  # else ignored, or the end of the process
                self._handlers[number] = handler
                signal.signal(number, self._hold)

    def on_end(self, event: event.Event) -> None:
        """Put them back and call those whose signal came."""
        del event
        if threading.current_thread() is not threading.main_thread():
            return
        self._depth -= 1
        if self._depth > 0:
            return
        if self._collects:
            gc.enable()
        handlers, self._handlers = self._handlers, {}
        held, self._held = self._held, []
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in held:
            handlers[number](number, frame)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held.append((number, frame))


def hold_signals_while_compiling() -> None:
    """Register the hold with numba; call it once a process."""
    event.register(_COMPILING, SignalHold())
