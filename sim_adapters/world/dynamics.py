"""The ego's motion on CARLA: fitted kinematic bicycle about the vehicle centre.

Source: World on Rails' bicycle as refitted by PDM-Lite (carla_garage `team_code/config.py`) for
0.05 s steps. Steering, yaw and lateral axes are right-handed here: left is positive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.state import ActorMotion, EgoState
from sim_adapters.world.ego_speed import SUBSTEP_S, next_speed_mps
from sim_adapters.world.gears import gear_step

MAX_WHEEL_ANGLE_RAD = 0.36848336  # at steer 1
REAR_AXLE_M = 1.4178275  # fitted, not measured, as is the front one
FRONT_AXLE_M = -0.090769015
_SLIP_SHARE = REAR_AXLE_M / (FRONT_AXLE_M + REAR_AXLE_M)


class Drivetrain(NamedTuple):
    """What a driver's car remembers beside its pose, (E,)."""

    speed_mps: NDArray[np.float64]  # along the direction of travel, >= 0
    gear: NDArray[np.int32]  # engaged, or being engaged
    shift_substeps_left: NDArray[np.int32]
    steer_noise: NDArray[np.float64]  # added to the steering (ControlLoss), 0 as a rule
    throttle_noise: NDArray[np.float64]


def empty_drivetrain(num_agents: int) -> Drivetrain:
    """Cars that stand in neutral."""
    return Drivetrain(
        np.zeros(num_agents),
        np.zeros(num_agents, np.int32),
        np.zeros(num_agents, np.int32),
        np.zeros(num_agents),
        np.zeros(num_agents),
    )


@device_function
def slip_angle_rad(steer: float) -> float:
    """Angle between heading and direction of travel at a steer in [-1, 1], left positive."""
    return math.atan(_SLIP_SHARE * math.tan(MAX_WHEEL_ANGLE_RAD * steer))


@device_function
def ego_step(
    x: float,
    y: float,
    yaw: float,
    v: float,
    steer: float,
    throttle: float,
    brake: float,
    dt: float,
) -> tuple[float, float, float, float]:
    """One step of the fitted car.

    Args:
        x: Box centre [m].
        y: Box centre [m].
        yaw: Heading, counter-clockwise [rad].
        v: Speed [m/s], >= 0.
        steer: In [-1, 1], left positive.
        throttle: In [0, 1].
        brake: In [0, 1]; any brake overrides the throttle.
        dt: Step [s], 0.05 in the fit.

    Returns:
        x, y, yaw (not wrapped) and v after the step. The pose moves with the old speed, as fitted.
    """
    slip = slip_angle_rad(steer)
    next_x = x + v * math.cos(yaw + slip) * dt
    next_y = y + v * math.sin(yaw + slip) * dt
    next_yaw = yaw + v / REAR_AXLE_M * math.sin(slip) * dt
    return next_x, next_y, next_yaw, next_speed_mps(v, throttle, brake, dt)


@device_function
def drive_ego(
    agent: int,
    motion: ActorMotion,
    ego: EgoState,
    drivetrain: Drivetrain,
    steer: float,
    acceleration: float,
    step_s: float,
) -> None:
    """Advance one driver's car by `step_s` in substeps of 0.05 s and write its new state."""
    world, slot = int(ego.world[agent]), int(ego.slot[agent])
    throttle, brake = min(max(acceleration, 0.0), 1.0), min(max(-acceleration, 0.0), 1.0)
    steer = min(max(steer, -1.0), 1.0)
    ego.steer[agent] = steer
    ego.throttle[agent], ego.brake[agent] = throttle, brake
    steer = min(max(steer + drivetrain.steer_noise[agent], -1.0), 1.0)
    throttle = min(max(throttle + drivetrain.throttle_noise[agent], 0.0), 1.0)
    x, y = float(motion.x[world, slot]), float(motion.y[world, slot])
    yaw, v = float(motion.yaw_rad[world, slot]), float(drivetrain.speed_mps[agent])
    gear, substeps_left = int(drivetrain.gear[agent]), int(drivetrain.shift_substeps_left[agent])
    reported = gear
    num_substeps = max(1, round(step_s / SUBSTEP_S))
    for _ in range(num_substeps):
        x, y, yaw, v = ego_step(x, y, yaw, v, steer, throttle, brake, step_s / num_substeps)
        gear, substeps_left, reported = gear_step(gear, substeps_left, v, throttle, brake)
    slip = slip_angle_rad(steer)
    vx, vy = v * math.cos(yaw + slip), v * math.sin(yaw + slip)
    motion.ax_mps2[world, slot] = (vx - motion.vx_mps[world, slot]) / step_s
    motion.ay_mps2[world, slot] = (vy - motion.vy_mps[world, slot]) / step_s
    motion.vx_mps[world, slot], motion.vy_mps[world, slot] = vx, vy
    motion.x[world, slot], motion.y[world, slot] = x, y
    motion.yaw_rad[world, slot] = wrap_angle(yaw)
    motion.yaw_rate_radps[world, slot] = v / REAR_AXLE_M * math.sin(slip)
    drivetrain.speed_mps[agent] = v
    drivetrain.gear[agent], drivetrain.shift_substeps_left[agent] = gear, substeps_left
    ego.gear[agent] = reported


@range_kernel
def drive_ego_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    drivetrain: Drivetrain,
    steer: NDArray[np.float64],
    acceleration: NDArray[np.float64],
    step_s: float,
) -> None:
    """`drive_ego` for drivers `first` to `last` (exclusive)."""
    for agent in range(first, last):
        drive_ego(agent, motion, ego, drivetrain, steer[agent], acceleration[agent], step_s)
