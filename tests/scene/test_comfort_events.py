"""Comfort metrics against scipy's own filter, and their penalty windows."""

import math

import numpy as np
import pytest
from scipy.signal import savgol_filter

from sim_adapters.scene.events.comfort_filters import comfort_weights, last_filtered
from sim_adapters.scene.events.settings import ComfortSettings, DetectorSettings
from tests.scene.hand_made_map import start_drive


@pytest.mark.parametrize("n", range(8, 16))
def test_the_weights_give_scipys_last_filtered_sample(n):
    weights, rng = comfort_weights(), np.random.default_rng(n)
    history = rng.normal(size=(1, 15))
    seen = history[0, :n]
    smooth = savgol_filter(seen, 8, 2)
    expected = {
        "smooth": smooth[-1],
        "jerk": savgol_filter(smooth, min(15, n), 2, deriv=1, delta=0.1)[-1] * 0.1,
        "yaw_rate": savgol_filter(seen, 5, 2, deriv=1, delta=0.1)[-1] * 0.1,
        "yaw_acceleration": savgol_filter(seen, 5, 3, deriv=2, delta=0.1)[-1] * 0.01,
    }
    for name, value in expected.items():
        assert last_filtered(getattr(weights, name), history, 0, n) == pytest.approx(value), name


def active_metrics(samples, yaws=None):
    """Metrics whose window is open after steps with (longitudinal, left) accelerations."""
    drive = start_drive(x=50.0)
    yaws = np.zeros(len(samples)) if yaws is None else yaws
    for (ahead, left), yaw in zip(samples, yaws, strict=True):
        motion = drive.scene.motion
        motion.ax_mps2[0, 0] = math.cos(yaw) * ahead - math.sin(yaw) * left
        motion.ay_mps2[0, 0] = math.sin(yaw) * ahead + math.cos(yaw) * left
        events = drive.step(50.0, yaw=yaw)
    active = np.flatnonzero(drive.memory.counters.comfort_ticks_left[0])
    assert events.num_comfort_active.item() == len(active)
    return active.tolist()


@pytest.mark.parametrize(
    ("ahead", "left", "metrics"),
    [
        (9.9, 0.0, []),
        (10.1, 0.0, [0]),
        (-19.9, 0.0, []),
        (-20.1, 0.0, [0]),
        (0.0, 8.9, []),
        (0.0, 9.1, [1]),
        (0.0, -9.1, [1]),
    ],
)
def test_steady_accelerations_break_their_limits(ahead, left, metrics):
    assert active_metrics([(ahead, left)] * 12) == metrics


def test_seven_samples_are_too_few():
    assert active_metrics([(30.0, 0.0)] * 7) == []
    assert active_metrics([(30.0, 0.0)] * 8) == [0]


@pytest.mark.parametrize(("jerk", "metrics"), [(9.9, []), (10.1, [2, 3])])
def test_jerk_is_the_slope_of_the_acceleration(jerk, metrics):
    # Limits scaled to a third, so that eight samples of a ramp stay below the acceleration's limit
    limits = ComfortSettings(max_jerk_mps3=10.0, max_longitudinal_jerk_mps3=10.0)
    drive = start_drive(x=50.0, settings=DetectorSettings(comfort=limits))
    for i in range(9):
        drive.scene.motion.ax_mps2[0, 0] = 0.1 * i * jerk
        drive.step(50.0)
    assert np.flatnonzero(drive.memory.counters.comfort_ticks_left[0]).tolist() == metrics


@pytest.mark.parametrize(("rate", "metrics"), [(0.99, []), (1.01, [4]), (-1.01, [4])])
def test_yaw_rate_is_the_slope_of_the_yaw_even_across_half_a_turn(rate, metrics):
    yaws = np.pi - 0.5 * rate + 0.1 * rate * np.arange(12)
    wrapped = np.arctan2(np.sin(yaws), np.cos(yaws))
    assert active_metrics([(0.0, 0.0)] * 12, wrapped) == metrics


@pytest.mark.parametrize(("acceleration", "metrics"), [(2.9, []), (3.1, [5])])
def test_yaw_acceleration_is_the_curvature_of_the_yaw(acceleration, metrics):
    time = 0.1 * np.arange(8) - 0.7  # the yaw rate ends at zero
    assert active_metrics([(0.0, 0.0)] * 8, 0.5 * acceleration * time**2) == metrics


def test_a_comfort_window_stays_open_for_500_ticks_after_the_last_violation():
    drive = start_drive(x=50.0)
    drive.memory.counters.comfort_ticks_left[0, 2] = 500
    active = [drive.step(50.0).num_comfort_active.item() for _ in range(501)]
    assert active == [1] * 499 + [0] * 2


def test_a_new_episode_starts_with_an_empty_history():
    drive = start_drive(x=50.0)
    drive.scene.motion.ax_mps2[0, 0] = 30.0
    for _ in range(9):
        drive.step(50.0)
    drive.restart()
    assert drive.step(50.0).num_comfort_active.item() == 0
    assert drive.memory.rings.num_samples[0] == 1


@pytest.mark.kernel
def test_last_filtered_equals_its_plain_python_self():
    weights, history = comfort_weights(), np.random.default_rng(1).normal(size=(2, 15))
    for n in (8, 11, 15):
        plain = last_filtered.py_func(weights.jerk, history, 1, n)
        assert last_filtered(weights.jerk, history, 1, n) == pytest.approx(plain, rel=1e-12)
