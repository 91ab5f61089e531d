"""The devkit's kinematic bicycle: first-order lags, then one forward Euler step of the rear axle.

Source: nuplan-devkit, KinematicBicycleModel with the Pacifica's parameters.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.scene.nuplan_events.memory import REAR_AXLE_TO_CENTRE_M
from sim_adapters.scene.state import ActorMotion, EgoBody

WHEEL_BASE_M = 3.089
LENGTH_M, WIDTH_M, HEIGHT_M = 5.176, 2.297, 1.777
MAX_TYRE_ANGLE_RAD = math.pi / 3.0
ACCELERATION_LAG_S = 0.2
TYRE_ANGLE_LAG_S = 0.05
MICROSECOND_S = 1e-6


@inlined_function
def principal_angle(angle_rad: float) -> float:
    """The same direction in [-pi, pi), by the devkit's formula."""
    return (angle_rad + math.pi) % (2.0 * math.pi) - math.pi


@device_function
def drive_bicycle(
    agent: int,
    world: int,
    slot: int,
    dt: float,
    acceleration_mps2: float,
    tyre_rate_radps: float,
    motion: ActorMotion,
    body: EgoBody,
) -> None:
    """Advance one car by `dt` under commanded acceleration and steering rate.

    Positions use the old speed and the old tyre angle; speed and angle the lagged commands.
    """
    speed, yaw = body.vx_mps[agent], motion.yaw_rad[world, slot]
    angle, old_acceleration = body.tyre_angle_rad[agent], body.ax_mps2[agent]

    gain = dt / (dt + ACCELERATION_LAG_S)
    acceleration = gain * (acceleration_mps2 - old_acceleration) + old_acceleration
    gain = dt / (dt + TYRE_ANGLE_LAG_S)
    lagged_angle = gain * (dt * tyre_rate_radps) + angle
    rate = (lagged_angle - angle) / dt

    body.rear_axle_x[agent] += speed * math.cos(yaw) * dt
    body.rear_axle_y[agent] += speed * math.sin(yaw) * dt
    motion.yaw_rad[world, slot] = principal_angle(yaw + speed * math.tan(angle) / WHEEL_BASE_M * dt)

    new_speed = speed + acceleration * dt
    new_angle = min(max(angle + rate * dt, -MAX_TYRE_ANGLE_RAD), MAX_TYRE_ANGLE_RAD)
    yaw_rate = new_speed * math.tan(new_angle) / WHEEL_BASE_M
    body.yaw_acceleration_radps2[agent] = (yaw_rate - body.yaw_rate_radps[agent]) / dt
    body.yaw_rate_radps[agent] = yaw_rate
    body.vx_mps[agent], body.vy_mps[agent] = new_speed, 0.0
    body.ax_mps2[agent], body.ay_mps2[agent] = acceleration, 0.0
    body.tyre_angle_rad[agent], body.tyre_rate_radps[agent] = new_angle, rate


@device_function
def write_centre(agent: int, world: int, slot: int, motion: ActorMotion, body: EgoBody) -> None:
    """Write the car's centre into its actor slot, from its rear axle and yaw.

    The acceleration is that of a rigid body. The devkit's own shift, which its metrics use, adds
    L (w^2 + dw/dt) to the longitudinal part instead; who needs that takes it from `body`.
    """
    yaw, yaw_rate = motion.yaw_rad[world, slot], body.yaw_rate_radps[agent]
    cos, sin = math.cos(yaw), math.sin(yaw)
    reach = REAR_AXLE_TO_CENTRE_M
    motion.x[world, slot] = body.rear_axle_x[agent] + reach * cos
    motion.y[world, slot] = body.rear_axle_y[agent] + reach * sin
    forward, left = body.vx_mps[agent], body.vy_mps[agent] + reach * yaw_rate
    motion.vx_mps[world, slot] = cos * forward - sin * left
    motion.vy_mps[world, slot] = sin * forward + cos * left
    forward = body.ax_mps2[agent] - reach * yaw_rate * yaw_rate
    left = body.ay_mps2[agent] + reach * body.yaw_acceleration_radps2[agent]
    motion.ax_mps2[world, slot] = cos * forward - sin * left
    motion.ay_mps2[world, slot] = sin * forward + cos * left
    motion.yaw_rate_radps[world, slot] = yaw_rate
