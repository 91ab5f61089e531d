"""Sensor streams: one TCP connection a subscription, on the port after the RPC port.

A subscriber sends a 4-byte stream id and from then on gets messages, each after its 4-byte length.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable

from sim_adapters.carla.headless.peers import Host, Peer

_logger = logging.getLogger(__name__)
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
