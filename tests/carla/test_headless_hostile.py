"""Nothing that a client sends ends the headless server or keeps it from answering others."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import carla
import msgpack
import pytest

from sim_adapters.carla.headless.process import HeadlessServer
from tests.carla.hostile_messages import broken_bytes, mutated_call

ANSWER_LIMIT_S = 20.0
_PIPELINED = 50


@pytest.fixture(scope="module", autouse=True)
def _fresh_world_afterwards(client: carla.Client) -> Iterator[None]:
    yield
    client.load_world("Town01")


def connect(server: HeadlessServer, offset: int = 0) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port + offset), ANSWER_LIMIT_S)
    connection.settimeout(ANSWER_LIMIT_S)
    return connection


def ask(connection: socket.socket, name: str, *arguments: Any) -> Any:
    """Answer to one request, as [1, id, error, result]."""
    connection.sendall(msgpack.packb([0, 7, name, [[False], *arguments]]) or b"")
    return receive(connection, 1)[0]


def receive(connection: socket.socket, count: int) -> list[Any]:
    unpacker = msgpack.Unpacker(raw=False, unicode_errors="replace", strict_map_key=False)
    answers: list[Any] = []
    while len(answers) < count:
        data = connection.recv(1 << 20)
        if not data:
            raise ConnectionError("the server has closed the connection")
        unpacker.feed(data)
        answers += list(unpacker)
    return answers


def assert_fit(server: HeadlessServer) -> None:
    assert server.is_running
    with connect(server) as connection:
        assert ask(connection, "version")[2:] == [None, [[1, "0.9.16"]]]
    assert "internal error" not in server.log_text()
    assert "Traceback" not in server.log_text()


def test_unknown_call_gets_an_error_and_one_line_in_the_log(server: HeadlessServer) -> None:
    with connect(server) as connection:
        for _ in range(2):
            error, result = ask(connection, "make_coffee", 1)[2:]
            assert "could not find function 'make_coffee'" in error
            assert result is None
    assert server.log_text().count("unknown call 'make_coffee'") == 1


def test_wrong_arguments_get_the_error_reply_of_their_kind(server: HeadlessServer) -> None:
    with connect(server) as connection:
        assert ask(connection, "get_physics_control", 10**6)[3][0][0] == 0
        assert ask(connection, "set_actor_transform", 0, [[1, 2]])[3][0][0] is True
        assert ask(connection, "set_actor_transform")[3][0][0] is True
        spectator_id, nan = ask(connection, "get_spectator")[3][0][1][0], float("nan")
        error = ask(connection, "set_actor_location", spectator_id, [nan, 0.0, 0.0])[3][0]
        assert error[0] is True
        assert "finite" in error[1][0]


def test_what_actors_keep_of_a_client_is_bounded(server: HeadlessServer) -> None:
    long_list = [["x" * 4_000, 3, "y" * 4_000]] * 3
    place = [[0.0, 0.0, 500.0], [0.0, 0.0, 0.0]]
    with connect(server) as connection:
        cone = [1, "static.prop.constructioncone", long_list]
        assert "too long" in ask(connection, "spawn_actor", cone, place)[3][0][1][0]
        car = [1, "vehicle.tesla.model3", []]
        actor_id = ask(connection, "spawn_actor", car, place)[3][0][1][0]
        physics = ask(connection, "get_physics_control", actor_id)[3][0][1]
        assert ask(connection, "apply_physics_control", actor_id, physics)[3] == [[False]]
        for large in ([[1.0, 2.0]] * 5_000, "x" * 10_000):
            error = ask(connection, "apply_physics_control", actor_id, [large, *physics[1:]])[3]
            assert "more than 2000 values" in error[0][1][0]
        assert ask(connection, "destroy_actor", actor_id)[3] == [[1, True]]


def fuzz_calls(server: HeadlessServer, count: int, seed: int) -> None:
    """Every tampered call is answered, with its own number."""
    source = random.Random(seed)
    connection = connect(server)
    for first in range(0, count, _PIPELINED):
        ids = list(range(first, first + _PIPELINED))
        connection.sendall(b"".join(mutated_call(source, number) for number in ids))
        assert sorted(answer[1] for answer in receive(connection, _PIPELINED)) == ids
    connection.close()


def fuzz_bytes(server: HeadlessServer, count: int, seed: int) -> None:
    """Broken bytes end their own connection at most; some clients die in mid-message."""
    source = random.Random(seed)
    for number in range(count):
        with connect(server, source.choice((0, 0, 0, 1))) as connection:
            try:
                connection.sendall(broken_bytes(source, number))
                if source.random() < 0.5:  # reset instead of an orderly end
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            except OSError:
                continue


def test_tampered_calls_are_all_answered(server: HeadlessServer) -> None:
    fuzz_calls(server, 3_000, seed=0)
    assert_fit(server)


def test_broken_bytes_end_their_own_connection_at_most(server: HeadlessServer) -> None:
    fuzz_bytes(server, 500, seed=0)
    assert_fit(server)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_mutated_messages(server: HeadlessServer) -> None:
    for seed in range(1, 11):
        fuzz_calls(server, 8_000, seed)
        fuzz_bytes(server, 3_000, seed)
        assert_fit(server)


def test_one_request_in_single_bytes_is_answered(server: HeadlessServer) -> None:
    data = msgpack.packb([0, 1, "version", [[False]]]) or b""
    with connect(server) as connection:
        for byte in data:
            connection.sendall(bytes([byte]))
        assert receive(connection, 1)[0][3] == [[1, "0.9.16"]]


def test_nested_headers_take_no_memory(server: HeadlessServer) -> None:
    before = resident_mb(server.pid)
    for _ in range(20):
        with connect(server) as connection:
            connection.sendall(b"\xdc\x4e\x20" * 600)  # lists of 20,000, one in another
            time.sleep(0.02)
    assert_fit(server)
    assert resident_mb(server.pid) - before < 200.0


def resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def test_reader_that_never_reads_does_not_hold_up_others(server: HeadlessServer) -> None:
    with connect(server) as deaf, connect(server) as other:
        request = msgpack.packb([0, 1, "get_map_data", [[False]]]) or b""
        deaf.sendall(request * 20)  # 20 answers of 1.5 MB that it does not fetch
        start = time.monotonic()
        assert ask(other, "version")[3] == [[1, "0.9.16"]]
        assert time.monotonic() - start < 5.0
    assert_fit(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_client_killed_in_the_middle_leaves_the_world_to_the_next(server: HeadlessServer) -> None:
    port = free_port()
    script = (
        "import carla, sys\n"
        f"client = carla.Client('127.0.0.1', {server.port})\n"
        "client.set_timeout(30.0)\n"
        "world = client.get_world()\n"
        "settings = world.get_settings()\n"
        "settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05\n"
        "world.apply_settings(settings)\n"
        f"manager = client.get_trafficmanager({port})\n"
        "manager.set_synchronous_mode(True)\n"
        "print('ready', flush=True)\n"
        "while True: world.tick()\n"
    )
    victim = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    victim.kill()
    victim.wait()
    victim.stdout.close()
    client = carla.Client("127.0.0.1", server.port)
    client.set_timeout(ANSWER_LIMIT_S)
    world = client.load_world("Town01")
    manager = client.get_trafficmanager(port)  # the dead one is forgotten
    assert manager.get_port() == port
    assert world.wait_for_tick(ANSWER_LIMIT_S).frame > 0
    manager.shut_down()
    assert_fit(server)
