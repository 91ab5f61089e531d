"""PlayServer: the page and its WebSocket on 127.0.0.1, and the clock that drives the session.

A page of another site must not reach it: the address carries a token that is new with each start,
Host and Origin must be this server's own, and nothing else listens. One page drives at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

from evaluation.play.drive_page import drive_message, moment_message
from evaluation.play.session import DrivingSession, Wheel

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
MOST_MESSAGE_BYTES = 4096
LATE_S = 0.25  # a world that is later than this goes on slower than real time
LOAD_SMOOTHING = 0.05
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}


@dataclass
class Pace:
    """Whether the world kept to real time: steps of `step_s`, and how many began late."""

    step_s: float
    num_steps: int = 0
    num_late: int = 0
    taken_s: float = 0.0

    def add(self, late_s: float, took_s: float) -> None:
        """A step that began `late_s` after it was due and took `took_s`."""
        self.num_steps += 1
        self.num_late += late_s > self.step_s
        self.taken_s += took_s

    def __str__(self) -> str:
        if self.num_steps == 0:
            return "nothing was driven"
        rate_hz, mean_ms = 1.0 / self.step_s, 1e3 * self.taken_s / self.num_steps
        return (
            f"{self.num_steps:,} steps at {rate_hz:.0f} Hz, {self.num_late:,} of them late; "
            f"one took {mean_ms:.1f} of its {1e3 * self.step_s:.0f} ms"
        )


class Pages(NamedTuple):
    """What is served beside the drive."""

    drive: Callable[[], str]  # the page on which one drives
    watch: Callable[[], str]  # the viewer's page of all drives so far


class PlayServer:
    """Serves one session.

    Args:
        session: Driven by this server's clock.
        pages: HTML.
        port: Of LOOPBACK, 0 for a free one.
    """

    def __init__(self, session: DrivingSession, pages: Pages, port: int = 0) -> None:
        self.session, self.pages, self.port = session, pages, port
        self.token = secrets.token_urlsafe(24)
        self.is_paused = False
        self.load = 0.0  # share of real time that steps take
        self.pace = Pace(session.worlds.scene.step_s)
        self._socket: web.WebSocketResponse | None = None
        self._drive_number = 0  # that the page knows
        self._commands: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "keys": lambda m: session.hold(frozenset(m["held"])),
            "wheel": lambda m: session.give_wheel(Wheel(m["driver"])),
            "script": lambda m: session.start_script(m["type"]),
            "background": lambda m: session.simulator.set_background(
                int(m["vehicles"]), int(m["pedestrians"])
            ),
            "route": lambda m: session.begin(m["route"]),
            "finish": lambda m: session.finish(),
            "pause": lambda m: setattr(self, "is_paused", bool(m["paused"])),
        }

    @property
    def url(self) -> str:
        """Of the page, with the token."""
        return f"http://{LOOPBACK}:{self.port}/?token={self.token}"

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled; calls `started` once the page can be opened."""
        app = web.Application(middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/watch", self._watch),
                web.get("/drive", self._drive),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            started()
            await self._keep_time()
        finally:
            await runner.cleanup()

    # Requests --------------------------------------------------------------------------------

    @web.middleware
    async def _guarded(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Refuse whoever is not this server's own page."""
        hosts = {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}
        origin = request.headers.get("Origin")
        if request.host not in hosts:
            raise web.HTTPForbidden(text="this host is not served here")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            raise web.HTTPForbidden(text="another site's page may not drive")
        token = request.query.get("token", "")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="the token is missing or of an earlier start")
        return await handler(request)

    async def _page(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self.pages.drive(), content_type="text/html", headers=HEADERS)

    async def _watch(self, request: web.Request) -> web.Response:
        del request
        try:
            text = self.pages.watch()
        except FileNotFoundError:
            raise web.HTTPNotFound(text="no drive of this start has ended yet") from None
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def _drive(self, request: web.Request) -> web.WebSocketResponse:
        if "Origin" not in request.headers:  # every browser sends one
            raise web.HTTPForbidden(text="a WebSocket needs an Origin")
        socket = web.WebSocketResponse(max_msg_size=MOST_MESSAGE_BYTES, heartbeat=20.0)
        await socket.prepare(request)
        before, self._socket = self._socket, socket
        if before is not None:
            await _tell(before, {"is": "said", "text": "another page drives now"})
            await before.close()
        self._drive_number = 0
        await self._show()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._obey(socket, message.data)
        if self._socket is socket:
            self._socket = None
            self.session.hold(frozenset())
        return socket

    async def _obey(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            message = json.loads(text)
            self._commands[message["do"]](message)
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"not understood: {text}"
            await _tell(socket, {"is": "said", "text": reason})
        else:
            await self._show()

    # Time ------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Drive in real time while a page looks on, or as fast as this machine can."""
        clock = asyncio.get_running_loop().time
        step_s = self.session.worlds.scene.step_s
        due_s = clock()
        while True:
            due_s = max(due_s + step_s, clock() - LATE_S)
            await asyncio.sleep(max(due_s - clock(), 0.0))
            if self._socket is None or self.is_paused or self.session.is_over:
                continue
            began_s = clock()
            self.session.step()
            await self._show()
            took_s = clock() - began_s
            self.pace.add(began_s - due_s, took_s)
            self.load += LOAD_SMOOTHING * (took_s / step_s - self.load)

    async def _show(self) -> None:
        """Send the present, and the drive if it is new to the page."""
        socket, session = self._socket, self.session
        if socket is None:
            return
        if self._drive_number != session.number:
            self._drive_number = session.number
            await _tell(socket, drive_message(session))
        state = {"paused": self.is_paused, "load": round(self.load, 3)}
        await _tell(socket, moment_message(session) | state)


async def _tell(socket: web.WebSocketResponse, message: Mapping[str, Any]) -> None:
    """Send; a page that has just been closed needs nothing."""
    try:
        await socket.send_str(json.dumps(message, separators=(",", ":")))
    except ConnectionError:
        log.debug("the page is gone")
