"""Lane keeping, wrong-way driving and the off-road fraction on the hand-made road."""

import math

import pytest

from tests.scene.hand_made_map import EAST_Y, PARKING_Y, WEST_Y, start_drive


def test_offset_and_width_are_those_of_the_nearest_driving_lane():
    events = start_drive().step(50.3, EAST_Y - 0.6)
    assert events.lane_offset_m.item() == pytest.approx(0.6)
    assert events.lane_width_m.item() == 3.5
    assert not events.in_junction.item()
    assert start_drive(x=110.0).step(110.0).in_junction.item()


def test_the_offset_behind_a_lanes_end_is_the_distance_to_its_end():
    events = start_drive().step(223.0, EAST_Y)
    assert events.lane_offset_m.item() == pytest.approx(3.0)
    assert events.outside_route_lanes.item()


@pytest.mark.parametrize(("y", "outside"), [(-2.2, False), (-2.3, True)])
def test_outside_begins_half_a_metre_beyond_the_lane(y, outside):
    # Half the lane's 3.5 m and 0.5 m are 2.25 m
    events = start_drive(x=80.0).step(80.0, EAST_Y + y)
    assert events.outside_route_lanes.item() == outside
    assert not events.in_oncoming_lane.item()


@pytest.mark.parametrize(("y", "outside"), [(-1.7, False), (-1.8, True)])
def test_a_parking_lane_is_not_outside(y, outside):
    # The parking lane is 2.5 m wide: 1.25 m and 0.5 m are 1.75 m
    assert start_drive(x=40.0).step(40.0, PARKING_Y + y).outside_route_lanes.item() == outside


def test_far_from_all_lanes_is_outside_with_no_lane_to_keep():
    events = start_drive(x=40.0).step(40.0, 19.0)
    assert events.outside_route_lanes.item()
    assert events.lane_width_m.item() == 0.0


def test_crossing_to_the_oncoming_lane_is_wrong_until_the_driver_returns():
    drive = start_drive(x=30.0)
    assert not drive.step(31.0, EAST_Y).in_oncoming_lane.item()
    events = drive.step(32.0, 0.5)
    assert events.in_oncoming_lane.item()
    assert events.outside_route_lanes.item()
    assert drive.step(33.0, WEST_Y).in_oncoming_lane.item()
    assert not drive.step(34.0, -0.5).in_oncoming_lane.item()


@pytest.mark.parametrize(("yaw", "wrong"), [(0.0, True), (math.radians(59), True), (3.0, False)])
def test_out_of_a_junction_the_heading_decides(yaw, wrong):
    # The westbound lane's heading is 180 degrees: 120 degrees or more from it are wrong
    drive = start_drive(x=99.0)
    assert not drive.step(110.0, WEST_Y, yaw).in_oncoming_lane.item()
    assert drive.step(121.0, WEST_Y, yaw).in_oncoming_lane.item() == wrong


def test_nobody_is_wrong_in_a_junction():
    drive = start_drive(x=98.0, y=EAST_Y)
    assert drive.step(99.0, WEST_Y).in_oncoming_lane.item()
    assert not drive.step(101.0, WEST_Y).in_oncoming_lane.item()


@pytest.mark.parametrize(
    ("x", "y", "fraction"),
    [
        (80.0, EAST_Y, 0.0),
        (80.0, 4.0, 0.0),  # the northern shoulder is firm
        # Road ends at y = -3.5; any of the four pixels around counts, so ground ends at -4. Of the
        # four rows of points at -4.69, -4.23, -3.77, -3.31 two are off.
        (80.0, -4.0, 0.5),
        (40.0, -4.0, 0.0),  # the parking lane is road
        (80.0, -8.0, 1.0),
        (400.0, 300.0, 1.0),  # beyond the map
    ],
)
def test_off_road_fraction_counts_points_on_neither_road_nor_shoulder(x, y, fraction):
    assert start_drive().step(x, y).off_road_fraction.item() == pytest.approx(fraction)


def test_off_road_fraction_of_a_car_across_the_edge():
    # Heading south its ten rows lie at y + 0.4892 (i - 4.5): with y = -4.0 the five below are off
    assert start_drive().step(80.25, -4.0, -math.pi / 2).off_road_fraction.item() == 0.5
