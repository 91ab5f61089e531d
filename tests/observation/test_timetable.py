"""When the ego could be where on its route, worked by hand on a straight and a quarter circle."""

import math

import numpy as np
import pytest

from sim_adapters.observation.route_window import (
    CORNERING_MPS2,
    FULL_THROTTLE_MPS2,
    EgoRoute,
    Timetable,
    brisk_s,
    fill_timetable,
)

STRAIGHT_M, RADIUS_M = 20, 6.0
ARC_M = 0.5 * math.pi * RADIUS_M


def _timetable(speed_mps: float, *, turns: bool) -> Timetable:
    """Of an ego at the beginning of 20 m straight on, a left turn of 90 degrees, and 20 m more."""
    s_m = np.arange(50.0)
    turned = np.clip((s_m - STRAIGHT_M) / RADIUS_M, 0.0, 0.5 * math.pi)
    yaw = turned if turns else np.zeros(50)
    window = np.stack([np.zeros(50), np.zeros(50), s_m, yaw], axis=1)  # only s and yaw are read
    table = Timetable(*np.zeros((len(Timetable._fields), 50)))
    fill_timetable(EgoRoute(window, 50, table, 0.0, 0.0, 0), speed_mps)
    return table


@pytest.mark.parametrize("speed_mps", [0.0, 5.0, 25.0])
def test_straight_on_full_throttle_is_all_there_is(speed_mps: float) -> None:
    table = _timetable(speed_mps, turns=False)
    # Above 20 m/s full throttle means to brake down to it here, and to keep the speed there
    wanted = [brisk_s(float(row), min(speed_mps, 20.0)) for row in range(50)]
    np.testing.assert_allclose(table.brisk_s, wanted, atol=1e-3 if speed_mps < 20.0 else 0.3)
    np.testing.assert_allclose(table.now_s, np.arange(50.0) / max(speed_mps, 0.5))


def test_a_turn_is_driven_no_faster_than_its_radius_allows() -> None:
    table = _timetable(0.0, turns=True)
    corner_mps = math.sqrt(CORNERING_MPS2 * RADIUS_M)
    inside = slice(STRAIGHT_M + 3, STRAIGHT_M + 7)
    np.testing.assert_allclose(1.0 / np.diff(table.brisk_s[inside]), corner_mps, rtol=0.05)
    # From rest up to the speed from which braking as hard leads to the corner's speed at its start
    top_mps = math.sqrt((2.0 * FULL_THROTTLE_MPS2 * STRAIGHT_M + corner_mps**2) / 2.0)
    arrives_s = (2.0 * top_mps - corner_mps) / FULL_THROTTLE_MPS2
    assert table.brisk_s[STRAIGHT_M] == pytest.approx(arrives_s, abs=0.15)
    after_s = brisk_s(10.0, corner_mps)
    left = STRAIGHT_M + round(ARC_M)
    assert table.brisk_s[left + 10] - table.brisk_s[left] == pytest.approx(after_s, abs=0.15)


def test_who_is_too_fast_for_the_turn_brakes_as_hard_as_it_can() -> None:
    table = _timetable(18.0, turns=True)
    brake_mps2, row = 6.0, STRAIGHT_M + 2
    slowed_mps = math.sqrt(18.0**2 - 2.0 * brake_mps2 * row)  # still 7.7 m/s where 6 are allowed
    assert slowed_mps > 6.0
    assert table.brisk_s[row] == pytest.approx((18.0 - slowed_mps) / brake_mps2, abs=0.05)
