"""Speed, blocking, time-out and lost worlds."""

import math

import pytest

from rewards.driving_events import uneventful
from sim_adapters.scene.events.detection import DetectorSettings
from tests.scene.hand_made_map import start_drive


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
