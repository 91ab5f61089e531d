"""Compare two evaluations: `python -m evaluation.compare DIR_A DIR_B [--json FILE]`.

Episodes are paired by route and seed, Val14's by scenario: both planners met the same world, so the
differences are far less noisy than the two scores. Intervals are bootstrapped over the pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evaluation.scoring.bootstrap import Interval, mean_interval
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import read_results, write_json
from evaluation.scoring.score_table import interval_text
from evaluation.scoring.scores import COUNTED_KINDS, as_grid
from evaluation.val14.compare import compare_val14, is_val14_run, val14_comparison_table

COMPARED: dict[str, Callable[[EpisodeResult], float]] = {
    "driving_score": lambda result: result.driving_score,
    "route_completion": lambda result: result.route_completion,
    "infraction_score": lambda result: result.infraction_score,
    "infractions_per_route": lambda result: float(
        sum(result.count(kind) for kind in COUNTED_KINDS)
    ),
    "mean_speed_kmh": lambda result: 3.6 * result.mean_speed_mps,
}


@dataclass(frozen=True)
class Difference:
    """One figure of both planners over the same episodes."""

    first: float
    second: float
    change: Interval  # second minus first
    num_better: int  # pairs in which the second has the larger value
    num_worse: int


def paired(
    first: Sequence[EpisodeResult], second: Sequence[EpisodeResult]
) -> tuple[list[list[EpisodeResult]], list[list[EpisodeResult]]]:
    """Both results as routes x seeds, the same episode at the same place.

    Raises:
        ValueError: an episode of one is missing in the other, or its route is another one.
    """
    keys = [{(r.route_id, r.seed): round(r.length_m, 1) for r in side} for side in (first, second)]
    if keys[0].keys() != keys[1].keys():
        only = sorted(keys[0].keys() ^ keys[1].keys())
        raise ValueError(
            f"{len(only)} episodes are in one evaluation only, e.g. (route, seed) {only[:3]}: "
            "evaluate both on the same routes with the same seeds"
        )
    other = [key for key in keys[0] if keys[0][key] != keys[1][key]]
    if other:
        raise ValueError(f"route {other[0][0]} has another length in each: not the same route file")
    return as_grid(first), as_grid(second)


def compare(
    first: Sequence[EpisodeResult], second: Sequence[EpisodeResult]
) -> dict[str, Difference]:
    """Differences of the figures in `COMPARED`."""
    grids = paired(first, second)
    differences = {}
    for name, of in COMPARED.items():
        a, b = (np.array([[of(result) for result in row] for row in grid]) for grid in grids)
        better, worse = int((b > a).sum()), int((b < a).sum())
        change = mean_interval(b - a)
        differences[name] = Difference(float(a.mean()), float(b.mean()), change, better, worse)
    return differences


def comparison_table(
    names: tuple[str, str], differences: dict[str, Difference], num_pairs: int
) -> Table:
    """The table for the terminal."""
    table = Table(
        title=f"{names[1]} against {names[0]}",
        caption=f"{num_pairs} pairs of route and seed; 95 % bootstrap intervals of the change",
    )
    for heading in ("", names[0], names[1], "change", "pairs larger / smaller"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, difference in differences.items():
        digits = 2 if name.startswith("infraction") else 1
        table.add_row(
            name.replace("_", " "),
            f"{difference.first:.{digits}f}",
            f"{difference.second:.{digits}f}",
            interval_text(difference.change, digits),
            f"{difference.num_better} / {difference.num_worse}",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.compare", description=__doc__)
    parser.add_argument("first", type=Path, help="output folder of one evaluation")
    parser.add_argument("second", type=Path, help="output folder of the other")
    parser.add_argument("--json", type=Path, help="also write the differences here")
    options = parser.parse_args(arguments)
    names = (str(options.first), str(options.second))
    compare_folders = compare_val14_runs if is_val14_run(options.first) else compare_route_runs
    try:
        tables, document = compare_folders(options.first, options.second)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for table in tables:
        Console().print(table)
    if options.json:
        write_json(options.json, {"first": names[0], "second": names[1], "changes": document})


def compare_route_runs(first: Path, second: Path) -> tuple[list[Table], dict[str, Any]]:
    """Tables and JSON values of two evaluations on routes."""
    (episodes, _), (others, _) = read_results(first), read_results(second)
    differences = compare(episodes, others)
    table = comparison_table((str(first), str(second)), differences, len(episodes))
    return [table], {name: asdict(difference) for name, difference in differences.items()}


def compare_val14_runs(first: Path, second: Path) -> tuple[list[Table], dict[str, Any]]:
    """Tables and JSON values of two Val14 runs."""
    comparisons = compare_val14(first, second)
    names = (str(first), str(second))
    return (
        [val14_comparison_table(names, one) for one in comparisons],
        {one.mode: asdict(one) for one in comparisons},
    )


if __name__ == "__main__":
    main()
