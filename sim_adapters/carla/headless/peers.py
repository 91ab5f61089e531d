"""Non-blocking sockets with a queue for what the other side does not take at once."""

from __future__ import annotations

import logging
import selectors
import socket
from abc import ABC, abstractmethod
from collections import deque

_logger = logging.getLogger(__name__)
RECEIVE_BYTES = 1 << 18


class Peer(ABC):
    """One accepted connection; subclasses say what to do with received bytes.

    Args:
        connection: The socket, made non-blocking here.
        selector: Where the peer registers itself.
        max_queued_bytes: A peer that lets more than this pile up is dropped.
    """

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        max_queued_bytes: int,
    ) -> None:
        self._socket = connection
        self._selector = selector
        self._queue: deque[memoryview] = deque()
        self._queued_bytes = 0
        self._max_queued_bytes = max_queued_bytes
        self.is_open = True
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, self)

    @property
    def has_backlog(self) -> bool:
        """Whether the other side has not taken everything yet."""
        return bool(self._queue)

    def on_event(self, mask: int) -> None:
        """The selector reports that the socket can be written or read."""
        if mask & selectors.EVENT_WRITE:
            self._flush()
        if mask & selectors.EVENT_READ and self.is_open:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if data:
                self.on_bytes(data)
            else:
                self.close()

    @abstractmethod
    def on_bytes(self, data: bytes) -> None:
        """Bytes have arrived."""

    def send(self, data: bytes) -> None:
        """Send now what the socket takes and queue the rest."""
        if not self.is_open:
            return
        sent = 0
        if not self._queue:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
        if sent == len(data):
            return
        self._queue.append(memoryview(data)[sent:])
        self._queued_bytes += len(data) - sent
        if self._queued_bytes > self._max_queued_bytes:
            _logger.warning("dropped a client that has %d unread bytes", self._queued_bytes)
            self.close()
            return
        self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _flush(self) -> None:
        while self._queue:
            try:
                sent = self._socket.send(self._queue[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.close()
                return
            self._queued_bytes -= sent
            if sent < len(self._queue[0]):
                self._queue[0] = self._queue[0][sent:]
                return
            self._queue.popleft()
        self._watch(selectors.EVENT_READ)

    def _watch(self, events: int) -> None:
        self._selector.modify(self._socket, events, self)

    def close(self) -> None:
        """Forget the connection; more than one call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self._selector.unregister(self._socket)
        self._socket.close()
        self._queue.clear()
