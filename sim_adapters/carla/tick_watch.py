"""TickWatch: wakes a TrafficManager whose synchronous tick stands still.

CARLA's library sets its flags for the TrafficManager's thread and back outside the lock under which
they are waited for, so a wake-up can fall between a look and the sleep. Both sides then wait for
ever, inside a call that no signal reaches. Switching the synchronous mode off wakes the thread
again, and it finishes the cycle it was asked for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

STALL_S = 20.0  # far more than a tick takes

_logger = logging.getLogger(__name__)


class SynchronousManager(Protocol):
    """What is asked of carla.TrafficManager."""

    def set_synchronous_mode(self, mode_switch: bool) -> None:
        """Whether it waits for ticks."""
        ...


class TickWatch:
    """Watches the ticks of one session from a thread of its own.

    Args:
        manager: In synchronous mode.
        stall_s: A tick that takes longer is taken to stand still.
    """

    def __init__(self, manager: SynchronousManager, stall_s: float = STALL_S) -> None:
        self._manager, self._stall_s = manager, stall_s
        self._since_s: float | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="tick watch", daemon=True).start()

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Around one tick."""
        self._since_s = time.monotonic()
        try:
            yield
        finally:
            self._since_s = None

    def end(self) -> None:
        """Stop watching; call it before the manager is shut down."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._stall_s / 4.0):
            since_s = self._since_s
            if since_s is not None and time.monotonic() - since_s > self._stall_s:
                _logger.warning("a tick has stood still for %g s: waking it", self._stall_s)
                self._since_s = time.monotonic()
                self._manager.set_synchronous_mode(False)
                self._manager.set_synchronous_mode(True)
