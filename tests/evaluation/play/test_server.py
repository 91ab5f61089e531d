import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from evaluation.play.server import LATE_S, Pace, Pages, PlayServer
from evaluation.play.session import DrivingSession


def served(session: DrivingSession, visit: Callable[[PlayServer, ClientSession], Awaitable[None]]):
    """Serve while `visit` runs."""

    async def run() -> None:
        server = PlayServer(session, Pages(lambda: "a page", no_drives))
        started = asyncio.Event()
        serving = asyncio.create_task(server.run(started.set))
        try:
            await asyncio.wait_for(started.wait(), 10.0)
            async with ClientSession() as client:
                await asyncio.wait_for(visit(server, client), 60.0)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    asyncio.run(run())


def no_drives() -> str:
    raise FileNotFoundError


async def connect(server: PlayServer, client: ClientSession):
    origin = f"http://127.0.0.1:{server.port}"
    return await client.ws_connect(server.url.replace("/?", "/drive?"), origin=origin)


async def next_of(socket, kind: str) -> dict:
    while True:
        message = json.loads((await socket.receive()).data)
        if message["is"] == kind:
            return message


def test_only_the_address_with_the_token_opens_the_page(session):
    async def visit(server, client):
        base = f"http://127.0.0.1:{server.port}"
        for address in (f"{base}/", f"{base}/?token=guess", f"{base}/drive", f"{base}/watch"):
            async with client.get(address) as response:
                assert response.status == 403
        async with client.get(server.url) as response:
            assert response.status == 200
            assert await response.text() == "a page"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        async with client.get(server.url.replace("/?", "/watch?")) as response:
            assert response.status == 404

    served(session, visit)


def test_other_hosts_and_origins_are_refused(session):
    async def visit(server, client):
        for headers in (
            {"Host": "attacker.example"},  # a name that was made to mean 127.0.0.1
            {"Host": f"attacker.example:{server.port}"},
            {"Origin": "http://attacker.example"},
            {"Origin": "null"},
        ):
            async with client.get(server.url, headers=headers) as response:
                assert response.status == 403
        address = server.url.replace("/?", "/drive?")
        for origin in (None, "http://attacker.example", f"https://127.0.0.1:{server.port}"):
            with pytest.raises(WSServerHandshakeError, match="403"):
                await client.ws_connect(address, origin=origin)

    served(session, visit)


def test_it_listens_on_loopback_alone(session):
    async def visit(server, client):
        del client
        assert server.url.startswith("http://127.0.0.1:")
        assert server.port > 0

    served(session, visit)


def test_keys_sent_by_the_page_drive_the_car(session):
    async def visit(server, client):
        socket = await connect(server, client)
        drive = await next_of(socket, "drive")
        assert drive["route"] == "10"
        await socket.send_json({"do": "keys", "held": ["throttle"]})
        while (message := await next_of(socket, "moment"))["throttle"] < 0.9:
            pass
        assert message["driver"] == "person"
        await socket.send_json({"do": "wheel", "driver": "planner"})
        while (await next_of(socket, "moment"))["driver"] != "planner":
            pass
        await socket.send_json({"do": "pause", "paused": True})
        while not (await next_of(socket, "moment"))["paused"]:
            pass
        steps = session.num_steps
        await asyncio.sleep(0.3)
        assert session.num_steps == steps
        await socket.send_json({"do": "route", "route": "12"})
        assert (await next_of(socket, "drive"))["route"] == "12"
        await socket.close()

    served(session, visit)


def test_the_world_goes_no_faster_than_real_time_and_says_how_it_kept_to_it(session):
    async def visit(server, client):
        clock = asyncio.get_running_loop().time
        began_s = clock()
        socket = await connect(server, client)
        while (await next_of(socket, "moment"))["step"] < 20:
            pass
        # 20 steps of 50 ms; those that were up to LATE_S late may have been caught up with
        assert clock() - began_s > 20 * 0.05 - LATE_S - 0.05
        assert server.pace.num_steps >= 20
        assert server.pace.taken_s > 0.0
        await socket.close()

    served(session, visit)


def test_a_late_step_is_one_that_begins_after_the_next_was_due():
    pace = Pace(0.05)
    assert str(pace) == "nothing was driven"
    pace.add(late_s=0.001, took_s=0.004)
    pace.add(late_s=0.051, took_s=0.008)
    assert str(pace) == "2 steps at 20 Hz, 1 of them late; one took 6.0 of its 50 ms"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("hello", "Expecting value"),
        ("{}", "not understood: {}"),
        ("[1]", "not understood: [1]"),
        ('{"do": "format", "disk": "C"}', "not understood"),
        ('{"do": "wheel", "driver": "nobody"}', "'nobody' is not a valid Wheel"),
        ('{"do": "keys"}', "not understood"),
        ('{"do": "route", "route": "99"}', "route '99': expected one of 10"),
        (
            '{"do": "background", "vehicles": 1000, "pedestrians": 0}',
            "raise simulator.max_vehicles",
        ),
        ('{"do": "background", "vehicles": -1, "pedestrians": 0}', "expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_answered_and_changes_nothing(session, sent, answer):
    async def visit(server, client):
        socket = await connect(server, client)
        await socket.send_str(sent)
        assert answer in (await next_of(socket, "said"))["text"]
        await socket.close()

    served(session, visit)
    assert session.scenario.scenario_id == "10"


def test_a_second_page_takes_over_and_keys_are_let_go_without_a_page(session):
    async def visit(server, client):
        first = await connect(server, client)
        await first.send_json({"do": "keys", "held": ["throttle"]})
        second = await connect(server, client)
        assert (await next_of(first, "said"))["text"] == "another page drives now"
        await next_of(second, "moment")
        await second.close()
        while session.held:
            await asyncio.sleep(0.01)
        steps = session.num_steps
        await asyncio.sleep(0.3)
        assert session.num_steps == steps  # nobody looks on

    served(session, visit)
