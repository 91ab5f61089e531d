"""Speed, standing still, time to collision and comfort: each fact and its penalty window."""

import math

import numpy as np
import pytest
from scipy.signal import savgol_filter

from rewards.driving_events import uneventful
from sim_adapters.scene.events.motion import comfort_weights, last_filtered
from sim_adapters.scene.events.settings import ComfortSettings, DetectorSettings, TtcSettings
from sim_adapters.scene.state import ActorKind
from tests.scene.hand_made_map import EAST_Y, start_drive


def test_overspeed_is_the_speed_above_the_limit():
    drive = start_drive()
    drive.scene.ego.speed_limit_mps[:] = 10.0
    assert drive.step(20.0, speed=12.0).overspeed_mps.item() == pytest.approx(2.0)
    assert drive.step(20.0, speed=9.0).overspeed_mps.item() == 0.0


@pytest.mark.parametrize("limit", [math.nan, 0.0])
def test_an_unknown_limit_is_six_metres_a_second(limit):
    drive = start_drive()
    drive.scene.ego.speed_limit_mps[:] = limit
    assert drive.step(20.0, speed=7.5).overspeed_mps.item() == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("settings", "seconds"), [(DetectorSettings(), 90), (DetectorSettings.leaderboard(), 180)]
)
def test_standing_for_longer_than_the_limit_is_blocked(settings, seconds):
    drive = start_drive(settings=settings)
    blocked = [drive.step(20.0, speed=0.05).blocked.item() for _ in range(10 * seconds + 1)]
    assert blocked == [False] * (10 * seconds) + [True]
    assert not drive.step(20.0, speed=0.11).blocked.item()
    assert not drive.step(20.0, speed=0.0).blocked.item()


def test_time_is_out_after_as_many_steps_as_the_limit_holds():
    drive = start_drive()
    drive.scene.clocks.time_limit_s[:] = 2.0
    assert [drive.step(20.0).timed_out.item() for _ in range(20)] == [False] * 19 + [True]


def test_the_change_of_steering_is_absolute_and_starts_anew():
    drive = start_drive()
    changes = []
    for steer in (0.3, -0.1, -0.1):
        drive.scene.ego.steer[:] = steer
        changes.append(drive.step(20.0).steer_change.item())
    assert changes == pytest.approx([0.3, 0.4, 0.0])
    drive.restart()
    assert drive.step(20.0).steer_change.item() == 0.0


def test_a_lost_world_reports_nothing_but_its_loss():
    drive = start_drive()
    drive.scene.clocks.failed[:] = True
    events = drive.step(60.0, 25.0, speed=40.0)
    assert events.simulator_failed.item()
    calm = uneventful(1)
    for name in calm._fields:
        if name != "simulator_failed":
            assert getattr(events, name).equal(getattr(calm, name)), name


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


@pytest.mark.parametrize("n", range(8, 16))
def test_the_weights_give_scipys_last_filtered_sample(n):
    weights, rng = comfort_weights(), np.random.default_rng(n)
    history = rng.normal(size=(1, 15))
    seen = history[0, :n]
    smooth = savgol_filter(seen, 8, 2)
    expected = {
        "smooth": smooth[-1],
        "jerk": savgol_filter(smooth, min(15, n), 2, deriv=1, delta=0.1)[-1] * 0.1,
        "yaw_rate": savgol_filter(seen, 5, 2, deriv=1, delta=0.1)[-1] * 0.1,
        "yaw_acceleration": savgol_filter(seen, 5, 3, deriv=2, delta=0.1)[-1] * 0.01,
    }
    for name, value in expected.items():
        assert last_filtered(getattr(weights, name), history, 0, n) == pytest.approx(value), name


