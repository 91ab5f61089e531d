"""Turns SIGTERM and Ctrl-C into a wish that the training loop reads when it suits."""

from __future__ import annotations

import logging
import signal
import threading
from time import monotonic
from types import FrameType
from typing import Any, Self

log = logging.getLogger(__name__)

# torchrun repeats a terminal's Ctrl-C to its workers at once; a person needs longer.
SECOND_SIGNAL_S = 2.0


class StopSignal:
    """While entered, `requested` becomes True at the first SIGTERM or SIGINT.

    A second SIGINT a while later interrupts at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first_s = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def is_requested(self) -> bool:
        """Whether to stop."""
        return self.requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            self._first_s = monotonic()
            log.warning("%s: stopping and saving", signal.Signals(number).name)
        elif number == signal.SIGINT and monotonic() - self._first_s > SECOND_SIGNAL_S:
            raise KeyboardInterrupt
