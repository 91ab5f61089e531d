"""Savitzky-Golay filters of a short history, evaluated at its last sample.

All filters are linear, so the last filtered value is a dot product of the history with weights
that depend on its length only. They are found once by filtering unit histories with scipy.
Source: nuPlan's comfort metrics, with CaRL's windows for 10 Hz histories of 8 to 15 samples.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.memory import RING_SAMPLES

_SMOOTH_WINDOW = 8
_YAW_WINDOW = 5


class ComfortWeights(NamedTuple):
    """Weights by history length, (RING_SAMPLES + 1, RING_SAMPLES); derivatives are per sample.

    Row n serves histories of n samples; rows below the longest window hold zeros.
    """

    smooth: NDArray[np.float64]  # acceleration, window 8, degree 2
    jerk: NDArray[np.float64]  # derivative of the smoothed acceleration, window min(15, n)
    yaw_rate: NDArray[np.float64]  # window 5, degree 2
    yaw_acceleration: NDArray[np.float64]  # window 5, degree 3


@cache
def comfort_weights() -> ComfortWeights:
    """The weights for all history lengths."""
    tables = ComfortWeights(*(np.zeros((RING_SAMPLES + 1, RING_SAMPLES)) for _ in range(4)))
    for n in range(_SMOOTH_WINDOW, RING_SAMPLES + 1):
        unit = np.eye(n)
        smoothed = savgol_filter(unit, _SMOOTH_WINDOW, 2, axis=0)
        tables.smooth[n, :n] = smoothed[-1]
        tables.jerk[n, :n] = savgol_filter(smoothed, min(15, n), 2, deriv=1, axis=0)[-1]
        tables.yaw_rate[n, :n] = savgol_filter(unit, _YAW_WINDOW, 2, deriv=1, axis=0)[-1]
        tables.yaw_acceleration[n, :n] = savgol_filter(unit, _YAW_WINDOW, 3, deriv=2, axis=0)[-1]
    return tables


@inlined_function
def last_filtered(
    weights: NDArray[np.float64], history: NDArray[np.float64], agent: int, num_samples: int
) -> float:
    """Filtered last value of `history[agent, :num_samples]`."""
    total = 0.0
    for i in range(num_samples):
        total += weights[num_samples, i] * history[agent, i]
    return total
