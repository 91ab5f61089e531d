"""The car-following law, checked against its equation by hand."""

import math

import pytest

from sim_adapters.world.idm import idm_acceleration, safe_speed_mps

LAW = (2.0, 2.0, 1.5, 2.0)  # a, b [m/s2], headway [s], gap [m]


def test_free_road_accelerates_fully_from_rest_and_not_at_the_desired_speed() -> None:
    assert idm_acceleration(0.0, 10.0, math.inf, 0.0, *LAW) == 2.0
    assert idm_acceleration(10.0, 10.0, math.inf, 0.0, *LAW) == 0.0


def test_law_by_hand() -> None:
    # v 5, v0 10, gap 20, leader 3: s* = 2 + 7.5 + 5 * 2 / (2 * 2) = 12; 1 - 1/16 - (12/20)^2
    expected = 2.0 * (1.0 - 0.0625 - 0.36)
    assert idm_acceleration(5.0, 10.0, 20.0, 3.0, *LAW) == pytest.approx(expected)


def test_gap_below_the_minimum_counts_as_the_minimum() -> None:
    assert idm_acceleration(0.0, 10.0, 0.5, 0.0, *LAW) == idm_acceleration(
        0.0, 10.0, 2.0, 0.0, *LAW
    )


def test_a_fast_leader_does_not_brake_its_follower() -> None:
    # v T + v dv / (2 sqrt(ab)) = 7.5 - 5 * 45 / 4 is negative: only the minimum gap counts
    expected = 2.0 * (1.0 - 0.0625 - (2.0 / 20.0) ** 2)
    assert idm_acceleration(5.0, 10.0, 20.0, 50.0, *LAW) == pytest.approx(expected)


def test_safe_speed_stops_exactly_at_a_standing_leader() -> None:
    braking, dt, gap = 8.0, 0.1, 30.0
    speed = safe_speed_mps(gap, 0.0, braking, dt)
    assert speed * dt + speed * speed / (2.0 * braking) == pytest.approx(gap)


def test_safe_speed_is_zero_without_a_gap() -> None:
    assert safe_speed_mps(-1.0, 0.0, 8.0, 0.1) == 0.0


@pytest.mark.kernel
def test_compiled_laws_equal_plain_python() -> None:
    arguments = (7.0, 12.0, 9.0, 4.0, *LAW)
    assert idm_acceleration(*arguments) == idm_acceleration.py_func(*arguments)
    assert safe_speed_mps(9.0, 4.0, 8.0, 0.1) == safe_speed_mps.py_func(9.0, 4.0, 8.0, 0.1)
