"""Tables of scores, for the terminal and for pages, and two drivers side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.scoring.episode_result import NAMES, InfractionKind
from evaluation.scoring.scores import (
    BenchmarkScores,
    FloatArray,
    Interval,
    mean_interval,
    natural_key,
)


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores, on routes and in nuPlan alike; rich prints it.

    Args:
        title: Above it.
        heads: One a column, the first above the rows' names.
        rows: Name and one text a column.
        caption: Below it.
        unbroken: Heads of columns that stay on one line in a narrow terminal.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    unbroken: Sequence[str] = ()

    def __rich__(self) -> Table:
        table = Table(title=self.title, caption=self.caption)
        for index, head in enumerate(self.heads):
            side = "right" if index else "left"
            is_whole = head in self.unbroken
            table.add_column(escape(head), justify=side, overflow="fold", no_wrap=is_whole)
        for row in self.rows:
            table.add_row(*map(escape, row))  # units in brackets are no markup
        return table


FIRST_COLUMN, COLUMN = 44, 26  # characters


def print_tables(*tables: ScoreTable) -> None:
    """Print them; into a file as wide as they need to be, since nobody can widen a log."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=FIRST_COLUMN + COLUMN * max(len(t.heads) - 1 for t in tables))
    for table in tables:
        console.print(table)


# ScoredWorld: where scores come from, in the words that every table and report says it with.


@dataclass(frozen=True)
class ScoredWorld:
    """Names of a world, and what its scores are not.

    Args:
        rules: What the scores are computed by, "the rules of ...".
        score_title: What tables and titles call the score.
        warning: One sentence, below every table.
        limits: What differs from the real thing.
        column_suffix: Added to each planner's name at the head of its column.
        unmeasured: Columns that nobody has measured yet, which the tables show as such.
        more_rates: Infractions per kilometre that occur in this world alone, with their titles.
    """

    rules: str
    score_title: str
    warning: str
    limits: Sequence[str]
    column_suffix: str = ""
    unmeasured: Sequence[str] = ()
    more_rates: Mapping[InfractionKind, str] = field(default_factory=dict)

    def column(self, planner: str) -> str:
        """Head of a planner's column."""
        return planner + self.column_suffix


NOT_MEASURED = "not measured"
LEADERBOARD_RULES = "the rules of CARLA leaderboard 2.0"
EMBEDDED = ScoredWorld(
    rules=f"{LEADERBOARD_RULES} in carl-planner's embedded world",
    score_title="embedded driving score",
    warning="These are embedded scores, not CARLA or longest6 results.",
    limits=(
        "The towns are CARLA's road maps; traffic, pedestrians, lights' timing, scenarios and "
        "contacts are this project's own world.",
        "The ego moves by a kinematic model fitted to CARLA's car; there is no tyre, suspension "
        "or weather.",
        "Planners see the true state of the world, no sensors.",
        "Scenario timeouts and emergency vehicles do not occur here, so they cannot cost points.",
    ),
)


PER_KM_TITLES = {
    InfractionKind.COLLISION_PEDESTRIAN: "pedestrian collisions / km",
    InfractionKind.COLLISION_VEHICLE: "vehicle collisions / km",
    InfractionKind.COLLISION_LAYOUT: "static collisions / km",
    InfractionKind.RED_LIGHT: "red lights run / km",
    InfractionKind.STOP_SIGN: "stop signs run / km",
    InfractionKind.ROUTE_DEVIATION: "routes left / km",
    InfractionKind.BLOCKED: "blocked / km",
    InfractionKind.ROUTE_TIMEOUT: "route timeouts / km",
}


SLOWER_TITLE = f"{NAMES[InfractionKind.MINIMUM_SPEED]} [%]"


