"""One HTML file that shows an evaluation: tables, learning curves, video, and what it is not."""

from __future__ import annotations

import base64
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.scoring.episode_result import NAMES, EpisodeResult
from evaluation.scoring.score_table import EMBEDDED, ScoredWorld, interval_text, score_cells
from evaluation.scoring.scores import BenchmarkScores, as_grid, benchmark_scores
from sim_adapters.atomic_file import write_atomically

# The report's pictures: learning curves and score bars.

INK, GRID, ACCENT = "#1d2733", "#e3e8ee", "#ff7a3d"
SMOOTHING = 0.85  # of the exponential mean drawn over the raw points
CURVES = (
    ("episode/route_completion", "route completion [%]"),
    ("episode/return", "episode return"),
    ("reward/time_to_collision", "time-to-collision factor"),
    ("losses/explained_variance", "explained variance"),
)


def learning_curves(metrics: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw the training run's main figures over its samples.

    Args:
        metrics: Lines of a run's metrics.jsonl.
        path: PNG to write.
    """
    figure = Figure(figsize=(10, 5.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.ravel(figure.subplots(2, 2))
    for axis, (tag, title) in zip(axes, CURVES, strict=True):
        points = [(line["samples"] / 1e6, line[tag]) for line in metrics if tag in line]
        _prepare(axis, title)
        axis.set_xlabel("samples [million]")
        if points:
            x, y = np.array(points).T
            axis.plot(x, y, color=ACCENT, alpha=0.3, linewidth=1)
            axis.plot(x, exponential_mean(y), color=ACCENT, linewidth=2)
    figure.savefig(path)


def exponential_mean(values: np.ndarray) -> np.ndarray:
    """Smoothed values; the start is not pulled towards zero."""
    smoothed, total, weight = np.empty(len(values)), 0.0, 0.0
    for index, value in enumerate(values):
        total = SMOOTHING * total + value
        weight = SMOOTHING * weight + 1.0
        smoothed[index] = total / weight
    return smoothed


def score_bars(planners: Mapping[str, BenchmarkScores], score_title: str, path: Path) -> None:
    """Driving score, route completion and infractions per kilometre with their intervals.

    Args:
        planners: Scores of each.
        score_title: What the driving score is called where it was measured.
        path: PNG to write.
    """
    figure = Figure(figsize=(10, 0.5 + 0.5 * len(planners)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = (
        (score_title, [scores.driving_score for scores in planners.values()]),
        ("route completion [%]", [scores.route_completion for scores in planners.values()]),
        ("infractions / km", [scores.infractions_per_km for scores in planners.values()]),
    )
    rows = np.arange(len(planners))[::-1]
    for axis, (title, intervals) in zip(
        np.ravel(figure.subplots(1, 3, sharey=True)), panels, strict=True
    ):
        _prepare(axis, title)
        values = np.nan_to_num([interval.value for interval in intervals])
        low = np.nan_to_num([interval.low for interval in intervals])
        high = np.nan_to_num([interval.high for interval in intervals])
        colours = [ACCENT if name in ("trained", "policy") else "#b7c3d0" for name in planners]
        axis.barh(rows, values, color=colours, height=0.62)
        reach = np.maximum([values - low, high - values], 0.0)
        axis.errorbar(values, rows, xerr=reach, fmt="none", ecolor=INK, capsize=3, linewidth=1)
        axis.set_yticks(rows, list(planners))
    figure.savefig(path)


def _prepare(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=INK, length=0)
    for side in axis.spines.values():
        side.set_visible(False)


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


# One page of a training's judgements: the score over its samples, and hits by kind of script

JUDGED_PAGE = "judged.html"
SCORE = "score/driving_score"
Line = tuple[int, Mapping[str, float]]  # samples, value by tag


def write_judged_page(folder: Path, lines: Sequence[Line]) -> Path:
    """Write the page of these judgements, oldest first, into `folder`; its path."""
    tags = list(dict.fromkeys(tag for _, values in lines for tag in values))
    groups = {
        "Scores": [tag for tag in tags if tag.startswith("score/")],
        "Driver hit, of the scripts reached [%]": [tag for tag in tags if tag.startswith("hit/")],
        "Infractions / km": [tag for tag in tags if tag.startswith("per_km/")],
    }
    best = max(lines, key=lambda line: line[1][SCORE])[0]
    html = template("judged.html.j2").render(
        title=folder.absolute().parent.name,
        picture=base64.b64encode(_picture(lines)).decode(),
        groups={title: [_row(tag, lines) for tag in found] for title, found in groups.items()},
        heads=[f"{samples / 1e6:.1f} M" for samples, _ in lines],
        best=f"{best / 1e6:.1f} M",
    )
    path = folder / JUDGED_PAGE
    write_atomically(path, html.encode())
    return path


def _row(tag: str, lines: Sequence[Line]) -> tuple[str, list[str]]:
    scale, digits = (100.0, 0) if tag.startswith("hit/") else (1.0, 2 if "per_km" in tag else 1)
    values = [line[1].get(tag) for line in lines]
    name = tag.partition("/")[2].replace("_", " ")
    return name, ["-" if value is None else f"{value * scale:.{digits}f}" for value in values]


def _picture(lines: Sequence[Line]) -> bytes:
    figure = Figure(figsize=(10, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    x = [samples / 1e6 for samples, _ in lines]
    score = [values[SCORE] for _, values in lines]
    low, high = ([values[f"{SCORE}_{end}"] for _, values in lines] for end in ("low", "high"))
    above.fill_between(x, low, high, color=ACCENT, alpha=0.2, linewidth=0)
    above.plot(x, score, "o-", color=ACCENT, linewidth=2)
    above.set_title("driving score in the embedded world, 95 % interval over routes", loc="left")
    above.set_ylim(0, 100)
    kinds = dict.fromkeys(tag for _, values in lines for tag in values if tag.startswith("hit/"))
    for tag, marker in zip(kinds, "osD^v<>*", strict=False):
        points = [(each, 100 * v[tag]) for each, (_, v) in zip(x, lines, strict=True) if tag in v]
        below.plot(*zip(*points, strict=True), f"{marker}-", label=tag.partition("/")[2])
    below.set_title("driver hit, of the scripts reached [%]", loc="left")
    below.set_xlabel("samples [million]")
    below.legend(fontsize=8, frameon=False)
    for axis in (above, below):
        axis.grid(color=GRID)
        axis.tick_params(colors=INK)
        axis.spines[["top", "right"]].set_visible(False)
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()
