"""Progress and the in-route tests, on a straight route of 200 m: one metre is 0.5 percent."""

import numpy as np
import pytest

from tests.scene.hand_made_map import EAST_Y, start_drive


def test_one_metre_of_a_200_m_route_is_half_a_percent():
    drive = start_drive(x=10.0)
    assert drive.step(11.01).route_percent_gained.item() == pytest.approx(0.5)
    assert drive.step(11.5).route_percent_gained.item() == 0.0
    events = drive.step(12.2)
    assert events.route_percent_gained.item() == pytest.approx(0.5)
    assert events.route_percent.item() == pytest.approx(1.0)


def test_at_most_two_route_points_are_passed_in_a_step():
    drive = start_drive(x=10.0)
    assert drive.step(15.5).route_percent_gained.item() == pytest.approx(1.0)
    assert drive.step(15.5).route_percent_gained.item() == pytest.approx(1.0)
    assert drive.step(15.5).route_percent_gained.item() == pytest.approx(0.5)
    assert drive.step(15.5).route_percent_gained.item() == 0.0


def test_progress_is_rounded_to_two_decimals_and_never_taken_back():
    drive = start_drive(x=10.0)
    drive.scene.routes.percent[0] = np.arange(201) / 3.0
    assert drive.step(11.1).route_percent_gained.item() == pytest.approx(0.33)
    assert drive.step(12.1).route_percent_gained.item() == pytest.approx(0.34)
    assert drive.step(10.5).route_percent_gained.item() == 0.0


def test_the_route_is_finished_once_its_last_point_is_passed():
    drive = start_drive()
    drive.memory.route.index[0] = 199
    assert not drive.step(209.9).route_finished.item()
    events = drive.step(210.1)
    assert events.route_finished.item()
    assert events.route_percent.item() == 100.0


def test_thirty_metres_beside_the_route_are_off_route():
    drive = start_drive(x=50.0)
    drive.memory.route.deviation_index[0] = 40
    assert not drive.step(50.0, EAST_Y + 29.9).off_route.item()
    assert drive.step(50.0, EAST_Y - 30.0).off_route.item()


def test_thirty_percent_of_the_route_beside_it_are_off_route():
    drive = start_drive(x=10.0)
    metres = next(m for m in range(200) if drive.step(10.0 + m, EAST_Y + 20.0).off_route.item())
    # 60 points are exactly 30 percent, and one more is too much
    assert metres == 61
    drive.restart()
    near = [drive.step(10.0 + m, EAST_Y + 14.9).off_route.item() for m in range(120)]
    assert not any(near)


def test_offset_and_heading_error_are_positive_to_the_left():
    events = start_drive(x=20.0).step(20.5, EAST_Y + 0.4, yaw=0.2)
    assert events.route_lateral_m.item() == pytest.approx(0.4)
    assert events.route_heading_error_rad.item() == pytest.approx(0.2)
    events = start_drive(x=20.0).step(20.5, EAST_Y - 0.4, yaw=2 * np.pi - 0.2)
    assert events.route_lateral_m.item() == pytest.approx(-0.4)
    assert events.route_heading_error_rad.item() == pytest.approx(-0.2)


def test_drifting_from_the_route_line_counts_but_a_jump_of_the_line_does_not():
    drive = start_drive(x=20.0)
    drifted = [drive.step(20.0, EAST_Y + 0.5 * i).left_route_line.item() for i in range(9)]
    assert drifted == [False] * 8 + [True]  # 4.0 m is the first beyond 3.51 m
    drive.restart()
    assert not drive.step(20.0, EAST_Y + 5.0).left_route_line.item()
    assert not drive.step(20.0, EAST_Y + 5.0).left_route_line.item()
    assert drive.step(20.0, EAST_Y + 5.02).left_route_line.item()
