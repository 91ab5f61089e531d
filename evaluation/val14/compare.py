"""Two Val14 runs side by side, scenario by scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.nuplan_metrics.scenario_scores import METRICS, ScenarioScores
from evaluation.scoring.comparison import Comparison, difference
from evaluation.val14.files import SCENARIOS_FILE, Results, read_scenarios


def is_val14_run(folder: Path) -> bool:
    """Whether a folder holds a Val14 run."""
    return (folder / SCENARIOS_FILE).is_file()


def compare_val14(first: Path, second: Path) -> list[Comparison]:
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
) -> Comparison:
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
    differences = {
        name: difference(*(100.0 * side[:, i : i + 1] for side in rows))
        for i, name in enumerate(("score", *METRICS))
    }
    unpaired = tuple(sorted(sides[0].keys() ^ sides[1].keys()))
    return Comparison(mode, "scenarios", differences, len(tokens), unpaired)
