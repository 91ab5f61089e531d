"""Longitudinal behaviour: recorded figures, and monotone in throttle, brake and speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_adapters.world.ego_speed import (
    SUBSTEP_S,
    fitted_next_speed_kmh,
    full_brake_acceleration_mps2,
    next_speed_mps,
    throttle_acceleration_mps2,
)

SPEEDS = st.floats(0.0, 60.0)
PEDALS = st.floats(0.0, 1.0)


def _seconds_to_kmh(throttle: float, target_kmh: float, *, start_kmh: float) -> float:
    speed, steps = start_kmh / 3.6, 0
    while speed * 3.6 < target_kmh:
        speed = next_speed_mps(speed, throttle, 0.0, SUBSTEP_S)
        steps += 1
    return steps * SUBSTEP_S


# Recorded CARLA drives, from the release (a settling roll of about 5 km/h): spec, section 6
@pytest.mark.parametrize(
    ("throttle", "target_kmh", "recorded_s"),
    [(1.0, 60, 2.8), (1.0, 100, 7.55), (0.9, 60, 3.5), (0.8, 60, 4.5), (0.7, 60, 6.25)],
)
def test_acceleration_times_match_recorded_drives(
    throttle: float, target_kmh: float, recorded_s: float
) -> None:
    seconds = _seconds_to_kmh(throttle, target_kmh, start_kmh=5.0)
    assert seconds == pytest.approx(recorded_s, rel=0.15)


@pytest.mark.parametrize(("start_kmh", "recorded_s"), [(120.0, 3.95), (100.0, 3.35), (80.0, 2.45)])
def test_full_brake_stops_in_the_recorded_time(start_kmh: float, recorded_s: float) -> None:
    speed, distance, steps = start_kmh / 3.6, 0.0, 0
    while speed >= 0.5:
        distance += speed * SUBSTEP_S
        speed = next_speed_mps(speed, 0.0, 1.0, SUBSTEP_S)
        steps += 1
    assert steps * SUBSTEP_S == pytest.approx(recorded_s, rel=0.1)
    # Between constant decelerations of 7 and 9.5 m/s^2: v^2 / 2a
    assert (start_kmh / 3.6) ** 2 / 19.0 < distance < (start_kmh / 3.6) ** 2 / 14.0


def test_fit_is_kept_where_it_has_data() -> None:
    speeds = np.linspace(0.0, 110.0, 111)
    for throttle in (0.8, 0.9, 1.0):
        fitted = fitted_next_speed_kmh(speeds, np.array(throttle))
        ours = [3.6 * next_speed_mps(v / 3.6, throttle, 0.0, SUBSTEP_S) for v in speeds]
        np.testing.assert_allclose(ours, fitted, atol=0.02)


@given(SPEEDS, PEDALS, PEDALS)
def test_more_throttle_is_never_slower(speed: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    slow = next_speed_mps(speed, less, 0.0, SUBSTEP_S)
    assert next_speed_mps(speed, more, 0.0, SUBSTEP_S) >= slow - 1e-12


@given(SPEEDS, PEDALS, PEDALS)
def test_more_brake_is_never_faster(speed: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    fast = next_speed_mps(speed, 0.0, less, SUBSTEP_S)
    assert next_speed_mps(speed, 0.0, more, SUBSTEP_S) <= fast + 1e-12


@given(SPEEDS, SPEEDS, PEDALS, PEDALS)
def test_the_faster_car_stays_the_faster(
    one: float, other: float, throttle: float, brake: float
) -> None:
    slow, fast = sorted((one, other))
    after_slow = next_speed_mps(slow, throttle, brake, SUBSTEP_S)
    assert next_speed_mps(fast, throttle, brake, SUBSTEP_S) >= after_slow - 1e-9


@given(st.floats(0.01, 1.0))
def test_any_throttle_starts_a_standing_car(throttle: float) -> None:
    speed = 0.0
    for _ in range(10):
        speed = next_speed_mps(speed, throttle, 0.0, SUBSTEP_S)
    assert speed > 0.0


@given(SPEEDS, PEDALS)
def test_acceleration_has_no_jumps(speed: float, throttle: float) -> None:
    here = throttle_acceleration_mps2(speed, throttle)
    assert throttle_acceleration_mps2(speed + 1e-6, throttle) == pytest.approx(here, abs=1e-4)
    assert throttle_acceleration_mps2(speed, throttle + 1e-6) == pytest.approx(here, abs=1e-4)


def test_coasting_car_comes_to_rest_and_stays() -> None:
    speed = 30.0 / 3.6
    for _ in range(round(60.0 / SUBSTEP_S)):
        speed = next_speed_mps(speed, 0.0, 0.0, SUBSTEP_S)
    assert speed == 0.0


@pytest.mark.kernel
def test_speed_kernels_equal_their_python_selves() -> None:
    for speed in (0.0, 0.3, 7.0, 25.0, 50.0):
        for pedal in (0.0, 0.2, 0.55, 1.0):
            assert throttle_acceleration_mps2(speed, pedal) == pytest.approx(
                throttle_acceleration_mps2.py_func(speed, pedal), abs=1e-12
            )
            assert next_speed_mps(speed, 0.0, pedal, SUBSTEP_S) == pytest.approx(
                next_speed_mps.py_func(speed, 0.0, pedal, SUBSTEP_S), abs=1e-12
            )
        assert full_brake_acceleration_mps2(speed) == pytest.approx(
            full_brake_acceleration_mps2.py_func(speed), abs=1e-12
        )
