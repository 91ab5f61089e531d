"""Drive yourself: `python -m evaluation.play [checkpoint=PATH] [town=Town03] [route=ID]`.

Opens a page on this machine: arrow keys drive, a click gives the wheel to the policy or lets a
pedestrian step out. What was driven lies in `output` for `python -m evaluation.view outputs/play`.
All options are in configs/play.yaml.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from evaluation.drivers.driver import Driver, EstimatesValues, driver_command, with_parts
from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.evaluate import check_options
from evaluation.play.drive_page import drive_page, watch_page
from evaluation.play.server import Pages, PlayServer
from evaluation.play.session import DrivingSession
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import EpisodeFolder
from evaluation.rollout.benchmark import Benchmark
from evaluation.rollout.episode_rollout import make_evaluation_worlds
from evaluation.scoring.score_table import EMBEDDED
from evaluation.viewer.page_file import open_page, write_towns
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.embedded.routes import RouteDemands, generate_routes
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.maps.town_files import town_name

log = logging.getLogger(__name__)
DEFAULT_TOWN = "Town02"
TRAINED_STEP_S = 0.1  # of checkpoints that do not say it: CaRL's
RANDOM_LENGTHS_M = (400.0, 700.0)


def make_session(config: DictConfig, folder: Path) -> DrivingSession:
    """The session of a composed config, with everything compiled that a step needs.

    Args:
        config: Of this command.
        folder: For the drives.

    Raises:
        ValueError: an option that cannot be meant.
    """
    check_options(config)
    torch.set_num_threads(config.num_threads)
    driver: Driver = instantiate(config.driver)
    config = with_parts(config, driver)
    if isinstance(driver, EstimatesValues):
        driver.with_values = True
    policy = driver if isinstance(driver, PolicyDriver) else None
    worlds, scenarios = make_evaluation_worlds(config, choose_routes(config), 1)
    worlds.prepare(scenarios[0])
    about = {
        "benchmark": "driven by hand",
        "checkpoint": str(config.checkpoint) if policy else None,
        "world": EMBEDDED.warning,
    }
    return DrivingSession(
        worlds,
        scenarios,
        driver,
        instantiate(config.reward),
        hold_steps=steps_between_decisions(config, policy, worlds) if policy else 1,
        seed=config.seed,
        keep=drive_keeper(folder, worlds),
        about=about,
    )


def choose_routes(config: DictConfig) -> list[RouteSpec]:
    """All routes of one town, the one that is asked for first.

    Raises:
        ValueError: no such route, or it lies in another town than asked for.
    """
    benchmark: Benchmark = instantiate(config.benchmark)
    first = [] if config.route is None else benchmark.read(str(config.route))
    town = config.town or (first[0].town if first else DEFAULT_TOWN)
    if first and first[0].town != town_name(town):
        raise ValueError(f"route {config.route} lies in {first[0].town}: leave out town={town}")
    others = [spec for spec in benchmark.read() if spec.town == town_name(town)]
    if others:
        return first + [spec for spec in others if spec.route_id != str(config.route)]
    lengths = RouteDemands(*RANDOM_LENGTHS_M)
    maps, number = load_map_bank([town]), config.num_random_routes
    town, seed = maps.towns[0], config.seed
    return list(generate_routes(maps, town, number, lengths, seed=seed, scenario_triggers=False))


def steps_between_decisions(config: DictConfig, policy: PolicyDriver, worlds: DrivingWorlds) -> int:
    """Steps of this world that a policy's action is held, so that it decides as often as trained.

    Raises:
        ValueError: the policy sees earlier steps, and this world's have another length.
    """
    trained, step_s = policy.loaded.config if policy.loaded else None, worlds.scene.step_s
    known_step_s = OmegaConf.select(trained, "simulator.step_s") if trained is not None else None
    trained_step_s = float(known_step_s or TRAINED_STEP_S)
    if worlds.observer.history_steps and step_s != trained_step_s:
        raise ValueError(
            f"the policy sees steps of {trained_step_s} s ago and before, this world has steps of "
            f"{step_s} s: add simulator.step_s={trained_step_s}"
        )
    return max(1, round(trained_step_s * config.env.action_repeat / step_s))


def drive_keeper(folder: Path, worlds: DrivingWorlds) -> Callable[[RecordedEpisode], None]:
    """Writes every drive into a folder of its own below `folder`: a route may be driven again."""
    numbers = itertools.count(1)

    def keep(episode: RecordedEpisode) -> None:
        drives = EpisodeFolder(folder / f"drive_{next(numbers)}")
        drives.write(episode)
        write_towns(drives, worlds.maps, [str(episode.about["town"])])

    return keep


def serve(session: DrivingSession, folder: Path, *, port: int, opens: bool) -> None:
    """Serve the page until the process is interrupted."""
    pages = Pages(lambda: drive_page(session), lambda: watch_page(folder))
    server = PlayServer(session, pages, port)

    def started() -> None:
        log.info("drive at %s (Ctrl-C ends)", server.url)
        if opens:
            open_page(server.url)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.run(started))
    session.finish()
    log.info("%s", server.pace)
    if folder.is_dir():
        log.info("watch your drives: python -m evaluation.view %s", folder)


@driver_command("play")
def command(config: DictConfig) -> None:
    """The hydra command."""
    folder = Path(config.output) / time.strftime("%Y-%m-%d_%H-%M-%S")
    session = make_session(config, folder)
    serve(session, folder, port=config.port, opens=config.open)


if __name__ == "__main__":
    command()
