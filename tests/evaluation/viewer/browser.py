"""A headless Chromium for tests, with what their scripts work with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluation.viewer import chromium

needs_chromium = pytest.mark.skipif(
    chromium.CHROMIUM is None, reason="no Chromium: apt-get install chromium"
)
# What the scripts of tests work with
TOOLS = """
const until = async (holds) => {
  for (const end = performance.now() + 60_000; !holds(); ) {
    if (performance.now() > end) throw new Error(`it never came to ${holds}`);
    await new Promise((done) => setTimeout(done, 20));
  }
};
const painted = async () => {
  for (let i = 0; i < 2; i++) await new Promise((done) => requestAnimationFrame(done));
};
const click = (id) => document.getElementById(id).click();
const text = (id) => document.getElementById(id).textContent;
const press = (key) => document.body.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const choose = (id, value, event = "change") => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event(event, { bubbles: true }));
};
await until(() => READY);
await painted();
"""


class Browser(chromium.Browser):
    """One page in a browser; use it as a context manager.

    Args:
        address: Of the page to open.
        profile: Folder for the browser's own files.
        ready: JavaScript that holds once the page can be worked with.
    """

    def __init__(self, address: str, profile: Path, ready: str = "window.viewer?.drive") -> None:
        super().__init__(address, profile)
        self._tools = TOOLS.replace("READY", ready)

    def run(self, script: str, tools: str = "") -> dict[str, Any]:
        """What statements put into `found`; TOOLS are there to work with."""
        return super().run(script, self._tools + tools)
