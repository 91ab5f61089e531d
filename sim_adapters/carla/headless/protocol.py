"""msgpack-RPC as rpclib speaks it: bare msgpack objects, answers wrapped as CARLA wraps them."""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgpack

from sim_adapters.carla.headless.background import MAX_WAITING, Background, Later
from sim_adapters.carla.headless.peers import Peer

_logger = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 96 * 2**20  # an OpenDRIVE text or a batch
MAX_LIST_ITEMS = 20_000  # a header may claim any length, and room is made for it at once
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


Respond = Callable[["RpcPeer", str, list[Any]], tuple[Any, Any]]  # caller, name, arguments


class RpcPeer(Peer):
    """A client on the RPC port.

    Args:
        connection: Its socket.
        selector: Of the server's loop.
        background: Does what takes long.
        respond: Carries out a call of this peer; gives (error, result), one of them None.
    """

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        background: Background,
        respond: Respond,
    ) -> None:
        super().__init__(connection, selector, _MAX_QUEUED_BYTES)
        self._background = background
        self._respond = respond
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="surrogateescape",
            strict_map_key=False,
            max_buffer_size=MAX_MESSAGE_BYTES,
            max_array_len=MAX_LIST_ITEMS,
            max_map_len=MAX_LIST_ITEMS,
            max_ext_len=0,
        )

    def on_bytes(self, data: bytes) -> None:
        """Carry out every complete request; bytes that are no requests end the connection."""
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._handle(message)
                if not self.is_open:
                    return
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            _logger.warning("dropped a client that sent no msgpack-RPC: %s", str(error)[:200])
            self.close()

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
