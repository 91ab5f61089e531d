"""Compare two evaluations: `python -m evaluation.compare DIR_A DIR_B [--json FILE]`.

Episodes are paired by route and seed, Val14's by scenario: both planners met the same world, so the
differences are far less noisy than the two scores. Intervals are bootstrapped over the pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import read_results, write_json
from evaluation.scoring.score_table import Comparison, comparison_table, difference
from evaluation.scoring.scores import COUNTED_KINDS, as_grid
from evaluation.val14.table import TITLES, compare_val14, is_val14_run

COMPARED: dict[str, Callable[[EpisodeResult], float]] = {
    "driving_score": lambda result: result.driving_score,
    "route_completion": lambda result: result.route_completion,
    "infraction_score": lambda result: result.infraction_score,
    "infractions_per_route": lambda result: float(
        sum(result.count(kind) for kind in COUNTED_KINDS)
    ),
    "mean_speed_kmh": lambda result: 3.6 * result.mean_speed_mps,
}


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


def compare(first: Sequence[EpisodeResult], second: Sequence[EpisodeResult]) -> Comparison:
    """Differences of the figures in `COMPARED`."""
    grids = paired(first, second)
    differences = {}
    for name, of in COMPARED.items():
        sides = (np.array([[of(result) for result in row] for row in grid]) for grid in grids)
        differences[name] = difference(*sides)
    return Comparison("routes", "pairs of route and seed", differences, len(first))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.compare", description=__doc__)
    parser.add_argument("first", type=Path, help="output folder of one evaluation")
    parser.add_argument("second", type=Path, help="output folder of the other")
    parser.add_argument("--json", type=Path, help="also write the differences here")
    options = parser.parse_args(arguments)
    names = (str(options.first), str(options.second))
    try:
        comparisons, titles, digits = compare_folders(options.first, options.second)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for one in comparisons:
        shown = short_names(options.first, options.second)
        Console().print(comparison_table(shown, one, titles, digits))
    if options.json:
        changes = {one.label: asdict(one) for one in comparisons}
        write_json(options.json, {"first": names[0], "second": names[1], "changes": changes})


def short_names(first: Path, second: Path) -> tuple[str, str]:
    """Both folders without the folders that they share, and without those that end alike."""
    parts = [list(path.resolve().parts) for path in (first, second)]
    if parts[0] == parts[1]:
        return str(first), str(second)
    for end in (0, -1):
        while min(map(len, parts)) > 1 and parts[0][end] == parts[1][end]:
            for side in parts:
                del side[end]
    return str(Path(*parts[0])), str(Path(*parts[1]))


def compare_folders(first: Path, second: Path) -> tuple[list[Comparison], Mapping[str, str], int]:
    """Comparisons of two evaluations, titles of their figures, and digits behind the point."""
    if is_val14_run(first):
        return compare_val14(first, second), TITLES, 2
    (episodes, _), (others, _) = read_results(first), read_results(second)
    return [compare(episodes, others)], {}, 1


if __name__ == "__main__":
    main()
