"""`carla.VehiclePhysicsControl` and `VehicleTelemetryData` of our vehicles."""

from __future__ import annotations

import math
from typing import Any

from sim_adapters.carla.headless.actor_arrays import ActorArrays
from sim_adapters.world.dynamics import MAX_WHEEL_ANGLE_RAD

_TORQUE_CURVE = [[0.0, 400.0], [1890.0, 500.0], [5730.0, 400.0]]  # CARLA's default engine
_FINAL_RATIO = 4.0
_TIRE_FRICTION = 3.5
_FORWARD_GEARS = [
    [4.25, 0.5, 0.65],
    [2.52, 0.35, 0.65],
    [1.66, 0.35, 0.65],
    [1.22, 0.35, 0.65],
    [1.0, 0.35, 0.65],
]
_WHEEL_RADIUS_CM = 35.0
STANDARD_GRAVITY_MPS2 = 9.81
_STEERING_CURVE = [[0.0, 1.0], [20.0, 0.9], [60.0, 0.8], [120.0, 0.7]]


def describe_physics(arrays: ActorArrays, row: int) -> list[Any]:
    """Field by field as on the wire of 0.9.16; wheel positions are in centimetres, as CARLA's."""
    body, pose = arrays.body, arrays.pose
    cos, sin = math.cos(pose.yaw[row]), math.sin(pose.yaw[row])
    length, width = 0.6 * float(body.half_length[row]), 0.8 * float(body.half_width[row])
    wheels: list[list[Any]] = []
    for along, left in ((length, width), (length, -width), (-length, width), (-length, -width)):
        x = float(pose.x[row]) + cos * along - sin * left
        y = float(pose.y[row]) + sin * along + cos * left
        angle_deg = math.degrees(MAX_WHEEL_ANGLE_RAD) if along > 0.0 else 0.0
        position = [100.0 * x, -100.0 * y, 100.0 * float(pose.z[row]) + _WHEEL_RADIUS_CM]
        hand_brake = 0.0 if along > 0.0 else 3000.0
        wheel = [
            _TIRE_FRICTION,
            0.25,
            angle_deg,
            _WHEEL_RADIUS_CM,
            1500.0,
            hand_brake,
            2.0,
            17.0,
            1000.0,
        ]
        wheels.append([*wheel, position])
    return [
        _TORQUE_CURVE,
        5800.0,  # maximum rpm
        1.0,  # moment of inertia
        0.15,  # damping at full throttle
        2.0,  # ... at zero throttle, clutch engaged
        0.35,  # ... and disengaged
        True,  # automatic gearbox
        0.5,  # time to change gear
        10.0,  # clutch strength
        _FINAL_RATIO,
        _FORWARD_GEARS,
        float(body.mass[row]),
        0.3,  # drag coefficient
        [0.0, 0.0, 0.0],  # centre of mass
        _STEERING_CURVE,
        wheels,
        True,  # sweep wheel collision
    ]


def describe_telemetry(arrays: ActorArrays, row: int) -> list[Any]:
    """Field by field as on the wire of 0.9.16: four wheels that roll without slipping.

    The engine turns as its wheels demand; nothing brakes a car but its brakes, so drag is zero.
    """
    driving = arrays.driving
    speed_mps, gear = float(driving.speed[row]), int(driving.reported_gear[row])
    wheel_rad_s = speed_mps / (_WHEEL_RADIUS_CM / 100.0)
    ratio = _FORWARD_GEARS[min(abs(gear), len(_FORWARD_GEARS)) - 1][0] if gear else 0.0
    rpm = abs(wheel_rad_s) * ratio * _FINAL_RATIO * 30.0 / math.pi
    load_n = float(arrays.body.mass[row]) * STANDARD_GRAVITY_MPS2 / 4.0
    # Friction, slip across and along, turning rate, load, its share of the load at rest; then
    # torque and forces, which the fitted car does not have
    wheel = [_TIRE_FRICTION, 0.0, 0.0, wheel_rad_s, load_n, 1.0, *[0.0] * 5]
    pedals = [-float(driving.steer[row]), float(driving.throttle[row]), float(driving.brake[row])]
    return [speed_mps, *pedals, rpm, gear, 0.0, [list(wheel) for _ in range(4)]]
