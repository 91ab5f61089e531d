"""BenchmarkScores: the figures of a whole benchmark with their intervals.

Driving score = mean over episodes of route completion x infraction score (leaderboard 2.0).
Infractions are counted per driven kilometre of all episodes together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.scoring.episode_result import (
    FIXED_PENALTIES,
    NUM_CHECKPOINTS,
    ROUTE_ENDS,
    EpisodeResult,
    InfractionKind,
    penalty_factor,
    shortfall_percent,
)
from sim_adapters.array_types import FloatArray

# The length-normalised driving score of CaRL's result parser.
#
# A driving score multiplies a penalty for every infraction, so long routes score low however well
# they are driven. Here each penalty's exponent is the number of infractions per driven kilometre.
# Penalties are five times as strong; those for slow driving and foreign lanes, which are shares of
# a route already, stay as they are.

STRENGTH = 0.2  # factor on the leaderboard's penalties


def normalised_score(result: EpisodeResult) -> float:
    """Route completion times the normalised infraction score, in [0, 100]."""
    if result.driven_km <= 0.0:
        return 0.0
    score = result.route_completion
    for infraction in result.infractions:
        if infraction.kind in FIXED_PENALTIES:
            score *= (STRENGTH * FIXED_PENALTIES[infraction.kind]) ** (1.0 / result.driven_km)
        else:
            score *= penalty_factor(infraction)
    return score


def slowness_percent(result: EpisodeResult) -> float:
    """Shortfall on the traffic's mean speed [%], averaged over the route's quarters."""
    return sum(map(shortfall_percent, result.infractions)) / NUM_CHECKPOINTS


# Bootstrap intervals over routes and, within a route, over seeds.


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % percentile-bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def resample_weights(
    num_routes: int, num_seeds: int, num_resamples: int, random_seed: int
) -> FloatArray:
    """How often each (route, seed) is drawn in each resample, (resamples, routes, seeds).

    Two-stage bootstrap: routes are drawn with replacement, then seeds with replacement within
    every drawn route, because episodes of one route are not independent of each other.
    """
    generator = np.random.default_rng(random_seed)
    uniform_routes = np.full(num_routes, 1.0 / num_routes)
    uniform_seeds = np.full(num_seeds, 1.0 / num_seeds)
    draws = generator.multinomial(num_routes, uniform_routes, size=num_resamples)
    return generator.multinomial(draws * num_seeds, uniform_seeds).astype(np.float64)


def ratio_interval(
    numerator: FloatArray,
    denominator: FloatArray,
    *,
    num_resamples: int = 4000,
    random_seed: int = 0,
) -> Interval:
    """Interval of sum(numerator) / sum(denominator); a denominator of ones gives the mean.

    Args:
        numerator: (routes, seeds).
        denominator: (routes, seeds), >= 0, e.g. driven kilometres.
        num_resamples: Bootstrap resamples.
        random_seed: Equal seeds give equal intervals.

    Returns:
        NaN where nothing was driven.
    """
    num_routes, num_seeds = numerator.shape
    weights = resample_weights(num_routes, num_seeds, num_resamples, random_seed)
    tops = np.tensordot(weights, numerator, axes=2)
    bottoms = np.tensordot(weights, denominator, axes=2)
    total = float(denominator.sum())
    usable = bottoms > 0.0
    if total <= 0.0 or not usable.any():
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.percentile(tops[usable] / bottoms[usable], [2.5, 97.5])
    return Interval(float(numerator.sum()) / total, float(low), float(high))


def ratio_difference_interval(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    *,
    num_resamples: int = 4000,
    random_seed: int = 0,
) -> Interval:
    """Interval of the second ratio of sums minus the first, over the same routes.

    Args:
        first: Numerator and denominator, (routes, seeds) each.
        second: Of the same routes and seeds: a resample draws both alike.
        num_resamples: Bootstrap resamples.
        random_seed: Equal seeds give equal intervals.

    Returns:
        NaN where one of the two has nothing in its denominator.
    """
    num_routes, num_seeds = first[0].shape
    weights = resample_weights(num_routes, num_seeds, num_resamples, random_seed)
    columns = np.stack([*first, *second])  # (4, routes, seeds)
    sums, totals = np.einsum("nrs,krs->kn", weights, columns), columns.sum(axis=(1, 2))
    usable = (sums[1] > 0.0) & (sums[3] > 0.0)
    if min(totals[1], totals[3]) <= 0.0 or not usable.any():
        return Interval(np.nan, np.nan, np.nan)
    sums = sums[:, usable]
    low, high = np.percentile(sums[2] / sums[3] - sums[0] / sums[1], [2.5, 97.5])
    value = totals[2] / totals[3] - totals[0] / totals[1]
    return Interval(float(value), float(low), float(high))


def mean_interval(values: FloatArray, *, random_seed: int = 0) -> Interval:
    """Interval of the mean of (routes, seeds) values."""
    return ratio_interval(values, np.ones_like(values), random_seed=random_seed)


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