def active_metrics(samples, yaws=None):
    """Metrics whose window is open after steps with (longitudinal, left) accelerations."""
    drive = start_drive(x=50.0)
    yaws = np.zeros(len(samples)) if yaws is None else yaws
    for (ahead, left), yaw in zip(samples, yaws, strict=True):
        motion = drive.scene.motion
        motion.ax_mps2[0, 0] = math.cos(yaw) * ahead - math.sin(yaw) * left
        motion.ay_mps2[0, 0] = math.sin(yaw) * ahead + math.cos(yaw) * left
        events = drive.step(50.0, yaw=yaw)
    active = np.flatnonzero(drive.memory.counters.comfort_ticks_left[0])
    assert events.num_comfort_active.item() == len(active)
    return active.tolist()


@pytest.mark.parametrize(
    ("ahead", "left", "metrics"),
    [
        (9.9, 0.0, []),
        (10.1, 0.0, [0]),
        (-19.9, 0.0, []),
        (-20.1, 0.0, [0]),
        (0.0, 8.9, []),
        (0.0, 9.1, [1]),
        (0.0, -9.1, [1]),
    ],
)
def test_steady_accelerations_break_their_limits(ahead, left, metrics):
    assert active_metrics([(ahead, left)] * 12) == metrics


def test_seven_samples_are_too_few():
    assert active_metrics([(30.0, 0.0)] * 7) == []
    assert active_metrics([(30.0, 0.0)] * 8) == [0]


@pytest.mark.parametrize(("jerk", "metrics"), [(9.9, []), (10.1, [2, 3])])
def test_jerk_is_the_slope_of_the_acceleration(jerk, metrics):
    # Limits scaled to a third, so that eight samples of a ramp stay below the acceleration's limit
    limits = ComfortSettings(max_jerk_mps3=10.0, max_longitudinal_jerk_mps3=10.0)
    drive = start_drive(x=50.0, settings=DetectorSettings(comfort=limits))
    for i in range(9):
        drive.scene.motion.ax_mps2[0, 0] = 0.1 * i * jerk
        drive.step(50.0)
    assert np.flatnonzero(drive.memory.counters.comfort_ticks_left[0]).tolist() == metrics


@pytest.mark.parametrize(("rate", "metrics"), [(0.99, []), (1.01, [4]), (-1.01, [4])])
def test_yaw_rate_is_the_slope_of_the_yaw_even_across_half_a_turn(rate, metrics):
    yaws = np.pi - 0.5 * rate + 0.1 * rate * np.arange(12)
    wrapped = np.arctan2(np.sin(yaws), np.cos(yaws))
    assert active_metrics([(0.0, 0.0)] * 12, wrapped) == metrics


@pytest.mark.parametrize(("acceleration", "metrics"), [(2.9, []), (3.1, [5])])
def test_yaw_acceleration_is_the_curvature_of_the_yaw(acceleration, metrics):
    time = 0.1 * np.arange(8) - 0.7  # the yaw rate ends at zero
    assert active_metrics([(0.0, 0.0)] * 8, 0.5 * acceleration * time**2) == metrics


def test_a_comfort_window_stays_open_for_500_ticks_after_the_last_violation():
    drive = start_drive(x=50.0)
    drive.memory.counters.comfort_ticks_left[0, 2] = 500
    active = [drive.step(50.0).num_comfort_active.item() for _ in range(501)]
    assert active == [1] * 499 + [0] * 2


def test_a_new_episode_starts_with_an_empty_history():
    drive = start_drive(x=50.0)
    drive.scene.motion.ax_mps2[0, 0] = 30.0
    for _ in range(9):
        drive.step(50.0)
    drive.restart()
    assert drive.step(50.0).num_comfort_active.item() == 0
    assert drive.memory.rings.num_samples[0] == 1


@pytest.mark.kernel
def test_last_filtered_equals_its_plain_python_self():
    weights, history = comfort_weights(), np.random.default_rng(1).normal(size=(2, 15))
    for n in (8, 11, 15):
        plain = last_filtered.py_func(weights.jerk, history, 1, n)
        assert last_filtered(weights.jerk, history, 1, n) == pytest.approx(plain, rel=1e-12)
