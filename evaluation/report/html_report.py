"""The page of drives on routes: tables, learning curves, video, and what the scores are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report.page import (
    ACCENT,
    GRID,
    INK,
    REPORT_FILE,
    PageSection,
    ScorePage,
    new_figure,
    png_of,
)
from evaluation.scoring.episode_result import NAMES, EpisodeResult
from evaluation.scoring.score_table import (
    EMBEDDED,
    ScoredWorld,
    ScoreTable,
    interval_text,
    planner_table,
)
from evaluation.scoring.scores import BenchmarkScores, as_grid, benchmark_scores

# The report's pictures: learning curves and score bars.

SMOOTHING = 0.85  # of the exponential mean drawn over the raw points
CURVES = (
    ("episode/route_completion", "route completion [%]"),
    ("episode/return", "episode return"),
    ("reward/time_to_collision", "time-to-collision factor"),
    ("losses/explained_variance", "explained variance"),
)


def learning_curves(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """The training run's main figures over its samples, from the lines of its metrics.jsonl."""
    figure = new_figure(10, 5.6)
    axes = np.ravel(figure.subplots(2, 2))
    for axis, (tag, title) in zip(axes, CURVES, strict=True):
        points = [(line["samples"] / 1e6, line[tag]) for line in metrics if tag in line]
        _prepare(axis, title)
        axis.set_xlabel("samples [million]")
        if points:
            x, y = np.array(points).T
            axis.plot(x, y, color=ACCENT, alpha=0.3, linewidth=1)
            axis.plot(x, exponential_mean(y), color=ACCENT, linewidth=2)
    return figure


def exponential_mean(values: np.ndarray) -> np.ndarray:
    """Smoothed values; the start is not pulled towards zero."""
    smoothed, total, weight = np.empty(len(values)), 0.0, 0.0
    for index, value in enumerate(values):
        total = SMOOTHING * total + value
        weight = SMOOTHING * weight + 1.0
        smoothed[index] = total / weight
    return smoothed


def score_bars(planners: Mapping[str, BenchmarkScores], score_title: str) -> Figure:
    """Driving score, route completion and infractions per kilometre with their intervals.

    Args:
        planners: Scores of each.
        score_title: What the driving score is called where it was measured.
    """
    figure = new_figure(10, 0.5 + 0.5 * len(planners))
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
    return figure


def _prepare(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=INK, length=0)
    for side in axis.spines.values():
        side.set_visible(False)


CURVES_FILE = "learning_curves.png"
PLANNER_TITLES = {
    "untrained": "untrained policy",
    "trained": "trained policy",
    "policy": "policy",
    "idm": "rule-based driver (IDM)",
    "constant_speed": "constant speed, straight on",
    "blind_follower": "constant speed along the route, blind",
}
SCORES_CAPTION = (
    "In brackets the 95\u00a0% bootstrap interval over routes and, within a route, seeds. Driving "
    "score = mean of route completion \u00d7 infraction score. Infractions per km counts "
    "collisions, red lights and stop signs over the driven distance. Slower than traffic: by how "
    "much the ego's mean speed was below the traffic's, the mean of the route's quarters; "
    "100\u00a0% costs 30\u00a0% of the score."
)


@dataclass(frozen=True)
class Report:
    """What the page of drives on routes shows.

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

    @property
    def heads(self) -> list[str]:
        """Of the planners' columns."""
        return [self.world.column(PLANNER_TITLES.get(name, name)) for name in self.planners]


def write_report(folder: Path, report: Report) -> Path:
    """Write the report, and the learning curves beside it; returns the report's path."""
    scores = {name: benchmark_scores(results) for name, results in report.planners.items()}
    table = planner_table("", scores, report.world)
    heads = ["", *report.heads, *report.world.unmeasured]
    bars = png_of(score_bars(scores, report.world.score_title))
    sections = [
        PageSection(
            "Scores",
            replace(table, heads=heads, caption=SCORES_CAPTION),
            bars,
            "Driving score, route completion and infractions per kilometre",
            style="scores",
        ),
        PageSection("By town", town_table(report)),
    ]
    if report.metrics:
        curves = png_of(learning_curves(report.metrics))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CURVES_FILE).write_bytes(curves)
        sections.append(PageSection("Learning", picture=curves, picture_text="Learning curves"))
    sections += [
        PageSection("By route", route_table(report)),
        PageSection(
            "What went wrong on each route", fault_table(report), style="words", is_open=True
        ),
    ]
    first = next(iter(scores.values()))
    seeds = f"{first.num_seeds} seed{'s' if first.num_seeds > 1 else ''}"
    return ScorePage(
        report.title,
        f"{first.num_routes} routes \u00d7 {seeds}, scored by {report.world.rules}.",
        sections,
        facts=report.facts,
        world=report.world,
        viewer=report.viewer,
        video=report.video,
        video_title=report.video_title,
    ).write(folder / REPORT_FILE)


def town_table(report: Report) -> ScoreTable:
    """Each planner's figures town by town, and whether the training saw the town."""
    towns = sorted({r.town for results in report.planners.values() for r in results})
    rows = []
    for town in towns:
        columns = [
            benchmark_scores([r for r in results if r.town == town])
            for results in report.planners.values()
        ]
        seen = "seen in training" if town in report.seen_towns else "never seen"
        name = f"{town} ({seen})" if report.seen_towns else town
        rows += [
            [name, "driving score", *(interval_text(c.driving_score, 1) for c in columns)],
            ["", "route completion [%]", *(interval_text(c.route_completion, 1) for c in columns)],
            ["", "infractions / km", *(interval_text(c.infractions_per_km, 2) for c in columns)],
        ]
    return ScoreTable("", ["town", "", *report.heads], rows)


def route_table(report: Report) -> ScoreTable:
    """A row per route with every planner's means over its seeds."""
    columns = route_columns(report)
    rows = []
    for runs_of_planners in runs_by_route(report):
        first = runs_of_planners[0][0]
        notes = [texts.get(first.route_id, "-") for texts in columns.values()]
        cells = [
            f"{sum(run.route_completion for run in runs) / len(runs):.0f} %, "
            f"{sum(run.driving_score for run in runs) / len(runs):.1f}"
            for runs in runs_of_planners
        ]
        rows.append([first.route_id, first.town, f"{first.length_m:.0f} m", *notes, *cells])
    heads = [f"{head}\ncompletion, score" for head in report.heads]
    return ScoreTable("", ["route", "town", "length", *columns, *heads], rows)


def fault_table(report: Report) -> ScoreTable:
    """A row per route with every planner's infractions."""
    rows = [[runs[0][0].route_id, *map(infraction_summary, runs)] for runs in runs_by_route(report)]
    return ScoreTable("", ["route", *report.heads], rows)


def runs_by_route(report: Report) -> list[tuple[list[EpisodeResult], ...]]:
    """For each route every planner's drives, one a seed."""
    return list(zip(*map(as_grid, report.planners.values()), strict=True))


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
