"""A headless Chromium, driven over its debugging pipe: no driver, no network, no library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
PATIENCE_S = 120.0
SIZE_PX = (1400, 900)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class BrowserError(RuntimeError):
    """The browser or the page did not do what was asked for."""


class Browser:
    """One page in a browser; use it as a context manager.

    Args:
        address: Of the page to open.
        profile: Folder for the browser's own files.

    Raises:
        BrowserError: there is no Chromium.
    """

    def __init__(self, address: str, profile: Path) -> None:
        if CHROMIUM is None:
            raise BrowserError(f"none of {', '.join(NAMES)} is installed: apt-get install chromium")
        self.problems: list[str] = []  # errors and warnings that the page has met
        self._number, self._session, self._rest = 0, "", b""
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_browser, from_browser, 3, 4),
            preexec_fn=lambda: _as_pipe(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self._call(f"{domain}.enable")
        width, height = SIZE_PX
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        self._call("Page.navigate", url=address)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        os.close(self._write)
        os.close(self._read)

    def run(self, script: str, tools: str = "") -> dict[str, Any]:
        """What statements put into `found`; with `tools` before them."""
        body = f"(async () => {{ const found = {{}}; {tools} {script}; return found; }})()"
        answer = self._call(
            "Runtime.evaluate", expression=body, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(str([answer["exceptionDetails"], *self.problems]))
        return answer["result"]["value"]

    def press(self, key: str) -> None:
        """A key as a keyboard sends it."""
        self.hold(key)
        self.release(key)

    def hold(self, key: str) -> None:
        """Press a key; those with a place on the keyboard of the same name tell it, too."""
        text = {"text": key} if len(key) == 1 else {"code": key}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)

    def release(self, key: str) -> None:
        """Let go of a key."""
        code = {} if len(key) == 1 else {"code": key}
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """An event of the mouse: mousePressed, mouseMoved, mouseReleased, mouseWheel."""
        button = {} if kind == "mouseWheel" else {"button": "left", "buttons": 1, "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button, **more)

    def screenshot(self, path: Path) -> None:
        """A PNG of the page."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            self._note_problems(answer)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._read], [], [], max(end - time.monotonic(), 0.0))
            if not readable:
                raise BrowserError(f"the browser has not answered within {PATIENCE_S:.0f} s")
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise BrowserError("the browser has ended")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note_problems(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(str(details.get("exception", details)))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.problems.append(str(parameters["args"]))


def _as_pipe(to_browser: int, from_browser: int) -> None:
    """The browser reads commands from descriptor 3 and writes answers to 4."""
    reading, writing = os.dup(to_browser), os.dup(from_browser)
    os.dup2(reading, 3)
    os.dup2(writing, 4)
