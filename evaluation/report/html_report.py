"""One HTML file that shows an evaluation: tables, learning curves, video, and what it is not."""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from evaluation.report.charts import learning_curves, score_bars
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.infractions import NAMES
from evaluation.scoring.score_table import interval_text, score_cells
from evaluation.scoring.scored_world import EMBEDDED, ScoredWorld
from evaluation.scoring.scores import BenchmarkScores, as_grid, benchmark_scores

REPORT_FILE, CURVES_FILE = "report.html", "learning_curves.png"
PLANNER_TITLES = {
    "untrained": "untrained policy",
    "trained": "trained policy",
    "policy": "policy",
    "idm": "rule-based driver (IDM)",
    "constant_speed": "constant speed, straight on",
    "blind_follower": "constant speed along the route, blind",
}


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Args:
        title: Heading.
        planners: Episodes of every planner, in the order of the columns.
        seen_towns: Towns of the training.
        facts: Short statements for the head: name and value.
        metrics: Lines of the training run's metrics.jsonl, empty without training.
        video: MP4 beside the report, if any.
        video_title: Its caption.
        world: Where the scores come from.
        route_columns: Further columns of the table of routes: title, and a text for each route id.
        viewer: Page of the recorded drives beside the report, if any.
    """

    title: str
    planners: Mapping[str, Sequence[EpisodeResult]]
    seen_towns: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, float]] = ()
    video: str | None = None
    video_title: str = ""
    world: ScoredWorld = EMBEDDED
    route_columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    viewer: str | None = None


def template(name: str) -> Template:
    """A page of this package's templates."""
    environment = Environment(
        loader=PackageLoader("evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def write_report(folder: Path, report: Report) -> Path:
    """Write the report, and the learning curves beside it; returns the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {name: benchmark_scores(results) for name, results in report.planners.items()}
    if report.metrics:
        learning_curves(report.metrics, folder / CURVES_FILE)
    first = next(iter(scores.values()))
    html = template("report.html.j2").render(
        report=report,
        titles=[report.world.column(PLANNER_TITLES.get(name, name)) for name in report.planners],
        score_table=score_cells(scores, report.world),
        town_table=town_table(report),
        route_titles=list(route_columns(report)),
        route_table=route_table(report),
        num_routes=first.num_routes,
        num_seeds=first.num_seeds,
        bars=embedded_png_of(scores, report.world),
        curves=embedded_png(folder / CURVES_FILE) if report.metrics else None,
    )
    path = folder / REPORT_FILE
    path.write_text(html)
    return path


def town_table(report: Report) -> list[dict[str, Any]]:
    """A row per town: whether it was seen in training, and each planner's figures."""
    towns = sorted({r.town for results in report.planners.values() for r in results})
    rows = []
    for town in towns:
        cells = []
        for results in report.planners.values():
            scores = benchmark_scores([r for r in results if r.town == town])
            cells.append(
                {
                    "score": interval_text(scores.driving_score, 1),
                    "completion": interval_text(scores.route_completion, 1),
                    "per_km": interval_text(scores.infractions_per_km, 2),
                }
            )
        rows.append({"town": town, "seen": town in report.seen_towns, "cells": cells})
    return rows


def route_table(report: Report) -> list[dict[str, Any]]:
    """A row per route with every planner's means over its seeds."""
    grids = [as_grid(results) for results in report.planners.values()]
    columns = route_columns(report)
    rows = []
    for index, episodes in enumerate(grids[0]):
        cells = []
        for grid in grids:
            runs = grid[index]
            cells.append(
                {
                    "score": sum(run.driving_score for run in runs) / len(runs),
                    "completion": sum(run.route_completion for run in runs) / len(runs),
                    "infractions": infraction_summary(runs),
                }
            )
        first = episodes[0]
        rows.append(
            {
                "route": first.route_id,
                "town": first.town,
                "length_m": first.length_m,
                "notes": [texts.get(first.route_id, "-") for texts in columns.values()],
                "cells": cells,
            }
        )
    return rows


def route_columns(report: Report) -> dict[str, Mapping[str, str]]:
    """Columns before those of the planners; how many actors there were if the world tells it."""
    first = as_grid(next(iter(report.planners.values())))
    actors = {runs[0].route_id: sum(run.mean_actors for run in runs) / len(runs) for runs in first}
    known = {route: f"{mean:.0f}" for route, mean in actors.items() if not math.isnan(mean)}
    return {**({"actors": known} if known else {}), **report.route_columns}


def infraction_summary(runs: Sequence[EpisodeResult]) -> str:
    """`red light (2), blocked (1)`, or `none`."""
    counts: dict[str, int] = {}
    for run in runs:
        for infraction in run.infractions:
            name = NAMES[infraction.kind]
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} ({number})" for name, number in counts.items()) or "none"


def embedded_png(path: Path) -> str:
    """A PNG as a data URL, so that the report stays one file."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def embedded_png_of(scores: Mapping[str, BenchmarkScores], world: ScoredWorld) -> str:
    """The score bars as a data URL."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.png"
        score_bars(scores, world.score_title, path)
        return embedded_png(path)
