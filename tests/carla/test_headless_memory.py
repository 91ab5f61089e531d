"""What all connections of the headless server hold together is bounded, and freed with them."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from sim_adapters.carla.headless.peers import HeldMemory, Host, Peer, SensorStreams, Subscriber
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.headless.protocol import Background, Respond, RpcPeer, unpack_message
from tests.carla.test_headless_hostile import assert_fit, connect, resident_mb

KB, MB = 1024, 2**20


class Loop:
    """A server's loop in small: what connections need, and which of them have ended."""

    def __init__(self, limit_bytes: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.memory = HeldMemory(limit_bytes)
        self.gone: list[Peer] = []
        self.host = Host(self.selector, self.memory, self.gone.append)
        self.background = Background(self.selector)
        self.clients: list[socket.socket] = []

    def accept(self) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.clients.append(socket.create_connection(listener.getsockname()))
            return listener.accept()[0]

    def rpc_peer(self, respond: Respond = lambda *_: (None, None)) -> RpcPeer:
        return RpcPeer(self.accept(), self.host, self.background, respond)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(limit_bytes=100 * KB)
    yield made
    for key in list(made.selector.get_map().values()):
        if isinstance(key.data, Peer):
            key.data.close()
    for client in made.clients:
        client.close()
    made.background.close()
    made.selector.close()


def half_a_text(num_bytes: int) -> bytes:
    """The beginning of a text of ten million bytes."""
    return b"\xdb" + (10**7).to_bytes(4, "big") + b"x" * (num_bytes - 5)


def test_half_received_messages_together_end_whoever_holds_most(loop: Loop) -> None:
    small, large, last = (loop.rpc_peer() for _ in range(3))
    small.on_bytes(half_a_text(10 * KB))
    large.on_bytes(half_a_text(25 * KB))
    assert loop.memory.num_bytes == 2 * 35 * KB  # the scanner keeps a second copy
    assert loop.gone == []
    last.on_bytes(half_a_text(20 * KB))
    assert loop.gone == [large]
    assert [small.is_open, large.is_open, last.is_open] == [True, False, True]
    assert loop.memory.num_bytes == 2 * 30 * KB


def test_answers_that_nobody_fetches_count_too(loop: Loop) -> None:
    deaf, other = loop.rpc_peer(), loop.rpc_peer()
    other.on_bytes(half_a_text(KB))
    for _ in range(1000):  # the kernel takes some megabytes of the 64
        deaf.send(b"x" * 64 * KB)
    assert loop.gone == [deaf]
    assert loop.memory.num_bytes == 2 * KB


def test_a_message_is_held_until_its_end_has_come(loop: Loop) -> None:
    names: list[str] = []

    def respond(_: Peer, name: str, __: list[Any]) -> tuple[None, None]:
        names.append(name)
        return None, None

    peer = loop.rpc_peer(respond)
    notification = msgpack.packb([2, "x" * 30 * KB, []]) or b""
    peer.on_bytes(notification[: 20 * KB])
    assert loop.memory.num_bytes == 2 * 20 * KB
    peer.on_bytes(notification[20 * KB :] + notification[:KB])
    assert names == ["x" * 30 * KB]
    assert loop.memory.num_bytes == 2 * KB
    peer.close()
    assert loop.memory.num_bytes == 0


def test_a_closed_subscriber_leaves_its_stream_at_once(loop: Loop) -> None:
    streams = SensorStreams(port=1)
    stream_id = streams.open()
    subscriber = Subscriber(loop.accept(), loop.host, streams)
    subscriber.on_bytes(stream_id.to_bytes(4, "little"))
    assert streams.has_listeners(stream_id)
    subscriber.close()
    assert not streams.has_listeners(stream_id)
    assert loop.gone == [subscriber]


def test_large_messages_are_long_texts_not_many_objects() -> None:
    text = "x" * 4 * MB
    assert unpack_message(msgpack.packb([text]) or b"") == [text]
    hundred_lists = b"\xdc\x00\x64" + b"\x90" * 100
    with pytest.raises(ValueError, match="more than 500000 items"):
        unpack_message(b"\xdc\x4e\x20" + hundred_lists * 20_000)
    with pytest.raises(ValueError, match="max_map_len"):
        unpack_message(b"\x92" + (msgpack.packb(text) or b"") + b"\x81\x01\x02")


def test_memory_of_a_connection_comes_back_when_it_ends(server: HeadlessServer) -> None:
    assert_fit(server)
    before = resident_mb(server.pid)
    with connect(server) as connection:
        connection.sendall(b"\xdb" + (90 * MB).to_bytes(4, "big") + bytes(60 * MB))
        deadline = time.monotonic() + 20.0
        while resident_mb(server.pid) < before + 50.0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert resident_mb(server.pid) > before + 50.0
    while resident_mb(server.pid) > before + 20.0 and time.monotonic() < deadline:
        time.sleep(0.02)  # nobody connects meanwhile
    assert resident_mb(server.pid) < before + 20.0
