"""Compare two evaluations: `python -m evaluation.compare DIR_A DIR_B [--json FILE]`.

A folder is that of evaluation.evaluate or of evaluation.longest6_official. Episodes are paired by
route and seed, Val14's by scenario: both planners met the same world, so the differences are far
less noisy than the two scores. Intervals are bootstrapped over the pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console

from evaluation.leaderboard_jobs.official_results import read_official
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import EPISODES_FILE, RESULTS_FILE, read_results, write_json
from evaluation.scoring.score_table import (
    OF_KIND,
    PER_KM_TITLES,
    SLOWER_TITLE,
    Comparison,
    Results,
    compare_results,
    comparison_table,
)
from evaluation.scoring.scores import COUNTED_KINDS, slowness_percent
from evaluation.val14.files import is_val14_run, val14_results

EMBEDDED_WORLD = "in the embedded world"
COMPARED: dict[str, Callable[[EpisodeResult], float]] = {
    "driving_score": lambda result: result.driving_score,
    "route_completion": lambda result: result.route_completion,
    "infraction_score": lambda result: result.infraction_score,
    "infractions_per_route": lambda result: float(
        sum(result.count(kind) for kind in COUNTED_KINDS)
    ),
    **{f"{OF_KIND}{kind}": partial(EpisodeResult.count, kind=kind) for kind in COUNTED_KINDS},
    "slower_than_traffic": slowness_percent,
    "mean_speed_kmh": lambda result: 3.6 * result.mean_speed_mps,
}

TITLES = {
    "infractions_per_route": "infractions / route",
    **{f"{OF_KIND}{kind}": PER_KM_TITLES[kind].replace("km", "route") for kind in COUNTED_KINDS},
    "route_completion": "route completion [%]",
    "slower_than_traffic": SLOWER_TITLE,
    "mean_speed_kmh": "mean speed [km/h]",
}


def compare(first: Sequence[EpisodeResult], second: Sequence[EpisodeResult]) -> Comparison:
    """Differences of the figures in `COMPARED`, of episodes driven in one world.

    Raises:
        ValueError: an episode of one is missing in the other, or its route is another one.
    """
    (comparison,) = compare_results(route_results(first), route_results(second))
    return comparison


def route_results(episodes: Sequence[EpisodeResult], world: str = EMBEDDED_WORLD) -> Results:
    """Episodes on routes as results that are compared pair by pair.

    Args:
        episodes: Every route with every seed.
        world: That they were driven in.

    Raises:
        ValueError: an episode is there twice.
    """
    drives = {
        (episode.route_id, episode.seed): {name: of(episode) for name, of in COMPARED.items()}
        for episode in episodes
    }
    if len(drives) != len(episodes):
        raise ValueError(
            f"{len(episodes) - len(drives)} of {len(episodes)} episodes are there twice"
        )
    lengths_m = {episode.route_id: episode.length_m for episode in episodes}
    return Results(world, {"routes": drives}, "pairs of route and seed", lengths_m, titles=TITLES)


def read_folder(folder: Path) -> Results:
    """Results of whichever evaluation wrote into a folder.

    Raises:
        FileNotFoundError: none did.
        ValueError: its file is damaged.
    """
    if is_val14_run(folder):
        return val14_results(folder)
    if not (folder / EPISODES_FILE).is_file() and (folder / RESULTS_FILE).is_file():
        episodes, about = read_official(folder)
        return route_results(episodes, f"under the official evaluator on {about.get('server')}")
    return route_results(read_results(folder)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.compare", description=__doc__)
    parser.add_argument("first", type=Path, help="output folder of one evaluation")
    parser.add_argument("second", type=Path, help="output folder of the other")
    parser.add_argument("--json", type=Path, help="also write the differences here")
    options = parser.parse_args(arguments)
    names = (str(options.first), str(options.second))
    try:
        first, second = read_folder(options.first), read_folder(options.second)
        comparisons = compare_results(first, second)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for one in comparisons:
        shown = short_names(options.first, options.second)
        Console().print(comparison_table(shown, one, first.titles, first.digits))
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


if __name__ == "__main__":
    main()
