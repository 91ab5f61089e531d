"""Compare both worlds: `python -m evaluation.calibration routes=FILE.xml`.

The same drivers drive the same routes in the embedded world and under the official evaluator on
headless servers; what happens at scenario triggers, infractions and scores are compared, paired by
route. Both kinds of drives are kept below `output`: the same command goes on where it was stopped.
See configs/calibration.yaml and docs/calibration.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from carl_planner.command_errors import hydra_command, stop_reported
from evaluation.calibration.comparison import (
    AIM_HITS,
    AIM_ROUTES,
    AIM_SCORE,
    AIM_TRIGGERS,
    DriverComparison,
    Drives,
    Paired,
    ScriptComparison,
    compare_driver,
)
from evaluation.calibration.drives import drive_officially, embedded_drives, official_drives
from evaluation.calibration.trigger_watch import MET_M
from evaluation.drivers.driver import driver_words
from evaluation.leaderboard_jobs.official_options import chosen_routes
from evaluation.scoring.episode_result import NAMES
from evaluation.scoring.results_file import write_json
from evaluation.scoring.scores import Interval
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
    with stop_reported():
        calibrate(config)


# The comparison as tables: 80 columns for the terminal, Markdown to be committed, JSON

WIDTH = 80
SHORT_NAMES = {
    "DynamicObjectCrossing": "pedestrian",
    "VehicleTurningRoute": "cyclist",
    "SignalizedJunctionLeftTurn": "left turn",
    "SignalizedJunctionRightTurn": "right turn",
    "OppositeVehicleRunningRedLight": "light runner",
    "ControlLoss": "control loss",
    "HardBreakRoute": "hard brake",
}
HOW_TO_READ = (
    "Each cell is embedded / official; differences are embedded minus official, paired by route, "
    "with 95 % bootstrap intervals over routes. Triggers: n are played in both worlds; of those "
    f"reached in both, somebody came, moved within {MET_M:.0f} m of the ego, was hit. Aim: the "
    f"interval includes 0 and reaches {100 * AIM_HITS:.0f} points (score: {AIM_SCORE:.0f}) to "
    f"either side at most, on {AIM_ROUTES} routes and {AIM_TRIGGERS} triggers at least."
)


@dataclass(frozen=True)
class Section:
    """One table."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def sections(comparisons: Sequence[DriverComparison]) -> list[Section]:
    """All tables: each driver's triggers and figures, then the driving scores by route."""
    found = []
    for comparison in comparisons:
        found += [_script_section(comparison), _figure_section(comparison)]
    return [*found, _route_section(comparisons)] if comparisons else []


def _script_section(comparison: DriverComparison) -> Section:
    heads = ("script", "n", "reached", "came", "met", "hit", "difference", "aim")
    rows = [_script_row(one) for one in comparison.scripts]
    return Section(f"{comparison.driver}: at the triggers [%]", heads, rows)


def _script_row(one: ScriptComparison) -> list[str]:
    name = SHORT_NAMES.get(one.scenario_type, one.scenario_type)
    reached = _both(one.reached, 0, 100.0)
    if not one.brings_somebody:
        return [name, str(one.num_played), reached, *("-",) * 5]
    shares = [_both(paired, 0, 100.0) for paired in (one.came, one.met, one.hit)]
    change = _interval(one.hit.difference, 0, 100.0)
    return [name, str(one.num_played), reached, *shares, change, one.verdict]


def _figure_section(comparison: DriverComparison) -> Section:
    heads = ("", "embedded", "official", "difference", "aim")
    rows = [
        _figure_row("driving score", comparison.driving_score, 1, comparison.score_verdict),
        _figure_row("route completion [%]", comparison.completion, 1),
    ]
    for kind, paired in comparison.per_km.items():
        rows.append(_figure_row(f"{NAMES[kind]} / km", paired, 2))
    num = len(comparison.routes)
    return Section(f"{comparison.driver}: {num} route{'s' * (num != 1)}", heads, rows)


def _figure_row(title: str, paired: Paired, digits: int, aim: str = "") -> list[str]:
    return [
        title,
        _number(paired.embedded, digits),
        _number(paired.official, digits),
        _interval(paired.difference, digits),
        aim,
    ]


def _route_section(comparisons: Sequence[DriverComparison]) -> Section:
    routes = list(dict.fromkeys(route for one in comparisons for route in one.routes))
    rows = [
        [
            route,
            *(_both(one.scores[route], 1) if route in one.scores else "-" for one in comparisons),
        ]
        for route in routes
    ]
    return Section("driving score by route", ("route", *(one.driver for one in comparisons)), rows)


def _both(paired: Paired, digits: int, scale: float = 1.0) -> str:
    """Embedded / official."""
    return f"{_number(paired.embedded * scale, digits)}/{_number(paired.official * scale, digits)}"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(interval: Interval, digits: int, scale: float = 1.0) -> str:
    """`+3 [-5, +11]`; a dash where there is nothing to compare."""
    if math.isnan(interval.value):
        return "-"
    numbers = (interval.value, interval.low, interval.high)
    value, low, high = (f"{number * scale:+.{digits}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


# Forms -------------------------------------------------------------------------------------------


def print_tables(tables: Sequence[Section], facts: dict[str, str], console: Console) -> None:
    """For the terminal."""
    for section in tables:
        title = escape(section.title)
        table = Table(
            title=title,
            box=SIMPLE_HEAD,
            show_edge=False,
            title_justify="left",
            padding=(0, 1, 0, 0),
        )
        for number, head in enumerate(section.heads):
            table.add_column(escape(head), justify="right" if number else "left", no_wrap=True)
        for row in section.rows:
            table.add_row(*map(escape, row))
        console.print(table, "")
    for name, text in facts.items():
        console.print(escape(f"{name}: {text}"))
    console.print(HOW_TO_READ)


def markdown(tables: Sequence[Section], facts: dict[str, str]) -> str:
    """For a page."""
    lines = ["# Embedded and official drives of the same routes", ""]
    lines += [f"- {name}: {text}" for name, text in facts.items()]
    lines += ["", HOW_TO_READ, ""]
    for section in tables:
        lines += [f"## {section.title}", "", _markdown_row(section.heads)]
        lines += [_markdown_row(["---"] * len(section.heads))]
        lines += [*map(_markdown_row, section.rows), ""]
    return "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def json_form(value: Any) -> Any:
    """Comparisons as JSON values; None for what is not known."""
    if is_dataclass(value) and not isinstance(value, type):
        return json_form(asdict(value))
    if isinstance(value, dict):
        return {str(key): json_form(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [json_form(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    command()
