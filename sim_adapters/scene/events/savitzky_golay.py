"""Savitzky-Golay filters over whole series, sample by sample, with scipy's ends.

scipy fits one polynomial to each end of the series (mode "interp") and slides a window in between.
Both are dot products with fixed weights, taken from scipy itself. An even window, as nuPlan's
comfort metrics use, is shifted by half a sample: sample i is the fit at i + 1/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from sim_adapters.kernels import device_function

FloatArray = NDArray[np.float64]


class FilterWeights(NamedTuple):
    """Weights of one filter by window length w up to W; rows and columns beyond w are zero."""

    start: FloatArray  # (W + 1, W // 2, W) of the first w samples, for the first w // 2 results
    middle: FloatArray  # (W + 1, W) of the w samples around a result
    end: FloatArray  # (W + 1, W // 2, W) of the last w samples, for the last w // 2 results


def filter_weights(degree: int, derivative: int, longest: int) -> FilterWeights:
    """Weights for all windows from degree + 1 to `longest` samples; derivatives are per sample."""
    half = longest // 2
    weights = FilterWeights(
        np.zeros((longest + 1, half, longest)),
        np.zeros((longest + 1, longest)),
        np.zeros((longest + 1, half, longest)),
    )
    for window in range(degree + 1, longest + 1):
        ends = savgol_filter(np.eye(window), window, degree, deriv=derivative, axis=0)
        side = window // 2
        weights.start[window, :side, :window] = ends[:side]
        weights.end[window, :side, :window] = ends[window - side :]
        long = savgol_filter(np.eye(3 * window), window, degree, deriv=derivative, axis=0)
        centre = window + side
        first = centre - samples_before(window)
        weights.middle[window, :window] = long[centre, first : first + window]
    return weights


@device_function
def samples_before(window: int) -> int:
    """How many samples before its own a result in the middle uses."""
    return (window - 1) // 2


@device_function
def filtered(
    series: FloatArray, num_samples: int, i: int, window: int, weights: FilterWeights
) -> float:
    """Result `i` of filtering the first `num_samples` of a series, at least `window` of them."""
    side, total = window // 2, 0.0
    if i < side:
        for k in range(window):
            total += weights.start[window, i, k] * series[k]
    elif i >= num_samples - side:
        row, first = i - num_samples + side, num_samples - window
        for k in range(window):
            total += weights.end[window, row, k] * series[first + k]
    else:
        first = i - samples_before(window)
        for k in range(window):
            total += weights.middle[window, k] * series[first + k]
    return total
