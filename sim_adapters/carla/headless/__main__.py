"""`python -m sim_adapters.carla.headless [town=Town01] [port=2000] [version=0.9.16] [host=...]`.

Serves the unmodified CARLA client library without Unreal. `port=0` takes two free ports and prints
them. The server listens on 127.0.0.1; `host=0.0.0.0` opens it to the network, where nobody is
asked who they are.

The server is one thread with one loop over all connections; free-running worlds tick by themselves.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.calls.actors import ActorCalls, BatchCalls
from sim_adapters.carla.headless.calls.dispatch import Dispatcher, call
from sim_adapters.carla.headless.calls.vehicles import VehicleCalls
from sim_adapters.carla.headless.calls.without_effect import CallsWithoutEffect
from sim_adapters.carla.headless.calls.world import LightCalls, RayCalls, WorldCalls
from sim_adapters.carla.headless.peers import HeldMemory, Host, Peer, SensorStreams, Subscriber
from sim_adapters.carla.headless.process import DEFAULT_VERSION, wire_version
from sim_adapters.carla.headless.protocol import Background, RpcPeer
from sim_adapters.carla.headless.town import load_town
from sim_adapters.carla.headless.world import World

# Calls by which clients find one another's TrafficManagers; these run in the clients.

_NONE: tuple[str, int] = ("", 0)
_MAX_MANAGERS = 64


class TrafficManagerCalls:
    """Who registered a TrafficManager, by its port.

    A manager lives in its client's process: it is forgotten when that client's connection ends, so
    that the next client does not wait for the dead.
    """

    def __init__(self) -> None:
        self._hosts: dict[int, str] = {}
        self._owners: dict[int, object] = {}
        self.caller: object = None  # the connection whose call is being carried out

    def forget(self, owner: object) -> None:
        """A connection has ended."""
        for port in [port for port, other in self._owners.items() if other is owner]:
            self.remove(port)

    @call("is_traffic_manager_running")
    def is_running(self, port: Any) -> bool:
        """Whether a manager with this port is registered."""
        return values.whole(port, 0, 65535) in self._hosts

    @call("get_traffic_manager_running")
    def find(self, port: Any) -> list[Any]:
        """Host and port of a manager, or an empty host."""
        number = values.whole(port, 0, 65535)
        return [self._hosts[number], number] if number in self._hosts else list(_NONE)

    @call("add_traffic_manager_running")
    def add(self, info: Any) -> bool:
        """Register [host, port]; false if the port is taken."""
        host, port = values.items(info, 2)[:2]
        number = values.whole(port, 0, 65535)
        if number in self._hosts or len(self._hosts) >= _MAX_MANAGERS:
            return False
        self._hosts[number] = values.text(host, 255)
        self._owners[number] = self.caller
        return True

    @call("destroy_traffic_manager")
    def remove(self, port: Any) -> bool:
        """Forget a manager."""
        number = values.whole(port, 0, 65535)
        self._owners.pop(number, None)
        return self._hosts.pop(number, None) is not None


_logger = logging.getLogger(__name__)
_MAX_CONNECTIONS = 512
_BACKLOG = 64
_IDLE_S = 0.5  # how soon a stop is noticed
_MOST_TICKS_BEHIND = 5  # a free-running world that is slower than the clock does not catch up


@dataclass(frozen=True)
class ServerOptions:
    """How to start a server.

    Args:
        town: First town, by name or path.
        port: RPC port; streams use the next one. 0 takes any two free ones.
        host: Address to listen on; only programs on this machine reach the default one.
        version: Release whose protocol is spoken.
    """

    town: str = "Town01"
    port: int = 2000
    host: str = "127.0.0.1"
    version: str = DEFAULT_VERSION


class HeadlessCarla:
    """A CARLA server without Unreal.

    Args:
        options: What to serve and where.
    """

    def __init__(self, options: ServerOptions) -> None:
        version = wire_version(options.version)
        self._selector = selectors.DefaultSelector()
        self._background = Background(self._selector)
        self._rpc_socket, self._stream_socket = _listen(options.host, options.port)
        self.port: int = self._rpc_socket.getsockname()[1]
        self.streams = SensorStreams(self.port + 1)
        self.world = World(load_town(options.town), self.streams, version)
        self._managers = TrafficManagerCalls()
        self.dispatcher = self._build_dispatcher()
        self._peers: set[Peer] = set()
        self._host = Host(self._selector, HeldMemory(), self._forget)
        self._next_tick_s = time.monotonic()
        self._is_stopping = False
        self._selector.register(self._rpc_socket, selectors.EVENT_READ, self._accept_rpc)
        self._selector.register(self._stream_socket, selectors.EVENT_READ, self._accept_stream)

    def _build_dispatcher(self) -> Dispatcher:
        actors = ActorCalls(self.world)
        batches = BatchCalls(self.world, actors)
        batches.dispatcher = Dispatcher(
            [
                WorldCalls(self.world),
                actors,
                VehicleCalls(self.world, actors),
                LightCalls(self.world, actors),
                RayCalls(self.world),
                CallsWithoutEffect(actors),
                self._managers,
                batches,
            ]
        )
        return batches.dispatcher

    def serve(self) -> None:
        """Answer clients until `stop` is called."""
        try:
            while not self._is_stopping:
                for key, mask in self._selector.select(self._wait_s()):
                    if isinstance(key.data, Peer):
                        key.data.on_event(mask)
                    else:
                        key.data()
                self._tick_if_due()
        finally:
            self.close()

    def stop(self) -> None:
        """Let `serve` return soon; callable from a signal handler."""
        self._is_stopping = True
        self._background.wake()

    def close(self) -> None:
        """Close every socket."""
        for peer in tuple(self._peers):
            peer.close()
        for listener in (self._rpc_socket, self._stream_socket):
            listener.close()
        self._background.close()
        self._selector.close()

    def _wait_s(self) -> float:
        if self.world.settings.is_synchronous:
            return _IDLE_S
        return min(max(self._next_tick_s - time.monotonic(), 0.0), _IDLE_S)

    def _tick_if_due(self) -> None:
        """In free-running mode ticks keep pace with the wall clock."""
        if self.world.settings.is_synchronous:
            return
        now = time.monotonic()
        if now < self._next_tick_s:
            return
        self.world.tick()
        tick_s = self.world.settings.tick_s
        self._next_tick_s = max(self._next_tick_s + tick_s, now - _MOST_TICKS_BEHIND * tick_s)

    def _accept_rpc(self) -> None:
        connection = self._accept(self._rpc_socket)
        if connection is not None:
            self._peers.add(RpcPeer(connection, self._host, self._background, self._respond))

    def _accept_stream(self) -> None:
        connection = self._accept(self._stream_socket)
        if connection is not None:
            self._peers.add(Subscriber(connection, self._host, self.streams))

    def _accept(self, listener: socket.socket) -> socket.socket | None:
        """A new connection, unless there are too many."""
        try:
            connection, _ = listener.accept()
        except OSError as error:  # the client has gone again, or no descriptor is left
            _logger.warning("could not accept a connection: %s", error)
            return None
        if len(self._peers) >= _MAX_CONNECTIONS:
            _logger.warning("refused a connection: there are %d already", len(self._peers))
            connection.close()
            return None
        return connection

    def _forget(self, peer: Peer) -> None:
        """A connection has ended."""
        self._managers.forget(peer)
        self._peers.discard(peer)

    def _respond(self, peer: Peer, name: str, arguments: list[Any]) -> tuple[Any, Any]:
        self._managers.caller = peer
        return self.dispatcher.respond(name, arguments)


def _listen(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Listening sockets on `port` and the next one.

    Raises:
        OSError: one of them is taken.
    """
    for attempt in range(20):
        first = _bind(host, port)
        number = first.getsockname()[1]
        try:
            return first, _bind(host, number + 1)
        except (OSError, OverflowError):
            first.close()
            if port != 0 or attempt == 19:
                raise
    raise AssertionError("unreachable")


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


# The command

READY_LINE = "listening on"
_KEYS = ("town", "port", "version", "host")


def parse_options(words: Sequence[str]) -> ServerOptions:
    """`key=value` words as options.

    Raises:
        SystemExit: help was asked for, or a word cannot be understood.
    """
    if any(word in ("-h", "--help", "help") for word in words):
        raise SystemExit(__doc__)
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    wrong = [word for word in words if "=" not in word or word.split("=", 1)[0] not in _KEYS]
    port = pairs.pop("port", "2000")
    if wrong or not port.isdigit() or int(port) > 65534:
        raise SystemExit(f"not understood: {' '.join(wrong) or f'port={port}'}\n{__doc__}")
    return ServerOptions(port=int(port), **pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = HeadlessCarla(options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"cannot start: {error}") from None
    except OSError as error:
        raise SystemExit(
            f"cannot listen on {options.host}:{options.port} and the next port ({error}): "
            f"choose another port="
        ) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    town = server.world.episode.town.name
    line = f"{READY_LINE} {options.host}:{server.port} ({town}, CARLA {options.version})"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
