"""The comparison as tables: 80 columns for the terminal, Markdown to be committed, JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.calibration.comparison import (
    AIM_HITS,
    AIM_ROUTES,
    AIM_SCORE,
    AIM_TRIGGERS,
    DriverComparison,
    Paired,
    ScriptComparison,
)
from evaluation.calibration.trigger_watch import MET_M
from evaluation.scoring.episode_result import NAMES
from evaluation.scoring.scores import Interval

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
