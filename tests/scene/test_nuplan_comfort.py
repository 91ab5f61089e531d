"""nuPlan's comfort checks: filters equal scipy's, checks equal the devkit's definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter

from sim_adapters.array_types import FloatArray
from sim_adapters.scene.nuplan_events.memory import filter_weights, filtered
from tests.scene.nuplan_drive import NuplanDrive

STEP_S = 0.1
LEVER_M = 1.461


@pytest.mark.parametrize(("degree", "derivative", "longest"), [(2, 0, 8), (2, 1, 15), (3, 2, 5)])
@pytest.mark.parametrize("num_samples", [4, 5, 7, 8, 9, 14, 15, 16, 40])
def test_filters_equal_scipys(degree: int, derivative: int, longest: int, num_samples: int):
    series = np.random.default_rng(num_samples).normal(size=num_samples)
    window = min(longest, num_samples)
    weights = filter_weights(degree, derivative, longest)
    found = [filtered(series, num_samples, i, window, weights) for i in range(num_samples)]
    expected = np.asarray(savgol_filter(series, window, degree, deriv=derivative))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def derivative(series: FloatArray, window: int, degree: int, order: int) -> FloatArray:
    size = min(window, len(series))
    filtered_series = savgol_filter(series, size, degree, deriv=order, delta=STEP_S)
    return np.round(np.asarray(filtered_series), 8)


def smooth(series: FloatArray) -> FloatArray:
    return np.round(np.asarray(savgol_filter(series, min(8, len(series)), 2)), 8)


def failed_checks(states: FloatArray) -> int:
    """The devkit's six checks of states (T, 5): ax, ay, yaw, yaw rate, yaw acceleration."""
    ax, ay, yaw, rate, acceleration = states.T
    longitudinal = smooth(ax + LEVER_M * (rate**2 + acceleration))
    magnitude = smooth(np.hypot(ax, ay))
    unwrapped = np.unwrap(yaw)
    passed = [
        ((longitudinal > -4.05) & (longitudinal < 2.40)).all(),
        (np.abs(smooth(ay)) < 4.89).all(),
        (np.abs(derivative(magnitude, 15, 2, 1)) < 8.37).all(),
        (np.abs(derivative(longitudinal, 15, 2, 1)) < 4.13).all(),
        (np.abs(derivative(unwrapped, 5, 3, 2)) < 1.93).all(),
        (np.abs(derivative(unwrapped, 5, 2, 1)) < 0.95).all(),
    ]
    return 6 - int(np.sum(passed))


def wild_states(seed: int, num_states: int, wildness: float) -> FloatArray:
    """A drive that passes some checks at times and fails others, through a full turn of yaw."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(num_states, 5)).cumsum(0) * wildness
    yaw = np.pi - 0.2 + np.cumsum(0.03 + 0.02 * rng.normal(size=num_states) * wildness)
    noise[:, 2] = (yaw + np.pi) % (2.0 * np.pi) - np.pi
    noise[:, 3:] *= 0.3
    return noise


@pytest.mark.parametrize("wildness", [0.05, 0.3, 1.0])
def test_checks_look_at_all_states_of_the_episode_after_every_step(wildness: float):
    states = wild_states(1, 60, wildness)
    drive = NuplanDrive()

    def place(k: int) -> None:
        ax, ay, yaw, rate, acceleration = states[k]
        drive.place(60.0, yaw=yaw, ax_mps2=ax, ay_mps2=ay, yaw_rate_radps=rate)
        drive.scene.body.yaw_acceleration_radps2[0] = acceleration

    place(0)
    drive.restart()
    found, expected = [], []
    for k in range(1, len(states)):
        place(k)
        found.append(drive.fact("num_comfort_active"))
        expected.append(failed_checks(states[: k + 1]) if k >= 3 else 0)
    assert found == expected


def test_a_hard_start_fails_one_check_and_a_gentle_one_none():
    for acceleration, failed in ((1.0, 0), (2.41, 1)):
        drive = NuplanDrive()
        drive.place(60.0, ax_mps2=acceleration)
        drive.restart()
        counts = [drive.fact("num_comfort_active") for _ in range(10)]
        # Constant acceleration has no jerk; with fewer than four states all checks pass
        assert counts == [0, 0] + [failed] * 8
