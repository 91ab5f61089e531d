import pytest

from evaluation.drivers.vehicle_control import steer_for_curvature
from evaluation.play.session import MOST_LATERAL_MPS2, TURN_S, Hands

STEP_S = 0.05


def drive(hands: Hands, held: set[str], seconds: float, speed_mps: float = 10.0):
    return [hands.controls(held, speed_mps, STEP_S) for _ in range(round(seconds / STEP_S))]


def test_a_key_held_turns_the_wheel_steadily_to_the_tightest_comfortable_bend():
    steer = [steer for steer, _ in drive(Hands(), {"left"}, 2.0)]
    tightest = float(steer_for_curvature(MOST_LATERAL_MPS2 / 10.0**2))
    assert steer[0] == pytest.approx(tightest * STEP_S / TURN_S)
    assert steer == sorted(steer)
    assert steer[-1] == pytest.approx(tightest)


def test_the_same_key_turns_the_wheel_less_at_speed():
    slow, fast = (drive(Hands(), {"right"}, 1.0, v)[-1][0] for v in (5.0, 20.0))
    assert slow < fast < 0.0  # right is negative


def test_the_wheel_comes_back_when_it_is_let_go():
    hands = Hands()
    drive(hands, {"left"}, 1.0)
    assert drive(hands, set(), 1.0)[-1] == (0.0, 0.0)


def test_the_brake_goes_before_the_throttle():
    hands = Hands()
    assert drive(hands, {"throttle"}, 1.0)[-1][1] == 1.0
    assert drive(hands, {"throttle", "brake"}, STEP_S)[0][1] == pytest.approx(-0.25)
    assert drive(hands, {"throttle", "brake"}, 1.0)[-1][1] == -1.0


def test_both_sides_at_once_are_straight_on():
    assert drive(Hands(), {"left", "right"}, 1.0)[-1][0] == 0.0
