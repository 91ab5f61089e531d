"""The ego's bicycle: circles, mirror symmetry, and what a step writes into the scene."""

import math
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.scene.state import SceneBatch, empty_scene
from sim_adapters.world.dynamics import (
    FRONT_AXLE_M,
    MAX_WHEEL_ANGLE_RAD,
    REAR_AXLE_M,
    Drivetrain,
    drive_ego_range,
    ego_step,
    empty_drivetrain,
    slip_angle_rad,
)
from sim_adapters.world.dynamics_check import check_recordings, format_table, read_recordings
from tests.data_folders import data_folder


def _scene(num_worlds: int = 2) -> SceneBatch:
    return empty_scene(num_worlds, 3, num_lights=1, num_route_points=2)


def _drive(scene: SceneBatch, cars: Drivetrain, steer: list[float], pedal: list[float]) -> None:
    drive_ego_range(
        0, scene.num_agents, scene.motion, scene.ego, cars, np.array(steer), np.array(pedal), 0.1
    )


def test_slip_angle_follows_the_published_formula() -> None:
    share = REAR_AXLE_M / (FRONT_AXLE_M + REAR_AXLE_M)
    expected = math.atan(share * math.tan(0.5 * MAX_WHEEL_ANGLE_RAD))
    assert slip_angle_rad(0.5) == pytest.approx(expected)


def test_held_steer_drives_a_circle_of_the_kinematic_radius() -> None:
    slip = slip_angle_rad(0.4)
    radius = REAR_AXLE_M / math.sin(slip)  # yaw rate = v sin(slip) / lr = v / radius
    x, y, yaw = 0.0, 0.0, 0.0
    xs, ys = [], []
    while yaw < 2 * math.pi:
        x, y, yaw, _ = ego_step(x, y, yaw, 4.0, 0.4, 0.0, 0.0, 0.01)
        xs.append(x)
        ys.append(y)
    assert (max(xs) - min(xs)) / 2 == pytest.approx(radius, rel=0.01)
    assert (max(ys) - min(ys)) / 2 == pytest.approx(radius, rel=0.01)


def test_positive_steer_turns_left() -> None:
    _, y, yaw, _ = ego_step(0.0, 0.0, 0.0, 5.0, 0.3, 0.0, 0.0, 0.05)
    assert y > 0.0
    assert yaw > 0.0


def test_mirrored_steering_drives_the_mirrored_path() -> None:
    left = right = (3.0, 0.0, 0.0, 6.0)
    for k in range(60):
        steer = 0.5 * math.sin(0.1 * k)
        left = ego_step(*left, steer, 0.6, 0.0, 0.05)
        right = ego_step(*right, -steer, 0.6, 0.0, 0.05)
    np.testing.assert_allclose(left, (right[0], -right[1], -right[2], right[3]), atol=1e-12)


def test_step_writes_velocity_acceleration_and_controls() -> None:
    scene, cars = _scene(), empty_drivetrain(2)
    scene.motion.yaw_rad[1, 0] = math.pi / 2
    for _ in range(20):
        before = scene.motion.vy_mps[1, 0]
        _drive(scene, cars, [0.0, 0.0], [-0.5, 0.8])
    motion, ego = scene.motion, scene.ego
    assert motion.x[0, 0] == 0.0  # braked from standstill: stays
    assert ego.brake[0] == 0.5
    assert ego.throttle[1] == 0.8
    assert motion.vx_mps[1, 0] == pytest.approx(0.0, abs=1e-9)  # heads north
    assert motion.vy_mps[1, 0] == pytest.approx(cars.speed_mps[1])
    assert motion.ay_mps2[1, 0] == pytest.approx((motion.vy_mps[1, 0] - before) / 0.1)
    assert motion.y[1, 0] > 3.0


def test_gear_follows_the_recorded_shift_points() -> None:
    scene, cars = _scene(1), empty_drivetrain(1)
    seen: dict[int, float] = {}
    _drive(scene, cars, [0.0], [-1.0])
    assert scene.ego.gear[0] == 0.0  # neutral until the first throttle
    for _ in range(400):
        _drive(scene, cars, [0.0], [0.6])
        seen.setdefault(int(scene.ego.gear[0]), 3.6 * float(cars.speed_mps[0]))
    assert seen[1] < 3.0
    for gear, recorded_kmh in ((2, 18.5), (3, 37.2), (4, 60.9), (5, 81.1)):
        assert seen[gear] == pytest.approx(recorded_kmh, abs=2.5)


def test_braking_to_standstill_ends_in_first_gear() -> None:
    scene, cars = _scene(1), empty_drivetrain(1)
    for _ in range(120):
        _drive(scene, cars, [0.0], [1.0])
    assert scene.ego.gear[0] >= 5
    for _ in range(80):
        _drive(scene, cars, [0.0], [-1.0])
    assert cars.speed_mps[0] == 0.0
    assert scene.ego.gear[0] == 1


def test_gear_is_neutral_while_shifting() -> None:
    scene, cars = _scene(1), empty_drivetrain(1)
    reported = []
    for _ in range(60):
        _drive(scene, cars, [0.0], [1.0])
        reported.append(int(scene.ego.gear[0]))
    first_two = reported.index(2)
    assert reported[first_two - 1] == 0
    assert reported[first_two - 2] in (0, 1)


@pytest.mark.kernel
def test_bicycle_kernel_equals_its_python_self() -> None:
    arguments = (1.0, -2.0, 0.3, 8.0, 0.25, 0.7, 0.0, 0.05)
    np.testing.assert_allclose(ego_step(*arguments), ego_step.py_func(*arguments), atol=1e-12)


def test_recorded_drives_are_followed() -> None:
    rows = check_recordings(read_recordings(data_folder("CARL_RECORDINGS", "carla_recordings")))
    together = {row.horizon_s: row for row in rows if row.name == "all"}
    assert together[1.0].position_m.mean() < 0.2
    assert together[3.0].position_m.mean() < 1.3
    assert together[5.0].position_m.mean() < 3.0
    assert "throttle_1.0" in format_table(rows)


def test_drive_made_by_the_model_is_predicted_without_error(tmp_path: Path) -> None:
    lines = ["step,steer_logged,throttle_inferred,brake_inferred,x_m,y_m,yaw_deg,speed_kmh"]
    state = (10.0, 5.0, 0.2, 2.0)
    for k in range(160):
        x, y, yaw, v = state
        pedals = (0.9, 0.0) if k < 120 else (0.0, 1.0)
        left_handed = (x, -y, -math.degrees(yaw), 3.6 * v)
        lines.append(",".join(str(value) for value in (k, -0.05, *pedals, *left_handed)))
        state = ego_step(*state, 0.05, *pedals, 0.05)
    (tmp_path / "drive.csv").write_text("\n".join(lines))
    rows = check_recordings(read_recordings(tmp_path))
    assert len(rows) == 6
    for row in rows:
        assert row.position_m.max() < 1e-9
        assert row.speed_mps.max() < 1e-9
