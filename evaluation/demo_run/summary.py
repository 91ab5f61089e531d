"""summary.json of the demo: every planner's scores, the routes, the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult
from evaluation.scoring.scores import as_grid, benchmark_scores

SUMMARY_FILE = "summary.json"
MIN_ACTORS = 30.0  # that a held-out route should have, averaged over a drive


def summarise(
    results: Mapping[str, Sequence[EpisodeResult]], training: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        results: Episodes of every planner, among them `trained`.
        training: Progress in the checkpoint: `samples` and `elapsed_s`.
        seed: Of the training and of the first drive on each route.
    """
    routes = [route_facts(runs) for runs in as_grid(results["trained"])]
    return {name: planner_scores(episodes) for name, episodes in results.items()} | {
        "routes": routes,
        "thin_routes": [route["id"] for route in routes if route["actors"] < MIN_ACTORS],
        "samples": int(training["samples"]),
        "train_seconds": float(training["elapsed_s"]),
        "seed": seed,
    }


def planner_scores(episodes: Sequence[EpisodeResult]) -> dict[str, float | None]:
    """A planner's means over routes and seeds."""
    scores = benchmark_scores(episodes)
    return {
        "route_completion": scores.route_completion.value,
        "driving_score": scores.driving_score.value,
        # Nothing driven: no kilometre to count on
        "infractions_per_km": scores.infractions_per_km.value if scores.driven_km > 0 else None,
    }


def route_facts(runs: Sequence[EpisodeResult]) -> dict[str, Any]:
    """A route and how the trained planner's drives on it went, one a seed."""
    return {
        "id": runs[0].route_id,
        "town": runs[0].town,
        "length": runs[0].length_m,
        "actors": sum(run.mean_actors for run in runs) / len(runs),
        "completed": all(run.end is EpisodeEnd.COMPLETED for run in runs),
    }


def traffic_statement(summary: Mapping[str, Any]) -> str:
    """How busy the routes were, and which of them were not busy enough."""
    fewest = min(route["actors"] for route in summary["routes"])
    if not summary["thin_routes"]:
        return f"{fewest:.1f} actors or more on every route"
    thin = ", ".join(summary["thin_routes"])
    return f"thin, fewer than {MIN_ACTORS:.0f} actors (at least {fewest:.1f}), on: {thin}"