def score_rows(scores: BenchmarkScores, world: ScoredWorld = EMBEDDED) -> dict[str, str]:
    """Title and text of every figure, in the order of the table."""
    rows = {
        world.score_title: interval_text(scores.driving_score, 1),
        "route completion [%]": interval_text(scores.route_completion, 1),
        "infraction score": interval_text(scores.infraction_score, 2),
        "infractions / km": interval_text(scores.infractions_per_km, 2),
    }
    titles = {**PER_KM_TITLES, **world.more_rates}
    rows |= {title: interval_text(scores.per_km[k], 2) for k, title in titles.items()}
    rows["outside its lanes [% of way]"] = interval_text(scores.outside_lanes_percent, 1)
    rows[SLOWER_TITLE] = interval_text(scores.slowness_percent, 1)
    rows["length-normalised score"] = interval_text(scores.normalised_score, 1)
    rows["mean speed [km/h]"] = interval_text(scores.mean_speed_kmh, 1)
    return rows


def interval_text(interval: Interval, digits: int) -> str:
    """`61.2 [55.0, 67.1]`; a dash where nothing was driven."""
    if math.isnan(interval.value):
        return "-"
    value, low, high = (f"{x:.{digits}f}" for x in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def planner_table(
    title: str, planners: Mapping[str, BenchmarkScores], world: ScoredWorld = EMBEDDED
) -> ScoreTable:
    """One column a planner, then what nobody has measured; one row a figure."""
    first = next(iter(planners.values()))
    columns = [score_rows(scores, world) for scores in planners.values()]
    blanks = [NOT_MEASURED] * len(world.unmeasured)
    seeds = f"{first.num_seeds} seed{'s' if first.num_seeds > 1 else ''}"
    return ScoreTable(
        title,
        ["", *map(world.column, planners), *world.unmeasured],
        [[name, *(column[name] for column in columns), *blanks] for name in columns[0]],
        f"{first.num_routes} routes x {seeds}; in brackets the 95 % bootstrap interval over routes "
        f"and seeds. {world.warning}",
    )


# Comparison: two drivers over the same episodes, pair by pair, on routes and in nuPlan alike.

Figures = Mapping[str, float]  # by name
Drives = Mapping[tuple[str, int], Figures]  # by route and seed, or by nuPlan's scenario and 0


@dataclass(frozen=True)
class Results:
    """What one evaluation measured, wherever its driver drove.

    Args:
        world: What it drove in; evaluations of different worlds met different traffic.
        parts: Drives by label: "routes", or each mode of nuPlan.
        pairs: What pairs of drives are, e.g. "pairs of route and seed".
        lengths_m: Of routes, by their ids; none where names cannot mean two routes.
        is_complete: Drives that one evaluation lacks are an error; else they are named.
        titles: Of figures that are not told by their names.
        digits: Behind the point.
    """

    world: str
    parts: Mapping[str, Drives]
    pairs: str
    lengths_m: Mapping[str, float] = field(default_factory=dict)
    is_complete: bool = True
    titles: Mapping[str, str] = field(default_factory=dict)
    digits: int = 1


@dataclass(frozen=True)
class Difference:
    """One figure of both drivers over the same episodes."""

    first: float
    second: float
    change: Interval  # second minus first
    num_better: int  # pairs in which the second has the larger value
    num_worse: int


@dataclass(frozen=True)
class Comparison:
    """All figures of two evaluations.

    Args:
        label: What was compared: "routes", or a mode of nuPlan.
        pairs: What the pairs are, e.g. "pairs of route and seed".
        differences: By the figure's name.
        num_pairs: Episodes that both have.
        unpaired: Names of those that only one has.
    """

    label: str
    pairs: str
    differences: Mapping[str, Difference]
    num_pairs: int
    unpaired: tuple[str, ...] = ()


def difference(first: FloatArray, second: FloatArray) -> Difference:
    """Of the same figure, (routes, seeds) each."""
    change = second - first
    return Difference(
        first=float(first.mean()),
        second=float(second.mean()),
        change=mean_interval(change),
        num_better=int((change > 0.0).sum()),
        num_worse=int((change < 0.0).sum()),
    )


def compare_results(first: Results, second: Results) -> list[Comparison]:
    """Differences in every part that both evaluations have.

    Raises:
        ValueError: they drove in different worlds or on other routes, share no part or no drive of
            one, or one lacks drives that the other has.
    """
    if first.world != second.world:
        raise ValueError(
            f"one evaluation drove {first.world}, the other {second.world}: they met different "
            "worlds, so nothing pairs their drives"
        )
    ways = [
        {route: round(length, 1) for route, length in side.lengths_m.items()}
        for side in (first, second)
    ]
    for route in ways[0].keys() & ways[1].keys():
        if ways[0][route] != ways[1][route]:
            raise ValueError(f"route {route} has another length in each: not the same route file")
    labels = [label for label in first.parts if label in second.parts]
    if not labels:
        ours, theirs = (", ".join(side.parts) for side in (first, second))
        raise ValueError(f"one evaluation was driven {ours}, the other {theirs}")
    return [_compare_part(label, first, second) for label in labels]


def _compare_part(label: str, first: Results, second: Results) -> Comparison:
    sides = first.parts[label], second.parts[label]
    unpaired = sorted(sides[0].keys() ^ sides[1].keys())
    if unpaired and first.is_complete:
        raise ValueError(
            f"{len(unpaired)} episodes are in one evaluation only, e.g. (route, seed) "
            f"{unpaired[:3]}: evaluate both on the same routes with the same seeds"
        )
    shared = sides[0].keys() & sides[1].keys()
    if not shared:
        raise ValueError(f"the runs share no {label} scenario with a score")
    grid = _grid(shared)
    figures = next(iter(sides[0].values()))
    differences = {
        name: difference(
            *(np.array([[side[key][name] for key in row] for row in grid]) for side in sides)
        )
        for name in figures
    }
    names = tuple(name for name, _ in unpaired)
    return Comparison(label, first.pairs, differences, len(shared), names)


def _grid(keys: Iterable[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Keys as routes x seeds, both sorted.

    Raises:
        ValueError: a route lacks a seed that others have.
    """
    keys = set(keys)
    routes = sorted({route for route, _ in keys}, key=natural_key)
    seeds = sorted({seed for _, seed in keys})
    missing = [(r, s) for r in routes for s in seeds if (r, s) not in keys]
    if missing:
        raise ValueError(f"each route needs each seed once; missing: {missing[:5]}")
    return [[(route, seed) for seed in seeds] for route in routes]


OF_KIND = "infractions_of_"  # begins the names of figures that count one kind
LONGEST_LINE = 14  # of a column's head: five columns of a comparison fit into 80 characters


def broken_name(name: str) -> str:
    """A name in lines of LONGEST_LINE, broken where it has joints and nowhere else."""
    lines = [""]
    for part in re.findall(r"[^_/\- ]*[_/\- ]|[^_/\- ]+", name):
        if lines[-1] and len(lines[-1] + part) > LONGEST_LINE:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def comparison_table(
    names: tuple[str, str], comparison: Comparison, titles: Mapping[str, str], digits: int
) -> ScoreTable:
    """Both evaluations, and what changed.

    Args:
        names: Of the two evaluations.
        comparison: What was found.
        titles: Of figures that are not told by their names.
        digits: Behind the point; infractions have one more.
    """
    rows = []
    for name, one in comparison.differences.items():
        if name.startswith(OF_KIND) and one.first == one.second == 0.0:
            continue  # nobody did it
        places = digits + name.startswith("infraction")
        means = (f"{value:.{places}f}" for value in (one.first, one.second))
        counts = f"{one.num_better} / {one.num_worse}"
        title = titles.get(name, name.replace("_", " "))
        rows.append([title, *means, interval_text(one.change, places), counts])
    lost = f"; {len(comparison.unpaired)} in one run only" if comparison.unpaired else ""
    heads = [*map(broken_name, names), "change", "larger /\nsmaller"]
    return ScoreTable(
        f"{names[1]} against {names[0]}, {comparison.label}",
        ["", *heads],
        rows,
        f"{comparison.num_pairs} {comparison.pairs}{lost}; 95 % bootstrap intervals of the change",
        [head for head in heads if len(max(head.split("\n"), key=len)) <= LONGEST_LINE],
    )
