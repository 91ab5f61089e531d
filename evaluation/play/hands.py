"""Hands: a person's keys as steering and pedals, as smooth as hands and feet are."""

from __future__ import annotations

from collections.abc import Set

from evaluation.drivers.vehicle_control import steer_for_curvature

LEFT, RIGHT, THROTTLE, BRAKE = "left", "right", "throttle", "brake"
KEYS = frozenset({LEFT, RIGHT, THROTTLE, BRAKE})
# A key held means the tightest bend that is still comfortable to look at, at any speed
MOST_LATERAL_MPS2 = 4.5
SLOWEST_MPS = 3.0  # below it the wheel turns no further
TURN_S, RETURN_S = 0.45, 0.25  # from straight on to that bend, and back
PRESS_S, BRAKE_S, RELEASE_S = 0.35, 0.2, 0.15  # of a pedal


class Hands:
    """Turns the keys that are held into controls, step by step."""

    def __init__(self) -> None:
        self._turn, self._pedal = 0.0, 0.0  # [-1, 1], left and throttle positive

    def rest(self) -> None:
        """Let go of wheel and pedals."""
        self._turn = self._pedal = 0.0

    def controls(self, held: Set[str], speed_mps: float, step_s: float) -> tuple[float, float]:
        """Steer and acceleration, [-1, 1] each, left and throttle positive.

        Args:
            held: Of KEYS.
            speed_mps: Of the car.
            step_s: Since the last call.
        """
        wanted = float(LEFT in held) - float(RIGHT in held)
        turns = abs(wanted) > 0.0 and wanted * self._turn >= 0.0
        self._turn = _toward(self._turn, wanted, step_s / (TURN_S if turns else RETURN_S))
        if BRAKE in held:
            self._pedal = _toward(min(self._pedal, 0.0), -1.0, step_s / BRAKE_S)
        elif THROTTLE in held:
            self._pedal = _toward(max(self._pedal, 0.0), 1.0, step_s / PRESS_S)
        else:
            self._pedal = _toward(self._pedal, 0.0, step_s / RELEASE_S)
        curvature_per_m = MOST_LATERAL_MPS2 / max(speed_mps, SLOWEST_MPS) ** 2
        return self._turn * float(steer_for_curvature(curvature_per_m)), self._pedal


def _toward(value: float, wanted: float, most: float) -> float:
    """`value` moved towards `wanted` by `most` at most."""
    return value + min(max(wanted - value, -most), most)
