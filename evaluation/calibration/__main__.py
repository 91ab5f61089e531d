"""Compare both worlds: `python -m evaluation.calibration routes=FILE.xml`.

The same drivers drive the same routes in the embedded world and under the official evaluator on
headless servers; what happens at scenario triggers, infractions and scores are compared, paired by
route. Both kinds of drives are kept below `output`: the same command goes on where it was stopped.
See configs/calibration.yaml and docs/calibration.md.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from carl_planner.command_errors import hydra_command, input_errors_reported
from evaluation.calibration.comparison import DriverComparison, Drives, compare_driver
from evaluation.calibration.drives import drive_officially, embedded_drives, official_drives
from evaluation.calibration.table import WIDTH, json_form, markdown, print_tables, sections
from evaluation.drivers.driver import driver_words
from evaluation.leaderboard_jobs.official_options import chosen_routes
from evaluation.scoring.results_file import write_json
from sim_adapters.atomic_file import write_atomically
from sim_adapters.gymnasium_envs import compose_config
from sim_adapters.maps.route_file import RouteSpec

log = logging.getLogger("evaluation.calibration")
JSON_FILE, MARKDOWN_FILE = "calibration.json", "calibration.md"
WORLDS = ("embedded", "official")


def calibrate(config: DictConfig) -> list[DriverComparison]:
    """Drive what is missing, compare, print and write; a comparison of each driver.

    Raises:
        ValueError: options that cannot be meant, or nothing has been driven in both worlds.
    """
    check_options(config)
    specs, folder = chosen_routes(config), Path(config.output)
    embedded, official = {}, {}
    for name in chosen_drivers(config):
        embedded[name] = drives_embedded(config, name, specs)
        official[name] = drives_official(config, name, specs)
    found = [compare_driver(name, embedded[name], official[name]) for name in embedded]
    comparisons = [one for one in found if one is not None]
    if not comparisons:
        raise ValueError(
            f"{folder} holds no route that a driver has driven in both worlds: drive=[embedded,"
            "official] drives them"
        )
    facts = statement(specs, embedded, official)
    tables = sections(comparisons)
    print_tables(tables, facts, Console(width=WIDTH))
    page = Path(config.markdown or folder / MARKDOWN_FILE)
    write_atomically(page, markdown(tables, facts).encode())
    drives = {
        name: {world: json_form(list(side[name])) for world, side in _worlds(embedded, official)}
        for name in embedded
    }
    document = {"facts": facts, "comparisons": json_form(comparisons), "drives": drives}
    write_json(folder / JSON_FILE, document)
    log.info("tables: %s, all figures and drives: %s", page, folder / JSON_FILE)
    return comparisons


def _worlds(
    embedded: Mapping[str, Drives], official: Mapping[str, Drives]
) -> Iterator[tuple[str, Mapping[str, Drives]]]:
    return zip(WORLDS, (embedded, official), strict=True)


def check_options(config: DictConfig) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: says what was found, what was expected and what to do.
    """
    if config.routes is None:
        raise ValueError("routes=FILE.xml is needed: a leaderboard 2 route file")
    unknown = set(config.drive) - set(WORLDS)
    if unknown:
        raise ValueError(f"drive={list(config.drive)}: expected some of {', '.join(WORLDS)}")
    for name in WORLDS:
        if config[name].seeds < 1:
            raise ValueError(f"{name}.seeds={config[name].seeds}: at least one is needed")


def chosen_drivers(config: DictConfig) -> list[str]:
    """Names of the drivers to compare.

    Raises:
        ValueError: one is not described.
    """
    names = list(config.only or config.drivers)
    unknown = [name for name in names if name not in config.drivers]
    if unknown:
        raise ValueError(
            f"only={names}: {unknown[0]} is not among the drivers ({', '.join(config.drivers)}); "
            f"+drivers.{unknown[0]}.checkpoint=PATH adds one"
        )
    return names


def driver_overrides(config: DictConfig, name: str) -> list[str]:
    """The driver as words of `evaluation.evaluate` and `evaluation.longest6_official` alike."""
    driver = config.drivers[name]
    chosen = {"driver": "policy" if driver.get("checkpoint") else None, **driver}
    return driver_words([f"{key}={value}" for key, value in chosen.items() if value is not None])


def drives_embedded(config: DictConfig, name: str, specs: Sequence[RouteSpec]) -> Drives:
    """One driver's drives in the embedded world; new ones if that is asked for."""
    words = [f"routes={config.routes}", "record_episodes=false", *driver_overrides(config, name)]
    composed = compose_config("evaluate", [*words, *config.embedded.overrides])
    drives = []
    for seed in range(config.embedded.seeds):
        file = Path(config.output) / "embedded" / name / f"seed_{seed}.json"
        drives += embedded_drives(composed, specs, seed, file, may_drive="embedded" in config.drive)
    return drives


def drives_official(config: DictConfig, name: str, specs: Sequence[RouteSpec]) -> Drives:
    """One driver's drives under the official evaluator; new ones if that is asked for."""
    folder, seeds = Path(config.output) / "official" / name, config.official.seeds
    if "official" in config.drive:
        words = [
            f"routes={config.routes}",
            f"route=[{','.join(spec.route_id for spec in specs)}]",
            f"seeds={seeds}",
            f"name={name}",
            f"output={folder}",
            "record=true",
            *driver_overrides(config, name),
            *config.official.overrides,
        ]
        drive_officially(compose_config("longest6_official", words))
    return official_drives(folder, specs, range(seeds))


def statement(
    specs: Sequence[RouteSpec], embedded: Mapping[str, Drives], official: Mapping[str, Drives]
) -> dict[str, str]:
    """What was driven, and what is missing."""
    asked = [spec.route_id for spec in specs]
    facts = {}
    for world, side in _worlds(embedded, official):
        for name, drives in side.items():
            driven = {drive.result.route_id for drive in drives}
            seeds = len({drive.result.seed for drive in drives})
            missing = ", ".join(route for route in asked if route not in driven)
            text = f"{len(driven)} of {len(asked)} routes, {seeds} seed{'s' * (seeds != 1)}"
            facts[f"{world}, {name}"] = f"{text}; missing: {missing}" if missing else text
    return facts


@hydra_command("calibration")
def command(config: DictConfig) -> None:
    """The hydra command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: nothing is left
    try:
        with input_errors_reported():
            calibrate(config)
    except KeyboardInterrupt:
        raise SystemExit("stopped: the same command goes on where this one was") from None


if __name__ == "__main__":
    command()
