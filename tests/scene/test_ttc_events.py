"""Time to collision; a car is 4.89238 m long and 1.83672 m wide."""

import math

import pytest

from sim_adapters.scene.events.detection import DetectorSettings
from sim_adapters.scene.events.settings import TtcSettings
from sim_adapters.scene.state import ActorKind
from tests.scene.hand_made_map import EAST_Y, start_drive


def is_active(other, ego_speed=10.0, kind=ActorKind.CAR, size=(2.44619, 0.91836, 0.74514)):
    """Whether the window opens for an ego at x = 50 and another actor (x, y, yaw, speed, z)."""
    x, y, yaw, speed, z = other
    drive = start_drive(x=50.0)
    drive.place(1, kind, x, y, yaw, speed, size, z)
    return drive.step(50.0, speed=ego_speed).ttc_active.item()


@pytest.mark.parametrize(("gap", "active"), [(13.8, True), (14.0, False)])
def test_a_standing_car_ahead_is_met_within_the_last_horizon(gap, active):
    # 9 m in 0.9 s leave a centre distance of 4.8 m or 5.0 m
    assert is_active((50.0 + gap, EAST_Y, 0.0, 0.0, 0.0)) == active


@pytest.mark.parametrize(("speed", "active"), [(9.9, False), (4.0, True)])
def test_the_other_cars_own_speed_counts(speed, active):
    # 8 m ahead: at the last horizon 0.9 s x 6 m/s = 5.4 m closer
    assert is_active((58.0, EAST_Y, 0.0, speed, 0.0)) == active


def test_an_oncoming_car_is_met_but_one_in_its_own_lane_is_not():
    assert is_active((70.0, EAST_Y, math.pi, 10.0, 0.0))
    assert not is_active((70.0, EAST_Y + 3.5, math.pi, 10.0, 0.0))


def test_a_faster_car_behind_counts_too():
    assert is_active((40.0, EAST_Y, 0.0, 17.0, 0.0))


def test_who_steps_sideways_into_the_way_is_met():
    pedestrian = {"kind": ActorKind.PEDESTRIAN, "size": (0.2, 0.2, 0.9)}
    walking_left = (57.0, EAST_Y - 2.0, math.pi / 2, 2.0, 0.0)
    assert is_active(walking_left, **pedestrian)
    assert not is_active((57.0, EAST_Y - 2.0, -math.pi / 2, 2.0, 0.0), **pedestrian)


@pytest.mark.parametrize("kind", [ActorKind.STATIC, ActorKind.DEBRIS])
def test_props_count_whether_they_stand_or_lie_flat(kind):
    # CaRL asks for `static` in the type, which `static.prop.dirtdebris01` has as well
    flat = (0.8, 0.8, 0.02)
    assert is_active((58.0, EAST_Y, 0.0, 0.0, 0.0), kind=kind, size=flat)
    assert not is_active((58.0, EAST_Y + 1.8, 0.0, 0.0, 0.0), kind=kind, size=flat)


@pytest.mark.parametrize(("z", "active"), [(1.4, True), (1.6, False), (6.0, False), (-6.0, False)])
def test_a_car_on_a_bridge_is_not_met(z, active):
    # Both cars are 1.49 m high
    assert is_active((58.0, EAST_Y, 0.0, 0.0, z)) == active


def test_a_standing_ego_meets_nobody():
    assert not is_active((53.0, EAST_Y, math.pi, 10.0, 0.0), ego_speed=0.05)


def test_the_window_stays_open_for_500_ticks_with_the_violating_one():
    drive = start_drive(x=50.0)
    drive.place(1, ActorKind.CAR, 58.0, EAST_Y)
    drive.step(50.0, speed=10.0)
    drive.place(1, ActorKind.CAR, 150.0, EAST_Y)
    after = [drive.step(50.0, speed=10.0).ttc_active.item() for _ in range(500)]
    assert after == [True] * 499 + [False]


def test_a_new_violation_opens_the_window_afresh():
    drive = start_drive(x=50.0, settings=DetectorSettings(ttc=TtcSettings(hold_ticks=3)))
    left = []
    for x in (58.0, 150.0, 58.0, 150.0, 150.0, 150.0):
        drive.place(1, ActorKind.CAR, x, EAST_Y)
        drive.step(50.0, speed=10.0)
        left.append(int(drive.memory.counters.ttc_ticks_left[0]))
    assert left == [3, 2, 3, 2, 1, 0]
