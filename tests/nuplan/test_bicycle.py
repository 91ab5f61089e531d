"""The devkit's bicycle and CaRL's one-stage control, worked by hand from their formulas."""

import math

import numpy as np
import pytest

from sim_adapters.nuplan.bicycle import drive_bicycle, write_centre
from sim_adapters.nuplan.trackers import command_actions_range, empty_commands
from sim_adapters.scene.state import SceneBatch, empty_scene


def _car(**body: float) -> SceneBatch:
    scene = empty_scene(1, 2, num_lights=1, num_route_points=2)
    for name, value in body.items():
        getattr(scene.body, name)[0] = value
    return scene


def _drive(scene: SceneBatch, acceleration: float, tyre_rate: float, dt: float = 0.1) -> None:
    drive_bicycle(0, 0, 0, dt, acceleration, tyre_rate, scene.motion, scene.body)


def test_acceleration_closes_a_third_of_its_gap_in_a_step() -> None:
    scene = _car(vx_mps=10.0, ax_mps2=0.3)
    _drive(scene, 1.5, 0.0)
    # gain 0.1 / (0.1 + 0.2) = 1/3: 0.3 + (1.5 - 0.3) / 3 = 0.7
    assert scene.body.ax_mps2[0] == pytest.approx(0.7, abs=1e-12)
    assert scene.body.vx_mps[0] == pytest.approx(10.07, abs=1e-12)
    assert scene.body.rear_axle_x[0] == pytest.approx(1.0, abs=1e-12)  # the old speed


def test_steering_reaches_two_thirds_of_its_way_and_turns_the_car_a_step_later() -> None:
    scene = _car(vx_mps=10.0)
    _drive(scene, 0.0, 0.3)
    # gain 0.1 / (0.1 + 0.05) = 2/3 of the 0.03 rad asked for
    assert scene.body.tyre_angle_rad[0] == pytest.approx(0.02, abs=1e-12)
    assert scene.body.tyre_rate_radps[0] == pytest.approx(0.2, abs=1e-12)
    assert scene.motion.yaw_rad[0, 0] == 0.0
    yaw_rate = 10.0 * math.tan(0.02) / 3.089
    assert scene.body.yaw_rate_radps[0] == pytest.approx(yaw_rate, abs=1e-12)
    assert scene.body.yaw_acceleration_radps2[0] == pytest.approx(yaw_rate / 0.1, abs=1e-10)
    _drive(scene, 0.0, 0.0)
    assert scene.motion.yaw_rad[0, 0] == pytest.approx(0.1 * yaw_rate, abs=1e-12)


def test_tyre_angle_stops_at_sixty_degrees_while_its_rate_does_not() -> None:
    scene = _car(tyre_angle_rad=1.0)
    _drive(scene, 0.0, 3.0)
    assert scene.body.tyre_angle_rad[0] == pytest.approx(math.pi / 3, abs=1e-12)
    assert scene.body.tyre_rate_radps[0] == pytest.approx(2.0, abs=1e-12)


def test_lateral_motion_of_the_log_ends_with_the_first_step() -> None:
    scene = _car(vx_mps=5.0, vy_mps=0.2, ax_mps2=0.0, ay_mps2=1.1)
    _drive(scene, 0.0, 0.0)
    assert scene.body.vy_mps[0] == 0.0
    assert scene.body.ay_mps2[0] == 0.0


def test_yaw_wraps_to_the_half_open_circle() -> None:
    scene = _car(vx_mps=10.0, tyre_angle_rad=0.3)
    scene.motion.yaw_rad[0, 0] = math.pi - 0.01
    _drive(scene, 0.0, 0.0)
    turned = math.pi - 0.01 + 10.0 * math.tan(0.3) / 3.089 * 0.1
    assert scene.motion.yaw_rad[0, 0] == pytest.approx(turned - 2 * math.pi, abs=1e-12)


def test_centre_moves_as_part_of_a_rigid_body() -> None:
    scene = _car(
        rear_axle_x=3.0,
        rear_axle_y=4.0,
        vx_mps=8.0,
        ax_mps2=0.5,
        yaw_rate_radps=0.2,
        yaw_acceleration_radps2=0.1,
    )
    scene.motion.yaw_rad[0, 0] = math.pi / 2
    write_centre(0, 0, 0, scene.motion, scene.body)
    motion = scene.motion
    assert (motion.x[0, 0], motion.y[0, 0]) == pytest.approx((3.0, 5.461))
    assert (motion.vx_mps[0, 0], motion.vy_mps[0, 0]) == pytest.approx((-1.461 * 0.2, 8.0))
    expected = (-1.461 * 0.1, 0.5 - 1.461 * 0.2**2)
    assert (motion.ax_mps2[0, 0], motion.ay_mps2[0, 0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pedal", "speed", "acceleration", "command"),
    [
        (1.0, 5.0, 0.0, 2.4),
        (0.5, 5.0, 0.0, 1.2),
        (-0.5, 5.0, 0.0, -1.6),
        (-1.0, 0.1, -0.4, -0.1 + 0.3),  # 0.1 - 0.32 < 0: -v - 0.75 a
        (-1.0, 0.1, 6.0, -3.2),  # the rule against reversing is clipped, too
    ],
)
def test_pedal_commands(pedal: float, speed: float, acceleration: float, command: float) -> None:
    scene = _car(vx_mps=speed, ax_mps2=acceleration)
    commands = empty_commands(1)
    command_actions_range(0, 1, np.zeros(1), np.array([pedal]), scene.body, commands)
    assert commands.acceleration_mps2[0] == pytest.approx(command, abs=1e-12)


def test_steer_of_one_asks_for_48_degrees_at_once() -> None:
    scene = _car(tyre_angle_rad=0.1)
    commands = empty_commands(1)
    command_actions_range(0, 1, np.ones(1), np.zeros(1), scene.body, commands)
    rate = (math.radians(48.0) - 0.1) / 0.1
    assert commands.tyre_rate_radps[0] == pytest.approx(rate, abs=1e-6)
