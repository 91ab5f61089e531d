"""See it drive: `python -m evaluation.look [checkpoint=PATH] [routes_shown=[12]]`.

Nothing is trained: the policy in the package drives three held-out routes. It says in words how it
went and opens the viewer's page. All options are in configs/look.yaml.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from evaluation.drivers.driver import driver_command
from evaluation.evaluate import check_options, describe, drive_routes
from evaluation.recording.folder import EpisodeFolder
from evaluation.recording.recorder import recorder_of
from evaluation.report.in_words import drive_in_words, python_to_type
from evaluation.rollout.benchmark import Benchmark, towns_of
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import write_results
from evaluation.viewer.page_file import VIEW_FILE, open_page, write_page, write_towns

log = logging.getLogger(__name__)


def look(config: DictConfig) -> list[EpisodeResult]:
    """Drive the routes and write the page; the results in the order of the routes."""
    check_options(config)
    torch.set_num_threads(config.num_threads)
    benchmark: Benchmark = instantiate(config.benchmark)
    specs = [spec for route in config.routes_shown for spec in benchmark.read(str(route))]
    folder, about = Path(config.output), describe(config, benchmark)
    drives = EpisodeFolder(folder)
    drives.clear()
    found, maps = drive_routes(
        config, specs, [config.seed], lambda env: recorder_of(env, drives.write, about)
    )
    results = sorted(found, key=lambda r: [spec.route_id for spec in specs].index(r.route_id))
    write_towns(drives, maps, towns_of(specs))
    write_results(folder, results, about)
    write_page([folder], folder / VIEW_FILE)
    return results


def tell(results: Sequence[EpisodeResult], folder: Path, *, opens: bool) -> None:
    """Say how the drives went, show them, and say what to do next."""
    for result in results:
        log.info("%s", drive_in_words(result))
    address = (folder / VIEW_FILE).resolve().as_uri()
    opened = opens and open_page(address)
    log.info("%s: %s", "opened in your browser" if opened else "open in a browser", address)
    python = python_to_type()
    log.info("next: %s -m evaluation.play (drive yourself), make demo (train one)", python)


@driver_command("look")
def command(config: DictConfig) -> None:
    """The hydra command."""
    tell(look(config), Path(config.output), opens=config.open)


if __name__ == "__main__":
    command()
