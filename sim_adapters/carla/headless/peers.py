"""Non-blocking sockets with a queue for what the other side does not take at once; streams."""

from __future__ import annotations

import logging
import selectors
import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_logger = logging.getLogger(__name__)
RECEIVE_BYTES = 1 << 18
MAX_HELD_BYTES = 2**30  # by all connections together


class HeldMemory:
    """What all connections hold together: messages half received, and answers not fetched.

    Limits of single connections do not add up to one of the server: 512 of them could each stay
    below theirs. When the sum is too large, whoever holds most is dropped.

    Args:
        limit_bytes: The most that they may hold.
    """

    def __init__(self, limit_bytes: int = MAX_HELD_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held_by: dict[Peer, int] = {}
        self.num_bytes = 0

    def update(self, peer: Peer, num_bytes: int) -> None:
        """A connection holds so much from now on."""
        self.num_bytes += num_bytes - self._held_by.pop(peer, 0)
        if num_bytes:
            self._held_by[peer] = num_bytes
        while self.num_bytes > self._limit_bytes:
            largest = max(self._held_by, key=self._held_by.__getitem__)
            _logger.warning(
                "dropped a client that holds %d of the %d bytes of all connections",
                *(self._held_by[largest], self.num_bytes),
            )
            largest.close()


@dataclass(frozen=True)
class Host:
    """What the server's loop lends to each connection.

    Args:
        selector: Where connections register themselves.
        memory: Of all connections.
        forget: Called once with every connection that has ended.
    """

    selector: selectors.BaseSelector
    memory: HeldMemory
    forget: Callable[[Peer], None]


class Peer(ABC):
    """One accepted connection; subclasses say what to do with received bytes.

    Args:
        connection: The socket, made non-blocking here.
        host: The loop that the peer lives in.
        max_queued_bytes: A peer that lets more than this pile up is dropped.
    """

    def __init__(self, connection: socket.socket, host: Host, max_queued_bytes: int) -> None:
        self._socket = connection
        self._host = host
        self._queue: deque[memoryview] = deque()
        self._queued_bytes = 0
        self._max_queued_bytes = max_queued_bytes
        self.is_open = True
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host.selector.register(connection, selectors.EVENT_READ, self)

    @property
    def has_backlog(self) -> bool:
        """Whether the other side has not taken everything yet."""
        return bool(self._queue)

    def on_event(self, mask: int) -> None:
        """The selector reports that the socket can be written or read."""
        if not self.is_open:  # dropped since then, for the memory of all connections
            return
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

    @property
    def num_received_bytes(self) -> int:
        """Bytes kept of a message whose end has not come yet."""
        return 0

    def _report_memory(self) -> None:
        self._host.memory.update(self, self._queued_bytes + self.num_received_bytes)

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
        self._report_memory()

    def _flush(self) -> None:
        self._send_queue()
        if self.is_open:
            self._report_memory()

    def _send_queue(self) -> None:
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
        self._host.selector.modify(self._socket, events, self)

    def close(self) -> None:
        """Forget the connection; more than one call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self._host.selector.unregister(self._socket)
        self._socket.close()
        self._queue.clear()
        self._queued_bytes = 0
        self._host.memory.update(self, 0)
        self._host.forget(self)


# Sensor streams: one TCP connection a subscription, on the port after the RPC port.
#
# A subscriber sends a 4-byte stream id and from then on gets messages, each after its 4-byte
# length.

WORLD_STREAM = 1
_MAX_QUEUED_BYTES = 64 * 2**20
_LENGTH = struct.Struct("<I")
_TOKEN = struct.Struct("<IHBB16s")  # stream, port, protocol, kind of address, address
_TCP = 1
_ADDRESS_NOT_SET = 0  # the client then connects to the host it reached the server by


class SensorStreams:
    """All streams and who listens to them.

    Args:
        port: Where subscribers connect.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._next_id = WORLD_STREAM + 1
        self._listeners: dict[int, list[Subscriber]] = {WORLD_STREAM: []}
        self.on_world_subscriber: Callable[[Subscriber], None] = lambda subscriber: None

    def open(self) -> int:
        """Id of a new stream."""
        stream_id = self._next_id
        self._next_id += 1
        self._listeners[stream_id] = []
        return stream_id

    def shut(self, stream_id: int) -> None:
        """End a stream. Its connections stay open in silence until the client leaves.

        A client whose connection is closed would connect again at once, for ever.
        """
        self._listeners.pop(stream_id, None)

    def exists(self, stream_id: int) -> bool:
        """Whether the stream is open."""
        return stream_id in self._listeners

    def has_listeners(self, stream_id: int) -> bool:
        """Whether anybody would get a message."""
        return bool(self._listeners.get(stream_id))

    def token(self, stream_id: int) -> bytes:
        """What a client needs to subscribe."""
        return _TOKEN.pack(stream_id, self._port, _TCP, _ADDRESS_NOT_SET, bytes(16))

    def add(self, stream_id: int, subscriber: Subscriber) -> None:
        """A subscriber has named its stream."""
        self._listeners[stream_id].append(subscriber)
        if stream_id == WORLD_STREAM:
            self.on_world_subscriber(subscriber)

    def send(self, stream_id: int, payload: bytes, *, may_drop: bool) -> None:
        """Send a message to all listeners.

        Args:
            stream_id: The stream.
            payload: Header and body of the message.
            may_drop: Skip listeners that still have not read earlier messages, as CARLA does.
        """
        listeners = self._listeners.get(stream_id)
        if not listeners:
            return
        message = _LENGTH.pack(len(payload)) + payload
        for subscriber in tuple(listeners):  # sending may end connections
            if not (may_drop and subscriber.has_backlog):
                subscriber.send(message)

    def remove(self, stream_id: int, subscriber: Subscriber) -> None:
        """A subscriber has gone."""
        listeners = self._listeners.get(stream_id, [])
        if subscriber in listeners:
            listeners.remove(subscriber)


class Subscriber(Peer):
    """A connection of the streaming port."""

    def __init__(self, connection: socket.socket, host: Host, streams: SensorStreams) -> None:
        super().__init__(connection, host, _MAX_QUEUED_BYTES)
        self._streams = streams
        self._received = b""
        self._stream_id: int | None = None

    def on_bytes(self, data: bytes) -> None:
        """The first four bytes name the stream; nothing is expected after them."""
        if self._stream_id is not None:
            return
        self._received += data[:4]
        if len(self._received) < _LENGTH.size:
            return
        (stream_id,) = _LENGTH.unpack(self._received[:4])
        self._stream_id = stream_id
        if self._streams.exists(stream_id):
            self._streams.add(stream_id, self)
        else:  # of an actor just destroyed, as a rule; see `SensorStreams.shut`
            _logger.info("a client asked for stream %d, which does not exist", stream_id)

    def close(self) -> None:
        """Forget the connection, here and in its stream."""
        super().close()
        if self._stream_id is not None:
            self._streams.remove(self._stream_id, self)

    def send_message(self, payload: bytes) -> None:
        """Send one message to this subscriber alone."""
        self.send(_LENGTH.pack(len(payload)) + payload)
