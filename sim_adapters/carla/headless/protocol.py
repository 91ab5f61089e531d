"""msgpack-RPC as rpclib speaks it: bare msgpack objects, answers wrapped as CARLA wraps them.

An answer that takes long comes from a thread, `Background`.
"""

from __future__ import annotations

import logging
import queue
import selectors
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgpack

from sim_adapters.carla.headless.peers import Host, Peer

# Work that would hold up the server's loop, done in a thread; its end comes back to the loop

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


_logger = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 96 * 2**20  # an OpenDRIVE text or a batch
MAX_LIST_ITEMS = 20_000  # a header may claim any length, and room is made for it at once
_CALM_MESSAGE_BYTES = 2**20  # objects take up to 80 times the bytes that describe them
_MAX_LARGE_MESSAGE_ITEMS = 500_000  # in the lists of a larger message: its bytes are long texts
_MAX_QUEUED_BYTES = 512 * 2**20
_REQUEST, _RESPONSE, _NOTIFICATION = 0, 1, 2
_MAX_MESSAGE_ID = 2**32 - 1
_PACKER = msgpack.Packer(unicode_errors="surrogateescape")  # has a large buffer, so one for all


class Answer(Enum):
    """How a call's result is wrapped."""

    VALUE = 0  # Response<T>: [[1, value]] or [[0, [message]]]
    VOID = 1  # Response<void>: [[false]] or [[true, [message]]]
    BARE = 2  # the value itself

    def success(self, value: Any) -> Any:
        """The wrapped result."""
        if self is Answer.VALUE:
            return [[1, value]]
        return [[False]] if self is Answer.VOID else value

    def failure(self, message: str) -> Any:
        """The wrapped error."""
        return [[True, [message]]] if self is Answer.VOID else [[0, [message]]]


class MessageBuffer:
    """Received bytes, cut into messages.

    Objects are made of complete messages only: those of a half received one would take memory
    that nobody counts.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._num_cut_bytes = 0  # of all messages given out
        self._scanner = msgpack.Unpacker(max_buffer_size=MAX_MESSAGE_BYTES)

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            ValueError: a message is larger than any that a client means.
        """
        self._bytes += data
        self._scanner.feed(data)

    def next_message(self) -> bytes | None:
        """The next complete message, if there is one."""
        try:
            self._scanner.skip()
        except msgpack.OutOfData:
            if len(self._bytes) > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes") from None
            return None
        length = self._scanner.tell() - self._num_cut_bytes
        self._num_cut_bytes += length
        message = bytes(memoryview(self._bytes)[:length])
        del self._bytes[:length]
        return message


def unpack_message(message: bytes) -> Any:
    """The objects of one message.

    Raises:
        ValueError: it has lists too long or too many, or is no msgpack.
    """
    num_items = 0
    is_large = len(message) > _CALM_MESSAGE_BYTES

    def count(items: list[Any]) -> list[Any]:
        nonlocal num_items
        num_items += 1 + len(items)
        if num_items > _MAX_LARGE_MESSAGE_ITEMS:
            raise ValueError(f"a message has more than {_MAX_LARGE_MESSAGE_ITEMS} items")
        return items

    return msgpack.unpackb(
        message,
        raw=False,
        unicode_errors="surrogateescape",
        strict_map_key=False,
        list_hook=count if is_large else None,
        max_array_len=MAX_LIST_ITEMS,
        max_map_len=0 if is_large else MAX_LIST_ITEMS,  # CARLA's client sends no maps
        max_ext_len=0,
    )


Respond = Callable[["RpcPeer", str, list[Any]], tuple[Any, Any]]  # caller, name, arguments


class RpcPeer(Peer):
    """A client on the RPC port.

    Args:
        connection: Its socket.
        host: The server's loop.
        background: Does what takes long.
        respond: Carries out a call of this peer; gives (error, result), one of them None.
    """

    def __init__(
        self,
        connection: socket.socket,
        host: Host,
        background: Background,
        respond: Respond,
    ) -> None:
        super().__init__(connection, host, _MAX_QUEUED_BYTES)
        self._background = background
        self._respond = respond
        self._received = MessageBuffer()

    @property
    def num_received_bytes(self) -> int:
        """Bytes of a request whose end has not come yet; the scanner keeps them, too."""
        return 2 * len(self._received)

    def on_bytes(self, data: bytes) -> None:
        """Carry out every complete request; bytes that are no requests end the connection."""
        had_rest = len(self._received) > 0
        try:
            self._received.feed(data)
            while self.is_open and (message := self._received.next_message()) is not None:
                self._handle(unpack_message(message))
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            _logger.warning("dropped a client that sent no msgpack-RPC: %s", str(error)[:200])
            self.close()
        if self.is_open and (had_rest or len(self._received)):
            self._report_memory()

    def close(self) -> None:
        """Forget the connection and what it has sent."""
        self._received = MessageBuffer()
        super().close()

    def _handle(self, message: Any) -> None:
        """Answer one request; `args[0]` is [true] where the client wants no answer."""
        if not isinstance(message, list) or len(message) not in (3, 4):
            raise ValueError("a message is not a list of 3 or 4 items")
        message_id = message[1] if len(message) == 4 else None
        expected = _REQUEST if len(message) == 4 else _NOTIFICATION
        if type(message[0]) is not int or message[0] != expected:
            raise ValueError("a message is neither a request nor a notification")
        name, arguments = message[-2:]
        if not isinstance(name, str) or not isinstance(arguments, list):
            raise ValueError("a request lacks its name or its list of arguments")
        if message_id is not None and not (
            type(message_id) is int and 0 <= message_id <= _MAX_MESSAGE_ID
        ):
            raise ValueError("a request has no valid number")
        wants_answer = message_id is not None
        if arguments and isinstance(arguments[0], list):  # metadata of CARLA's client
            wants_answer = wants_answer and arguments[0][:1] != [True]
            arguments = arguments[1:]
        error, result = self._respond(self, name, arguments)

        def reply(value: Any) -> None:
            if wants_answer:
                self.send(_PACKER.pack([_RESPONSE, message_id, error, value]))

        if isinstance(result, Later) and self._background.num_waiting >= MAX_WAITING:
            raise ValueError("too many worlds are being loaded")
        if isinstance(result, Later):
            self._background.submit(result, reply)
        else:
            reply(result)
