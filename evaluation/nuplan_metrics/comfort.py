"""Comfort: six smoothed signals stay within their bounds at every sample.

Accelerations are those of the box centre, as the devkit shifts them: the yaw terms go to the
longitudinal part. They are smoothed by a Savitzky-Golay filter (order 2, window 8) and
differentiated by another (window 15); the yaw comes straight from the poses (window 5).
Source: nuPlan devkit, `ego_is_comfortable.py`, `utils/state_extractors.py`; bounds from its
configuration.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.traces import EgoTrace

FloatArray = NDArray[np.float64]

_SMOOTHING_WINDOW = 8
_JERK_WINDOW = 15
_YAW_WINDOW = 5
_DECIMALS = 8
LEAST_SAMPLES = 4  # the yaw acceleration fits a cubic


class ComfortSignals(NamedTuple):
    """Smoothed signals of T samples, (T,)."""

    lon_acceleration_mps2: FloatArray
    lat_acceleration_mps2: FloatArray
    jerk_mps3: FloatArray  # of the acceleration's magnitude
    lon_jerk_mps3: FloatArray
    yaw_acceleration_radps2: FloatArray
    yaw_rate_radps: FloatArray


LOWEST = ComfortSignals(-4.05, -4.89, -8.37, -4.13, -1.93, -0.95)  # type: ignore[arg-type]
HIGHEST = ComfortSignals(2.40, 4.89, 8.37, 4.13, 1.93, 0.95)  # type: ignore[arg-type]


def comfort_signals(ego: EgoTrace, row: int) -> ComfortSignals:
    """Signals of one scenario of a batch.

    Raises:
        ValueError: fewer samples than LEAST_SAMPLES, or times that do not increase.
    """
    samples = slice(int(ego.num_samples[row]))
    steps_s = np.diff(ego.time_us[row, samples] / 1e6)
    if len(steps_s) + 1 < LEAST_SAMPLES or not np.all(steps_s > 0.0):
        raise ValueError(
            f"comfort needs {LEAST_SAMPLES} samples at increasing times, got {len(steps_s) + 1}"
        )
    step_s = float(steps_s.mean())
    yaw_rate = ego.yaw_rate_radps[row, samples]
    shift = REAR_AXLE_TO_CENTRE_M * (yaw_rate**2 + ego.yaw_acceleration_radps2[row, samples])
    ax, ay = ego.motion[row, samples, 2], ego.motion[row, samples, 3]
    accelerations = _smooth(np.stack([ax + shift, ay, np.hypot(ax, ay)]))
    jerks = _derivative(accelerations[[2, 0]], step_s, _JERK_WINDOW, order=2, derivative=1)
    yaw = _unwrap(ego.yaw_rad[row, samples])
    return ComfortSignals(
        accelerations[0],
        accelerations[1],
        jerks[0],
        jerks[1],
        _derivative(yaw, step_s, _YAW_WINDOW, order=3, derivative=2),
        _derivative(yaw, step_s, _YAW_WINDOW, order=2, derivative=1),
    )


def comfort_score(signals: ComfortSignals) -> float:
    """1 if every signal is strictly within its bounds at every sample, else 0."""
    return float(
        all(
            np.all((signal > low) & (signal < high))
            for signal, low, high in zip(signals, LOWEST, HIGHEST, strict=True)
        )
    )


def _smooth(signals: FloatArray) -> FloatArray:
    window = min(_SMOOTHING_WINDOW, signals.shape[-1])
    return np.round(np.asarray(savgol_filter(signals, window, 2), np.float64), _DECIMALS)


def _derivative(
    signals: FloatArray, step_s: float, window: int, *, order: int, derivative: int
) -> FloatArray:
    window = min(window, signals.shape[-1])
    rates = savgol_filter(signals, window, order, derivative, step_s)
    return np.round(np.asarray(rates, np.float64), _DECIMALS)


def _unwrap(yaw_rad: FloatArray) -> FloatArray:
    """The same directions without jumps of a whole turn between samples."""
    turns = np.cumsum(np.round(np.diff(yaw_rad) / (2.0 * np.pi)))
    return yaw_rad - 2.0 * np.pi * np.concatenate([[0.0], turns])
