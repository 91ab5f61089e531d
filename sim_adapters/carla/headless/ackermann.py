"""Ackermann control: vehicles that hold a steering angle and approach a speed by themselves.

CARLA's server runs a controller for each such vehicle until the next ordinary control. Ours is a
proportional-integral speed controller; CARLA's gains do not carry over to another engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim_adapters.carla.headless.actor_arrays import ActorArrays
from sim_adapters.world.dynamics import MAX_WHEEL_ANGLE_RAD

_PROPORTIONAL = 0.35  # pedal per m/s
_INTEGRAL = 0.12  # pedal per m
_MOST_INTEGRATED_M = 8.0
_BRAKE_SHARE = 0.25  # the brake is that much stronger than the engine


@dataclass
class AckermannTarget:
    """What one vehicle was told, right-handed.

    Args:
        steer_rad: Wheel angle, left positive.
        steer_speed_radps: How fast the wheels turn at most; 0 at once.
        speed_mps: Negative backwards.
        acceleration_mps2: Most change of speed; 0 as the car can.
    """

    steer_rad: float
    steer_speed_radps: float
    speed_mps: float
    acceleration_mps2: float
    integrated_m: float = 0.0
    ramped_mps: float | None = None


def drive_to_target(arrays: ActorArrays, row: int, target: AckermannTarget, dt: float) -> None:
    """Set the pedals and the steering of one vehicle for the next tick."""
    driving = arrays.driving
    direction = -1.0 if target.speed_mps < 0.0 else 1.0
    now = direction * float(driving.speed[row])
    wanted = _ramp(target, now, dt)
    error = wanted - now
    target.integrated_m += error * dt
    target.integrated_m = min(max(target.integrated_m, -_MOST_INTEGRATED_M), _MOST_INTEGRATED_M)
    pedal = _PROPORTIONAL * error + _INTEGRAL * target.integrated_m
    if wanted <= 0.0 and now < 0.5:
        pedal = -1.0
    driving.throttle[row] = min(max(pedal, 0.0), 1.0)
    driving.brake[row] = min(max(-pedal * _BRAKE_SHARE, 0.0), 1.0) if pedal > -1.0 else 1.0
    driving.is_reverse[row] = target.speed_mps < 0.0
    steer = min(max(target.steer_rad / MAX_WHEEL_ANGLE_RAD, -1.0), 1.0)
    change = steer - float(driving.steer[row])
    if target.steer_speed_radps > 0.0:
        most = target.steer_speed_radps * dt / MAX_WHEEL_ANGLE_RAD
        change = math.copysign(min(abs(change), most), change)
    driving.steer[row] += change
    record = arrays.records[row]
    pedals = (float(driving.throttle[row]), -float(driving.steer[row]), float(driving.brake[row]))
    record["control"], record["reverse"] = pedals, driving.is_reverse[row]
    record["hand_brake"] = record["manual_gear"] = False


def _ramp(target: AckermannTarget, now: float, dt: float) -> float:
    """Speed wanted in this tick: the target's, approached at its acceleration."""
    goal = abs(target.speed_mps)
    if target.acceleration_mps2 <= 0.0:
        return goal
    from_mps = now if target.ramped_mps is None else target.ramped_mps
    change = goal - from_mps
    most = target.acceleration_mps2 * dt
    target.ramped_mps = from_mps + math.copysign(min(abs(change), most), change)
    return target.ramped_mps
