"""Work that would hold up the server's loop, done in a thread; its end comes back to the loop."""

from __future__ import annotations

import queue
import selectors
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

MAX_WAITING = 8


@dataclass(frozen=True)
class Later:
    """What a call returns that needs long.

    Args:
        work: Runs in the thread; touches nothing that the loop owns.
        finish: Runs in the loop with what `work` returned, or the exception it raised; returns
            the value of the call.
    """

    work: Callable[[], Any]
    finish: Callable[[Any], Any]


class Background:
    """One thread for long work.

    Args:
        selector: Of the loop; it calls `on_ready` when work has ended.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._ended: queue.SimpleQueue[tuple[Callable[[Any], None], Any]] = queue.SimpleQueue()
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        selector.register(self._receiver, selectors.EVENT_READ, self.on_ready)
        self.num_waiting = 0

    def submit(self, later: Later, on_value: Callable[[Any], None]) -> None:
        """Do the work of `later`; the loop then gives `on_value` what `finish` returns."""
        self.num_waiting += 1
        self._pool.submit(self._run, later.work, lambda end: on_value(later.finish(end)))

    def _run(self, work: Callable[[], Any], on_end: Callable[[Any], None]) -> None:
        try:
            outcome = work()
        except Exception as error:  # travels to `finish`, in the loop
            outcome = error
        self._ended.put((on_end, outcome))
        self.wake()

    def wake(self) -> None:
        """Let the loop go round once; callable from a signal handler."""
        try:
            self._sender.send(b"\0")
        except OSError:
            return  # the server has been closed meanwhile, or has many such bytes waiting

    def on_ready(self) -> None:
        """Finish, in the loop, all work that has ended."""
        try:
            self._receiver.recv(4096)
        except OSError:
            return
        while not self._ended.empty():
            on_end, outcome = self._ended.get()
            self.num_waiting -= 1
            on_end(outcome)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._receiver.close()
        self._sender.close()
