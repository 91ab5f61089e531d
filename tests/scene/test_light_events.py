"""Red-light crossing: the stop line is at x = 100, the tail reaches 1.957 to 3.446 m behind."""

import pytest

from sim_adapters.scene.events.detection import DetectorSettings
from sim_adapters.scene.events.settings import LightSettings
from sim_adapters.scene.state import LightState
from tests.scene.hand_made_map import EAST_Y, start_drive


def step_at_light(state, x, y=EAST_Y, settings=None, yaw=0.0, speed=5.0):
    drive = start_drive(x=95.0, settings=settings)
    drive.scene.lights.state[:] = state
    return drive.step(x, y, yaw, speed).ran_red_light.item()


@pytest.mark.parametrize(
    ("x", "ran"), [(101.9, False), (102.0, True), (103.4, True), (103.5, False)]
)
def test_the_tail_crosses_the_line_between_its_two_ends(x, ran):
    assert step_at_light(LightState.RED, x) == ran


@pytest.mark.parametrize("state", [LightState.GREEN, LightState.YELLOW, LightState.OFF])
def test_only_red_counts(state):
    assert not step_at_light(state, 102.5)


def test_yellow_counts_where_the_settings_say_so():
    strict = DetectorSettings(light=LightSettings(yellow_counts=1))
    assert step_at_light(LightState.YELLOW, 102.5, settings=strict)


def test_one_light_counts_once():
    drive = start_drive(x=95.0)
    drive.scene.lights.state[:] = LightState.RED
    assert [drive.step(x).ran_red_light.item() for x in (102.0, 102.5, 103.0)] == [
        True,
        False,
        False,
    ]


def test_a_standing_or_opposite_car_runs_nothing():
    assert not step_at_light(LightState.RED, 102.5, speed=0.0)
    assert not step_at_light(LightState.RED, 97.5, yaw=3.14159)


@pytest.mark.parametrize(("offset", "ran"), [(17.4, True), (17.6, False)])
def test_the_line_is_five_lane_widths_long_to_each_side(offset, ran):
    assert step_at_light(LightState.RED, 102.5, EAST_Y + offset) == ran
    assert step_at_light(LightState.RED, 102.5, EAST_Y - offset) == ran


@pytest.mark.parametrize(("offset", "ran"), [(0.0, True), (1.7, True), (1.8, False)])
def test_the_leaderboards_line_counts_as_far_as_its_lane_reaches(offset, ran):
    # The line of 0.6 lane widths reaches 2.1 m, the lane of 3.5 m ends at 1.75 m
    leaderboard = DetectorSettings.leaderboard()
    assert step_at_light(LightState.RED, 102.5, EAST_Y + offset, leaderboard) == ran


def test_the_leaderboard_wants_the_tail_in_the_lines_lane():
    # A turned car whose tail lies west of the line but over the westbound lane: 2.957 m behind
    wide = LightSettings(line_half_lanes=5.0, same_lane_only=1)
    position = (102.0, 1.75)
    assert step_at_light(LightState.RED, *position)
    assert not step_at_light(LightState.RED, *position, DetectorSettings(light=wide))


def test_a_light_out_of_range_is_not_judged():
    near = DetectorSettings(light=LightSettings(range_m=5.0))  # the light itself is at x = 97
    assert step_at_light(LightState.RED, 101.99, settings=near)
    assert not step_at_light(LightState.RED, 102.01, settings=near)
