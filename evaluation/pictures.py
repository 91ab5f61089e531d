"""Pictures of the documentation: `python -m evaluation.pictures [--only play.png]`.

Drives, opens viewer, report, play and the site in a headless Chromium, and photographs them; draws
what a policy sees and is paid, a junction's tables and the demo's seeds. The picture of nuPlan's
viewer needs the set that evaluation.speed makes once, in a few minutes; that of the site needs what
`make docs` installs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from carl_planner.command_errors import input_errors_reported
from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.drivers.rule_drivers import RuleBasedDriver
from evaluation.evaluate import evaluate
from evaluation.look import look
from evaluation.play.__main__ import make_session
from evaluation.play.drive_page import drive_page
from evaluation.play.server import Pages, PlayServer
from evaluation.play.session import DrivingSession, Wheel
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import find_episodes, read_episode
from evaluation.report.figures import (
    layers_figure,
    reward_figure,
    table_figure,
    town_figure,
    write_small,
)
from evaluation.report.page import png_of
from evaluation.speed.nuplan import speed_folder, speed_scenarios
from evaluation.viewer.chromium import Browser
from evaluation.viewer.page_file import VIEW_FILE, write_page
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.gymnasium_envs import compose_config

log = logging.getLogger(__name__)
UNTIL = """
const until = async (holds) => {
  while (!holds()) await new Promise((done) => setTimeout(done, 50));
  await new Promise((done) => setTimeout(done, 1000));
};
"""
RULES = ["driver=idm"]
PICTURED = "checkpoint=pretrained/driver_second"  # that runs a red light, to be looked into
WORST_ROUTE = ["routes_shown=[10]"]  # of those of `make look`, where this policy is worst
RASTER = [*RULES, "driver._target_=evaluation.pictures.RulesBeforeARaster", "observation=carl_bev"]
RASTER_ROUTE, RASTER_AT_S = ["routes_shown=[14]"], 40.0
SCENARIO, SCENARIO_AT_S = "starting straight traffic light intersection traversal", 5.0
JUNCTION = ("Town03", (-55.0, 0.0, 120.0))
SEEDS_PAGE = Path("docs/three_seeds.md")
SEEDS_COLUMNS = {
    "trained": "trained",
    "rule-based": "rule-based driver",
    "constant speed along the route": "constant speed, blind",
}
VIEWER_READY = "window.viewer?.drive"
PLAYED = ["driver=idm", "route=14", "seed=3"]
PLAYED_S, WALKING_S = 13.0, 2.6  # driven before the pedestrian steps out, and after


class RulesBeforeARaster(PolicyDriver):
    """The rule-based driver drives; what a raster policy would see is drawn and kept beside it."""

    def __init__(self, name: str) -> None:
        self.rules, self.name = RuleBasedDriver(name=name), name
        self.with_values, self.values = False, None

    def parts(self, config: DictConfig) -> DictConfig:
        """It brings nothing."""
        return config

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Begin."""
        self.rules.begin_episodes(agents, worlds)

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """Draw, and drive by the rules."""
        worlds.observe()
        return self.rules.act(worlds)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and tells nobody."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def photograph_viewer(output: Path, folder: Path) -> Path:
    """The worst drive of three, two seconds before its infraction, with the policy's view."""
    look(compose_config("look", [PICTURED, f"output={folder}"]))
    script = "viewer.nextEvent(1); viewer.toggleLayer('seen');"
    return _photograph(_address(folder), VIEWER_READY, folder, output, script)


def photograph_beside(output: Path, folder: Path) -> Path:
    """The same moment with the rule-based driver beside it, at the same place of the route."""
    for name, options in (("policy", [PICTURED]), ("idm", RULES)):
        look(compose_config("look", [*WORST_ROUTE, *options, f"output={folder / name}"]))
    page = write_page([folder / "policy", folder / "idm"], folder / VIEW_FILE)
    script = """
        const choice = document.getElementById("compare");
        await viewer.openSecond(choice.options[1].value);
        choice.selectedIndex = 1;
        document.getElementById("sync").value = "place";
        viewer.nextEvent(1);
    """
    return _photograph(page.resolve().as_uri(), VIEWER_READY, folder, output, script)


