"""Hazard distances that Roach's reward looks at, with the ego at x = 50 heading east."""

import math

import pytest

from sim_adapters.scene.state import ActorKind, LightState
from tests.scene.hand_made_map import EAST_Y, EGO_HALF_WIDTH_M, WEST_Y, start_drive

PEDESTRIAN_SIZE = (0.2, 0.2, 0.9)


def lead_m(kind, x, y=EAST_Y, yaw=0.0):
    drive = start_drive(x=50.0)
    size = PEDESTRIAN_SIZE if kind == ActorKind.PEDESTRIAN else (2.4, 0.9, 0.7)
    drive.place(1, kind, x, y, yaw, 0.0, size)
    events = drive.step(50.0)
    return events.lead_vehicle_m.item(), events.lead_pedestrian_m.item()


def test_the_nearest_vehicle_ahead_is_the_lead():
    drive = start_drive(x=50.0)
    drive.place(1, ActorKind.CAR, 59.0, EAST_Y)
    drive.place(2, ActorKind.BICYCLE, 57.5, EAST_Y)
    assert drive.step(50.0).lead_vehicle_m.item() == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("x", "y", "yaw", "is_lead"),
    [
        (59.4, EAST_Y, 0.0, True),
        (59.6, EAST_Y, 0.0, False),  # beyond 9.5 m
        (42.0, EAST_Y, 0.0, False),  # behind
        (53.0, EAST_Y + 3.1, 0.0, False),  # bearing just over 45 degrees
        (53.0, EAST_Y + 2.9, 0.0, True),
        (58.0, EAST_Y, math.radians(151), False),  # oncoming
        (58.0, EAST_Y, math.radians(149), True),
    ],
)
def test_vehicles_ahead_that_do_not_come_towards_the_ego_count(x, y, yaw, is_lead):
    vehicle, pedestrian = lead_m(ActorKind.CAR, x, y, yaw)
    assert math.isfinite(vehicle) == is_lead
    assert pedestrian == math.inf


@pytest.mark.parametrize(
    ("distance", "bearing_deg", "counts"),
    [
        (1.5, 89.0, True),  # the cone is 162 / 1.8 = 90 degrees
        (5.0, 30.0, True),  # 162 / 5.3 = 30.6 degrees
        (5.0, 31.0, False),
        (9.4, 0.0, True),
        (9.6, 0.0, False),
    ],
)
def test_the_cone_for_pedestrians_narrows_with_distance(distance, bearing_deg, counts):
    bearing = math.radians(bearing_deg)
    x, y = 50.0 + distance * math.cos(bearing), EAST_Y + distance * math.sin(bearing)
    vehicle, pedestrian = lead_m(ActorKind.PEDESTRIAN, x, y)
    assert pedestrian == (pytest.approx(distance) if counts else math.inf)
    assert vehicle == math.inf


def test_pedestrians_beside_the_road_are_no_hazard():
    drive = start_drive(x=80.0, y=-3.0)
    drive.place(1, ActorKind.PEDESTRIAN, 87.0, -4.5, size=PEDESTRIAN_SIZE)
    assert drive.step(80.0, -3.0).lead_pedestrian_m.item() == math.inf
    drive.place(1, ActorKind.PEDESTRIAN, 87.0, -3.2, size=PEDESTRIAN_SIZE)
    assert math.isfinite(drive.step(80.0, -3.0).lead_pedestrian_m.item())


@pytest.mark.parametrize(
    ("size", "gap_m", "is_touched"),
    [
        ((0.2, 0.2, 0.9), 0.75, True),  # 2 x 0.2 m is below the least half extent of 0.8 m
        ((0.2, 0.2, 0.9), 0.85, False),
        ((0.5, 0.5, 0.9), 0.95, True),  # 2 x 0.5 m
        ((0.5, 0.5, 0.9), 1.05, False),
    ],
)
def test_a_pedestrian_is_touched_at_twice_its_size(size, gap_m, is_touched):
    drive = start_drive(x=50.0)
    drive.place(
        1, ActorKind.PEDESTRIAN, 50.0, EAST_Y + EGO_HALF_WIDTH_M + gap_m, size=size
    )  # gap from the ego's side to the pedestrian's centre
    assert drive.step(50.0).too_near_pedestrian.item() == is_touched
    drive.scene.motion.z[0, 1] += 6.0  # on the bridge above
    assert not drive.step(50.0).too_near_pedestrian.item()


def test_a_vehicle_has_no_doubled_box():
    drive = start_drive(x=50.0)
    drive.place(1, ActorKind.CAR, 50.0, EAST_Y + 2.0)
    assert not drive.step(50.0).too_near_pedestrian.item()


@pytest.mark.parametrize(
    ("state", "x", "y", "yaw", "distance"),
    [
        (LightState.RED, 90.0, EAST_Y, 0.0, 10.0),
        (LightState.YELLOW, 90.0, EAST_Y, 0.0, 10.0),
        (LightState.GREEN, 90.0, EAST_Y, 0.0, math.inf),
        (LightState.RED, 83.9, EAST_Y, 0.0, math.inf),  # probe at 81.94: 18.06 m away
        (LightState.RED, 84.1, EAST_Y, 0.0, 15.9),
        (LightState.RED, 90.0, WEST_Y, 0.0, math.inf),  # another lane
        (LightState.RED, 90.0, EAST_Y, math.pi, math.inf),  # heading away
        (LightState.RED, 103.0, EAST_Y, 0.0, math.inf),  # probe past the line
    ],
)
def test_the_light_of_the_lane_counts_until_the_tail_has_passed_its_line(
    state, x, y, yaw, distance
):
    drive = start_drive(x=80.0)
    drive.scene.lights.state[:] = state
    assert drive.step(x, y, yaw).red_light_m.item() == pytest.approx(distance)


def test_a_stop_sign_counts_until_it_is_completed():
    drive = start_drive(x=160.0)
    drive.step(170.0)
    assert drive.step(171.0).stop_sign_m.item() == pytest.approx(9.0)
    drive.step(178.0, speed=0.0)
    assert drive.step(178.5).stop_sign_m.item() == math.inf
