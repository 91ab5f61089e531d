"""Pictures of the documentation: `python -m evaluation.pictures [--only play.png]`.

Drives, opens viewer and play in a headless Chromium, and photographs them: the rule-based driver in
the viewer, the worst of the shipped policy's drives, and a pedestrian who steps out on the page of
evaluation.play.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from carl_planner.command_errors import input_errors_reported
from evaluation.look import look
from evaluation.play.__main__ import make_session
from evaluation.play.drive_page import drive_page
from evaluation.play.server import Pages, PlayServer
from evaluation.play.session import DrivingSession, Wheel
from evaluation.viewer.chromium import Browser
from evaluation.viewer.page_file import VIEW_FILE
from sim_adapters.gymnasium_envs import compose_config

log = logging.getLogger(__name__)
UNTIL = """
const until = async (holds) => {
  while (!holds()) await new Promise((done) => setTimeout(done, 50));
  await new Promise((done) => setTimeout(done, 1000));
};
"""
VIEWED = ["driver=idm", "routes_shown=[14]"]
VIEWED_AT_S = 40.0
PLAYED = ["driver=idm", "route=14", "seed=3"]
PLAYED_S, WALKING_S = 13.0, 2.6  # driven before the pedestrian steps out, and after


def photograph_viewer(output: Path, folder: Path) -> Path:
    """A good drive on the viewer's page."""
    (result,) = look(compose_config("look", [*VIEWED, f"output={folder}"]))
    place = f"#idm/{result.route_id}/{result.seed}@{VIEWED_AT_S}"
    return _photograph(_address(folder) + place, "window.viewer?.drive", folder, output)


def photograph_worst(output: Path, folder: Path) -> Path:
    """The worst drive of `make look`: the viewer's page opens with it."""
    look(compose_config("look", [f"output={folder}"]))
    script = "viewer.nextEvent(1);"
    return _photograph(_address(folder), "window.viewer?.drive", folder, output, script)


def photograph_play(output: Path, folder: Path) -> Path:
    """A pedestrian steps out in front of a person."""
    session = make_session(compose_config("play", PLAYED), folder)
    session.give_wheel(Wheel.PLANNER)
    _drive(session, PLAYED_S)
    session.start_script("DynamicObjectCrossing")
    _drive(session, WALKING_S)
    session.give_wheel(Wheel.PERSON)
    with _served(session) as address:
        script = "document.getElementById('hint').hidden = true;"
        return _photograph(address, "window.play?.drive?.latest", folder, output, script)


PICTURES = {
    "viewer.png": photograph_viewer,
    "play.png": photograph_play,
    "worst.png": photograph_worst,
}


def _address(folder: Path) -> str:
    return (folder / VIEW_FILE).resolve().as_uri()


def _photograph(address: str, ready: str, folder: Path, output: Path, script: str = "") -> Path:
    with Browser(address, folder / "profile") as browser:
        browser.run(f"await until(() => {ready}); {script} await until(() => true);", UNTIL)
        browser.screenshot(output)
    return output


def _drive(session: DrivingSession, seconds: float) -> None:
    for _ in range(round(seconds / session.worlds.scene.step_s)):
        session.step()


@contextmanager
def _served(session: DrivingSession) -> Iterator[str]:
    """The page of a session that stands still."""
    server = PlayServer(session, Pages(lambda: drive_page(session), lambda: ""))
    server.is_paused = True
    started, loop = threading.Event(), asyncio.new_event_loop()
    serving = loop.create_task(server.run(started.set))

    def serve() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        started.wait()
        yield server.url
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def take_pictures(output: Path, names: Sequence[str]) -> None:
    """Write these pictures into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            log.info("%s", PICTURES[name](output / name, Path(folder)))


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.pictures", description="Take the documentation's pictures."
    )
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="their folder")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=tuple(PICTURES))
    return parser.parse_args(words)


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse()
    with input_errors_reported():
        take_pictures(options.output, options.only)


if __name__ == "__main__":
    main()
