"""The table of scores, for the terminal and for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.scoring.bootstrap import Interval
from evaluation.scoring.infractions import InfractionKind
from evaluation.scoring.scored_world import EMBEDDED, NOT_MEASURED, ScoredWorld
from evaluation.scoring.scores import BenchmarkScores

FIRST_COLUMN, COLUMN = 34, 26  # characters
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
    rows["slower than traffic [%]"] = interval_text(scores.slowness_percent, 1)
    rows["length-normalised score"] = interval_text(scores.normalised_score, 1)
    rows["mean speed [km/h]"] = interval_text(scores.mean_speed_kmh, 1)
    return rows


def interval_text(interval: Interval, digits: int) -> str:
    """`61.2 [55.0, 67.1]`; a dash where nothing was driven."""
    if math.isnan(interval.value):
        return "-"
    value, low, high = (f"{x:.{digits}f}" for x in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def print_scores(
    title: str, planners: Mapping[str, BenchmarkScores], world: ScoredWorld = EMBEDDED
) -> None:
    """Print the table; into a file as wide as it needs to be, since nobody can widen a log."""
    console = Console()
    if not console.is_terminal:
        num_columns = len(planners) + len(world.unmeasured)
        console = Console(width=FIRST_COLUMN + COLUMN * num_columns)
    console.print(terminal_table(title, planners, world))


def terminal_table(
    title: str, planners: Mapping[str, BenchmarkScores], world: ScoredWorld = EMBEDDED
) -> Table:
    """One column a planner, one row a figure."""
    first = next(iter(planners.values()))
    table = Table(
        title=title,
        caption=(
            f"{first.num_routes} routes x {first.num_seeds} seeds; in brackets the 95 % bootstrap "
            f"interval over routes and seeds. {world.warning}"
        ),
    )
    table.add_column("")
    for name in (*map(world.column, planners), *world.unmeasured):
        table.add_column(name, justify="right")
    for title_and_cells in score_cells(planners, world):
        table.add_row(*map(escape, title_and_cells))  # units in brackets are no markup
    return table


def score_cells(planners: Mapping[str, BenchmarkScores], world: ScoredWorld) -> list[list[str]]:
    """Rows of title and one text a column: the planners', then what nobody has measured."""
    columns = [score_rows(scores, world) for scores in planners.values()]
    blanks = [NOT_MEASURED] * len(world.unmeasured)
    return [[title, *(column[title] for column in columns), *blanks] for title in columns[0]]
