"""BenchmarkScores: the figures of a whole benchmark with their intervals.

Driving score = mean over episodes of route completion x infraction score (leaderboard 2.0).
Infractions are counted per driven kilometre of all episodes together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.scoring.bootstrap import FloatArray, Interval, mean_interval, ratio_interval
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.infractions import ROUTE_ENDS, InfractionKind
from evaluation.scoring.normalised_score import normalised_score, slowness_percent

# Counted by the total: discrete events that cost points. The other two are shares of a route.
COUNTED_KINDS = (
    InfractionKind.COLLISION_PEDESTRIAN,
    InfractionKind.COLLISION_VEHICLE,
    InfractionKind.COLLISION_LAYOUT,
    InfractionKind.RED_LIGHT,
    InfractionKind.STOP_SIGN,
)


@dataclass(frozen=True)
class BenchmarkScores:
    """Figures of one planner on one benchmark."""

    num_routes: int
    num_seeds: int
    driven_km: float
    driving_score: Interval  # [0, 100]
    route_completion: Interval  # [0, 100]
    infraction_score: Interval  # [0, 1]
    infractions_per_km: Interval  # collisions, red lights and stop signs together
    per_km: dict[InfractionKind, Interval]  # COUNTED_KINDS, ends of routes, scenario timeouts
    outside_lanes_percent: Interval  # of the driven distance
    slowness_percent: Interval  # shortfall on the traffic's mean speed, by CaRL's result parser
    normalised_score: Interval  # [0, 100], with infractions per kilometre instead of per route
    mean_speed_kmh: Interval  # over time


def as_grid(results: Sequence[EpisodeResult]) -> list[list[EpisodeResult]]:
    """Results as routes x seeds, both sorted.

    Raises:
        ValueError: an episode is missing or there twice.
    """
    by_key = {(result.route_id, result.seed): result for result in results}
    routes = sorted({result.route_id for result in results}, key=natural_key)
    seeds = sorted({result.seed for result in results})
    missing = [(r, s) for r in routes for s in seeds if (r, s) not in by_key]
    if not results or missing or len(by_key) != len(results):
        raise ValueError(
            f"found {len(results)} episodes of {len(routes)} routes and {len(seeds)} seeds, "
            f"expected each pair once; missing: {missing[:5]}"
        )
    return [[by_key[route, seed] for seed in seeds] for route in routes]


def natural_key(route_id: str) -> tuple[int, str]:
    """Sorts "9" before "10"."""
    return len(route_id), route_id


def benchmark_scores(results: Sequence[EpisodeResult]) -> BenchmarkScores:
    """Aggregate a complete set of episodes."""
    grid = as_grid(results)

    def column(of: Callable[[EpisodeResult], float]) -> FloatArray:
        return np.array([[of(result) for result in row] for row in grid])

    driven_km = column(lambda result: result.driven_km)
    duration_s = column(lambda result: result.duration_s)
    kinds = (*COUNTED_KINDS, *ROUTE_ENDS, InfractionKind.SCENARIO_TIMEOUT)
    counts = {kind: column(lambda r, kind=kind: r.count(kind)) for kind in kinds}
    return BenchmarkScores(
        num_routes=len(grid),
        num_seeds=len(grid[0]),
        driven_km=float(driven_km.sum()),
        driving_score=mean_interval(column(lambda result: result.driving_score)),
        route_completion=mean_interval(column(lambda result: result.route_completion)),
        infraction_score=mean_interval(column(lambda result: result.infraction_score)),
        infractions_per_km=ratio_interval(
            np.sum([counts[kind] for kind in COUNTED_KINDS], axis=0), driven_km
        ),
        per_km={kind: ratio_interval(count, driven_km) for kind, count in counts.items()},
        outside_lanes_percent=ratio_interval(
            column(lambda result: result.outside_lanes_m / 10.0), driven_km
        ),
        slowness_percent=mean_interval(column(slowness_percent)),
        normalised_score=mean_interval(column(normalised_score)),
        mean_speed_kmh=ratio_interval(
            column(lambda result: 3.6 * result.mean_speed_mps * result.duration_s), duration_s
        ),
    )
