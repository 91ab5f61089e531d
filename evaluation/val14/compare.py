"""Two Val14 runs side by side, scenario by scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from evaluation.nuplan_metrics.scenario_scores import METRICS, ScenarioScores
from evaluation.scoring.bootstrap import Interval, mean_interval
from evaluation.scoring.score_table import interval_text
from evaluation.val14.files import SCENARIOS_FILE, Results, read_scenarios
from evaluation.val14.table import TITLES


@dataclass(frozen=True)
class Val14Difference:
    """One figure of both planners over the scenarios that both have a score for, in percent."""

    first: float
    second: float
    change: Interval  # second minus first
    num_better: int
    num_worse: int


@dataclass(frozen=True)
class Val14Comparison:
    """The runs' own planners in one mode."""

    mode: str
    differences: dict[str, Val14Difference]  # "score", then each metric
    num_pairs: int
    unpaired: tuple[str, ...]  # tokens with a score in one run only


def is_val14_run(folder: Path) -> bool:
    """Whether a folder holds a Val14 run."""
    return (folder / SCENARIOS_FILE).is_file()


def compare_val14(first: Path, second: Path) -> list[Val14Comparison]:
    """Differences in every mode that both runs have.

    Raises:
        FileNotFoundError: a folder holds no run.
        ValueError: the runs share no mode, or no scenario of it.
    """
    runs = [_own_drives(folder) for folder in (first, second)]
    modes = [mode for mode in runs[0] if mode in runs[1]]
    if not modes:
        raise ValueError(f"{first} was driven {', '.join(runs[0])}, {second} {', '.join(runs[1])}")
    return [_compare_mode(mode, runs[0][mode], runs[1][mode]) for mode in modes]


def _own_drives(folder: Path) -> dict[str, list[ScenarioScores]]:
    """Scenarios of the planner that a run is about (not of its yardsticks), by mode."""
    about, results = read_scenarios(folder)
    found: Results = results
    return {d.mode: rows for d, rows in found.items() if d.planner == about["planner"]}


def _compare_mode(
    mode: str, first: Sequence[ScenarioScores], second: Sequence[ScenarioScores]
) -> Val14Comparison:
    sides = [
        {one.token: one for one in side if one.metrics is not None} for side in (first, second)
    ]
    tokens = sorted(sides[0].keys() & sides[1].keys())
    if not tokens:
        raise ValueError(f"the runs share no {mode} scenario with a score")
    rows = [
        np.array([(side[token].score, *(side[token].metrics or ())) for token in tokens])
        for side in sides
    ]
    return Val14Comparison(
        mode,
        {name: _difference(rows[0][:, i], rows[1][:, i]) for i, name in enumerate(_figures())},
        len(tokens),
        tuple(sorted(sides[0].keys() ^ sides[1].keys())),
    )


def _figures() -> tuple[str, ...]:
    return ("score", *METRICS)


def _difference(first: np.ndarray, second: np.ndarray) -> Val14Difference:
    change = 100.0 * (second - first)
    return Val14Difference(
        first=100.0 * float(first.mean()),
        second=100.0 * float(second.mean()),
        change=mean_interval(change[:, None]),
        num_better=int((change > 0.0).sum()),
        num_worse=int((change < 0.0).sum()),
    )


def val14_comparison_table(names: tuple[str, str], comparison: Val14Comparison) -> Table:
    """The table for the terminal."""
    lost = f"; {len(comparison.unpaired)} in one run only" if comparison.unpaired else ""
    table = Table(
        title=f"{names[1]} against {names[0]}, {comparison.mode}",
        caption=f"{comparison.num_pairs} scenarios{lost}; 95 % bootstrap intervals of the change",
    )
    for heading in ("", names[0], names[1], "change", "scenarios better / worse"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, one in comparison.differences.items():
        table.add_row(
            TITLES.get(name, name),
            f"{one.first:.2f}",
            f"{one.second:.2f}",
            interval_text(one.change, 2),
            f"{one.num_better} / {one.num_worse}",
        )
    return table
