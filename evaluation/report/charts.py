"""The report's pictures: learning curves and score bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.scoring.scores import BenchmarkScores

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
