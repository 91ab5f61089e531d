import math

import pytest

from evaluation.drivers.vehicle_control import pedal_for_acceleration, steer_for_curvature
from sim_adapters.world.dynamics import REAR_AXLE_M, slip_angle_rad
from sim_adapters.world.ego_speed import next_speed_mps


@pytest.mark.parametrize("curvature", [-0.2, -0.05, 0.0, 0.01, 0.15])
def test_steer_gives_the_rear_point_the_wanted_curvature(curvature):
    # The rear point moves along the heading: its curvature is tan(slip) / lr.
    slip = slip_angle_rad(steer_for_curvature(curvature))
    assert math.tan(slip) / REAR_AXLE_M == pytest.approx(curvature, abs=1e-9)


def test_a_tighter_circle_than_the_car_can_drive_gives_full_steer():
    assert steer_for_curvature(2.0) == 1.0
    assert steer_for_curvature(-2.0) == -1.0


@pytest.mark.parametrize(("speed", "wanted"), [(5.0, 1.0), (10.0, 0.0), (10.0, -3.0), (15.0, -0.2)])
def test_pedal_gives_the_wanted_acceleration(speed, wanted):
    pedal = pedal_for_acceleration(speed, wanted)
    after = next_speed_mps(speed, max(pedal, 0.0), max(-pedal, 0.0), 0.05)
    assert (after - speed) / 0.05 == pytest.approx(wanted, abs=0.02)


def test_pedal_ends_at_full_throttle_and_full_brake():
    assert pedal_for_acceleration(10.0, 50.0) == pytest.approx(1.0)
    assert pedal_for_acceleration(10.0, -50.0) == -1.0


def test_a_standing_car_is_held_by_the_brake_and_started_by_the_throttle():
    assert pedal_for_acceleration(0.0, -1.0) < 0.0
    assert pedal_for_acceleration(0.0, 1.0) > 0.0


@pytest.mark.kernel
def test_kernels_equal_their_plain_python_selves():
    for curvature in (-0.1, 0.03):
        assert steer_for_curvature(curvature) == steer_for_curvature.py_func(curvature)
    for speed, wanted in ((3.0, 1.0), (8.0, -2.0)):
        plain = pedal_for_acceleration.py_func(speed, wanted)
        assert pedal_for_acceleration(speed, wanted) == pytest.approx(plain, abs=1e-12)
