"""Bootstrap intervals over routes and, within a route, over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
