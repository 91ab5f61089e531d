"""CARLA's left-handed frame against ours, with values worked by hand."""

import math

import carla
import numpy as np
import pytest

from sim_adapters.carla.frames import (
    from_carla_control,
    from_carla_location,
    from_carla_transform,
    to_carla_control,
    to_carla_location,
    to_carla_transform,
)
from sim_adapters.carla.scene_reader import ActorBody, box_centres, lamp_bits
from sim_adapters.scene.state import ActorKind, LightBit


def test_a_place_to_our_left_is_at_negative_y_in_carla() -> None:
    location = to_carla_location(1.0, 2.0, 3.0)
    assert (location.x, location.y, location.z) == (1.0, -2.0, 3.0)
    assert from_carla_location(location) == (1.0, 2.0, 3.0)


def test_a_left_turn_of_ours_is_a_negative_yaw_in_carla() -> None:
    transform = to_carla_transform(0.0, 0.0, 0.0, math.pi / 2)
    assert transform.rotation.yaw == pytest.approx(-90.0)
    forward = transform.get_forward_vector()
    assert forward.y == pytest.approx(-1.0)  # CARLA's y axis points to the right of x


def test_a_pose_comes_back_as_it_was() -> None:
    pose = (1.0, 2.0, 3.0, 0.5)
    assert from_carla_transform(to_carla_transform(*pose)) == pytest.approx(pose)


def test_steering_left_is_negative_in_carla() -> None:
    control = to_carla_control(0.25, 0.5, 0.0)
    assert control.steer == pytest.approx(-0.25)
    assert from_carla_control(control) == pytest.approx((0.25, 0.5, 0.0, 0.0))


def test_box_centre_turns_with_the_actor_and_the_ground_is_under_its_box() -> None:
    # A van at (10, 20) that looks north; its box centre lies 1 m ahead of its origin and 1.2 m up
    rows = np.array([[7.0, 10.0, 20.0, 5.0, math.pi / 2, 0.0, 0.0, 0.0, 0.0, 0.0]])
    van = ActorBody(ActorKind.VAN, 3.0, 1.0, 1.2, 1.0, 0.0, 1.2, False)
    assert box_centres(rows, np.array([van]))[0] == pytest.approx([10.0, 21.0, 5.0])
    # A walker's origin is in the middle of its body, 0.93 m above the ground
    walker = ActorBody(ActorKind.PEDESTRIAN, 0.2, 0.2, 0.93, 0.0, 0.0, 0.0, False)
    assert box_centres(rows, np.array([walker]))[0] == pytest.approx([10.0, 20.0, 4.07])


@pytest.mark.parametrize(
    ("lamps", "is_emergency", "bits"),
    [
        (carla.VehicleLightState.NONE, True, 0),
        (carla.VehicleLightState.Brake, False, LightBit.BRAKE),
        (carla.VehicleLightState.LeftBlinker, False, LightBit.LEFT_BLINKER),
        (carla.VehicleLightState.RightBlinker, False, LightBit.RIGHT_BLINKER),
        (carla.VehicleLightState.Special1, True, LightBit.EMERGENCY),
        (carla.VehicleLightState.Special1, False, 0),  # no emergency vehicle
        (carla.VehicleLightState.LowBeam, False, 0),
    ],
)
def test_lamps_of_carla_become_light_bits(
    lamps: carla.VehicleLightState, is_emergency: bool, bits: int
) -> None:
    assert lamp_bits(lamps, is_emergency=is_emergency) == bits
