"""The LQR tracker against the same problems written with dense matrices, and worked by hand."""

import math

import numpy as np
import pytest

from sim_adapters.nuplan.replay import Timeline
from sim_adapters.nuplan.trackers import (
    empty_commands,
    empty_profiles,
    fit_curvature,
    fit_speed,
    track_trajectories_range,
)
from sim_adapters.nuplan.trajectory import (
    Trajectories,
    check_trajectories,
    empty_trajectories,
    pose_at,
)
from sim_adapters.scene.state import SceneBatch, empty_scene

NOW_US = 1_600_000_000_000_000
DT = 0.1


def _dense_speed(step_m: np.ndarray) -> np.ndarray:
    """min ||p - A (v0, a)||^2 + 1e-4 ||jerk||^2 in the devkit's unknowns, by lstsq."""
    m = step_m.size
    to_speed = np.hstack([np.ones((m, 1)), DT * np.tril(np.ones((m, m - 1)), -1)])
    jerk = np.hstack([np.zeros((max(m - 2, 0), 1)), np.diff(np.eye(m - 1), axis=0)])
    system = np.vstack([DT * to_speed, math.sqrt(1e-4) * jerk])
    right = np.concatenate([step_m, np.zeros(len(jerk))])
    return to_speed @ np.linalg.lstsq(system, right, rcond=None)[0]


def _dense_curvature(turn_rad: np.ndarray, speed: np.ndarray) -> np.ndarray:
    m = turn_rad.size
    to_curvature = np.hstack([np.ones((m, 1)), DT * np.tril(np.ones((m, m - 1)), -1)])
    penalty = np.sqrt(np.diag([1e-10, *[1e-2] * (m - 1)]))
    system = np.vstack([(DT * speed)[:, None] * to_curvature, penalty])
    right = np.concatenate([turn_rad, np.zeros(m)])
    return to_curvature @ np.linalg.lstsq(system, right, rcond=None)[0]


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 17, 100])
@pytest.mark.parametrize("speed", [0.0, 0.02, 12.0])
def test_banded_fits_give_the_dense_minimisers(num_steps: int, speed: float) -> None:
    rng = np.random.default_rng(num_steps)
    profiles = empty_profiles(1, 128)
    profiles.step_m[0, :num_steps] = DT * speed * (1.0 + 0.2 * rng.standard_normal(num_steps))
    profiles.turn_rad[0, :num_steps] = 0.01 * speed * rng.standard_normal(num_steps)
    fit_speed(0, num_steps, profiles)
    expected = _dense_speed(profiles.step_m[0, :num_steps])
    np.testing.assert_allclose(profiles.speed_mps[0, :num_steps], expected, atol=1e-9)
    fit_curvature(0, num_steps, profiles)
    expected = _dense_curvature(profiles.turn_rad[0, :num_steps], expected)
    np.testing.assert_allclose(profiles.curvature_radpm[0, :num_steps], expected, atol=1e-7)


def _straight_plan(speed: float, *, num_points: int = 17, step_us: int = 500_000) -> Trajectories:
    plan = empty_trajectories(1, num_points)
    plan.num_points[0] = num_points
    plan.time_us[0] = NOW_US + step_us * np.arange(num_points)
    plan.x[0] = speed * 1e-6 * step_us * np.arange(num_points)
    return plan


def _commands(scene: SceneBatch, plan: Trajectories) -> tuple[float, float]:
    timeline = Timeline(
        np.zeros(1, np.int32), np.full(1, 2, np.int32), np.array([[NOW_US, NOW_US + 100_000]])
    )
    commands = empty_commands(1)
    track_trajectories_range(
        0,
        1,
        timeline,
        plan,
        empty_profiles(1, 128),
        scene.ego,
        scene.motion,
        scene.body,
        commands,
    )
    return float(commands.acceleration_mps2[0]), float(commands.tyre_rate_radps[0])


def _car(speed: float, y: float = 0.0) -> SceneBatch:
    scene = empty_scene(1, 2, num_lights=1, num_route_points=2)
    scene.body.vx_mps[0], scene.body.rear_axle_y[0] = speed, y
    return scene


def test_speed_error_gives_ten_elevenths_of_it_as_acceleration() -> None:
    acceleration, rate = _commands(_car(6.0), _straight_plan(8.0))
    assert acceleration == pytest.approx(10 / 11 * 2.0, abs=1e-9)
    assert rate == pytest.approx(0.0, abs=1e-9)


def test_lateral_error_is_steered_off_as_the_horizon_problem_says() -> None:
    speed, y = 5.0, 0.4
    _, rate = _commands(_car(speed, y), _straight_plan(speed))
    step = np.array([[1, speed * DT, 0], [0, 1, speed * DT / 3.089], [0, 0, 1]])
    push, free = np.zeros(3), np.array([y, 0.0, 0.0])
    for _ in range(10):
        push, free = step @ push + [0, 0, DT], step @ free
    weights = np.diag([1.0, 10.0, 0.0])
    assert rate == pytest.approx(-(push @ weights @ free) / (push @ weights @ push + 1.0), abs=1e-9)
    assert rate < 0.0  # left of the path: steer right


def test_slow_car_before_a_slow_plan_is_stopped_without_steering() -> None:
    acceleration, rate = _commands(_car(0.15, y=1.0), _straight_plan(0.05))
    assert acceleration == pytest.approx(-0.5 * (0.15 - 0.05), abs=1e-9)
    assert rate == 0.0


def test_short_plan_holds_its_last_speed() -> None:
    acceleration, _ = _commands(_car(6.0), _straight_plan(8.0, num_points=2))
    assert acceleration == pytest.approx(10 / 11 * 2.0, abs=1e-9)


def test_poses_turn_the_short_way_round() -> None:
    plan = _straight_plan(2.0, num_points=3)
    plan.yaw_rad[0] = math.pi - 0.1, -math.pi + 0.1, 0.0
    x, y, yaw, segment = pose_at(0, NOW_US + 125_000, 1, plan)
    assert (x, y, yaw) == pytest.approx((0.25, 0.0, math.pi - 0.05))
    assert segment == 1
    x, _, _, segment = pose_at(0, NOW_US + 750_000, segment, plan)
    assert (x, segment) == (pytest.approx(1.5), 2)


def test_plans_that_nobody_can_follow_are_refused() -> None:
    now = np.array([NOW_US])
    plan = _straight_plan(5.0)
    check_trajectories(plan, now)
    with pytest.raises(ValueError, match="driver 0 does not cover the present"):
        check_trajectories(plan, now - 1)
    with pytest.raises(ValueError, match=r"less than 0\.1 s"):
        check_trajectories(_straight_plan(5.0, num_points=2, step_us=99_999), now)
    plan.yaw_rad[0, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        check_trajectories(plan, now)
    plan.num_points[0] = 1
    with pytest.raises(ValueError, match="fewer than two points"):
        check_trajectories(plan, now)