def photograph_raster(output: Path, folder: Path) -> Path:
    """What CaRL's policy sees, beside the scene."""
    (result,) = look(compose_config("look", [*RASTER, *RASTER_ROUTE, f"output={folder}"]))
    place = f"#idm/{result.route_id}/{result.seed}@{RASTER_AT_S}"
    script = "viewer.toggleLayer('seen');"
    return _photograph(_address(folder) + place, VIEWER_READY, folder, output, script)


def photograph_val14(output: Path, folder: Path) -> Path:
    """A scenario of exported logs under the devkit's IDM planner, with what it plans."""
    speed_scenarios()  # makes the set if it is not there
    options = ["driver=nuplan/idm", "yardsticks=[]", "mode=reactive"]
    places = [f"cache={speed_folder() / 'cache'}", f"output={folder}"]
    config = compose_config("evaluate", ["benchmark=val14", *options, *places])
    instantiate(config.benchmark).evaluate(config)
    script = f"""
        const scenario = viewer.store.episodes.find((e) => e.label === "{SCENARIO}");
        await viewer.open(scenario.number, {SCENARIO_AT_S});
    """
    return _photograph(_address(folder), VIEWER_READY, folder, output, script)


def photograph_report(output: Path, folder: Path) -> Path:
    """The report of the same policy on the demo's held-out routes."""
    options = [PICTURED, "benchmark=demo", f"output={folder}"]
    evaluate(compose_config("evaluate", options))
    return _photograph((folder / "report.html").resolve().as_uri(), "true", folder, output)


def photograph_site(output: Path, folder: Path) -> Path:
    """The documentation's site as it is served.

    Raises:
        ValueError: mkdocs is not installed.
    """
    if find_spec("mkdocs") is None:
        raise ValueError("the picture of the site needs mkdocs: make docs installs it")
    site = folder / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(words, check=True, env=quiet)
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        try:
            return _photograph(address, "document.readyState === 'complete'", folder, output)
        finally:
            server.shutdown()


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


def draw_layers(output: Path, folder: Path) -> Path:
    """The channels of CaRL's raster at that moment, each by itself."""
    look(compose_config("look", [*RASTER, *RASTER_ROUTE, f"output={folder}"]))
    return write_small(png_of(layers_figure(_only_drive(folder), RASTER_AT_S)), output)


def draw_reward(output: Path, folder: Path) -> Path:
    """What a driver who looks at nothing is paid."""
    look(compose_config("look", ["driver=blind_follower", *RASTER_ROUTE, f"output={folder}"]))
    return write_small(png_of(reward_figure(_only_drive(folder))), output)


def draw_junction(output: Path, folder: Path) -> Path:
    """Lights and a roundabout, as the tables of the map have them."""
    return write_small(png_of(town_figure(*JUNCTION)), output)


def draw_seeds(output: Path, folder: Path) -> Path:
    """The scores of the demo's seeds, of the page that lists them."""
    return write_small(png_of(table_figure(SEEDS_PAGE, "seed", SEEDS_COLUMNS)), output)


def _only_drive(folder: Path) -> RecordedEpisode:
    (path,) = find_episodes(folder)
    return read_episode(path)


PICTURES = {
    "viewer.png": photograph_viewer,
    "beside.png": photograph_beside,
    "raster.png": photograph_raster,
    "val14.png": photograph_val14,
    "play.png": photograph_play,
    "report.png": photograph_report,
    "site.png": photograph_site,
    "layers.png": draw_layers,
    "reward.png": draw_reward,
    "junction.png": draw_junction,
    "seeds.png": draw_seeds,
}


def _address(folder: Path) -> str:
    return (folder / VIEW_FILE).resolve().as_uri()


def _photograph(address: str, ready: str, folder: Path, output: Path, script: str = "") -> Path:
    with Browser(address, folder / "profile") as browser:
        browser.run(f"await until(() => {ready}); {script} await until(() => true);", UNTIL)
        browser.screenshot(output)
    return write_small(output.read_bytes(), output)


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
