"""What turns plans into controls of the car: the devkit's LQR tracker, and CaRL's direct control.

The LQR finds, longitudinally, one acceleration for the next second, laterally one steering rate,
each the exact minimiser of a quadratic cost at the end of the horizon.

Source: nuplan-devkit, LQRTracker with lqr_tracker.yaml's weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import (
    MICROSECOND_S,
    WHEEL_BASE_M,
    drive_bicycle,
    principal_angle,
    write_centre,
)
from sim_adapters.nuplan.replay import Timeline
from sim_adapters.nuplan.trajectory import Trajectories, pose_at
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoBody, EgoState

# Speed and curvature along a trajectory, by the devkit's two regularised least-squares fits.
#
# The devkit writes both fits with dense matrices in (initial value, derivatives) and inverts them.
# In terms of the profiles themselves the normal equations are banded, with the same minimiser:
#
#     speed      sum (dt v_k - p_k)^2 + lambda sum ((v_k+2 - 2 v_k+1 + v_k) / dt)^2
#     curvature  sum (dt v_k c_k - y_k)^2 + mu sum ((c_k+1 - c_k) / dt)^2 + nu c_0^2
#
# with p_k the step along the heading at its start and y_k the turn of step k. (The heading drops
# out of the first matrix because cos^2 + sin^2 = 1.)
#
# Source: nuplan-devkit, tracker_utils.py, and the defaults of lqr_tracker.yaml.


PROFILE_STEP_S = 0.1
JERK_PENALTY = 1e-4
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10


class Profiles(NamedTuple):
    """Workspace of the fits, (E, M): M steps of 0.1 s between M + 1 poses."""

    step_m: FloatArray  # p, along the heading at the step's start
    turn_rad: FloatArray  # y
    speed_mps: FloatArray  # fitted
    curvature_radpm: FloatArray  # fitted
    diagonal: FloatArray  # factors of the speed fit's matrix: L D L^T with two lower bands
    lower: FloatArray
    second_lower: FloatArray
    excess: FloatArray  # of the curvature fit's elimination


def empty_profiles(num_agents: int, num_steps: int) -> Profiles:
    """Workspace for trajectories of `num_steps` tenths of a second."""
    return Profiles(*(np.zeros((num_agents, num_steps)) for _ in Profiles._fields))


@device_function
def fit_speed(agent: int, num_steps: int, profiles: Profiles) -> None:
    """Fill `speed_mps` from `step_m`.

    The matrix dt^2 I + w D^T D, D second differences, is pentadiagonal and well conditioned.
    """
    dt = PROFILE_STEP_S
    weight = JERK_PENALTY / (dt * dt)
    diagonal, lower = profiles.diagonal, profiles.lower
    second, speed = profiles.second_lower, profiles.speed_mps
    last = num_steps - 1
    for k in range(num_steps):
        # Rows (1, -2, 1) of D that start at k, k - 1 and k - 2
        starts, middles, ends = k <= last - 2, 1 <= k <= last - 1, k >= 2
        value = dt * dt + weight * ((1.0 if starts else 0.0) + (1.0 if ends else 0.0))
        value += 4.0 * weight if middles else 0.0
        right_hand = dt * profiles.step_m[agent, k]
        # Bands right of the diagonal, divided by it after elimination
        first_band = (-2.0 * weight if starts else 0.0) + (-2.0 * weight if middles else 0.0)
        second_band = weight if starts else 0.0
        if k >= 1:
            factor = lower[agent, k - 1]
            value -= factor * factor * diagonal[agent, k - 1]
            first_band -= factor * second[agent, k - 1] * diagonal[agent, k - 1]
            right_hand -= factor * speed[agent, k - 1]
        if k >= 2:
            factor = second[agent, k - 2]
            value -= factor * factor * diagonal[agent, k - 2]
            right_hand -= factor * speed[agent, k - 2]
        diagonal[agent, k] = value
        lower[agent, k] = first_band / value
        second[agent, k] = second_band / value
        speed[agent, k] = right_hand
    for k in range(last, -1, -1):
        speed[agent, k] /= diagonal[agent, k]
        if k + 1 <= last:
            speed[agent, k] -= lower[agent, k] * speed[agent, k + 1]
        if k + 2 <= last:
            speed[agent, k] -= second[agent, k] * speed[agent, k + 2]


@device_function
def fit_curvature(agent: int, num_steps: int, profiles: Profiles) -> None:
    """Fill `curvature_radpm` from `turn_rad` and `speed_mps`.

    The matrix is w times a chain of springs plus (dt v)^2 on the diagonal. Eliminating from the
    end with only the excess over the chain keeps full precision when the car hardly moves.
    """
    dt = PROFILE_STEP_S
    weight = CURVATURE_RATE_PENALTY / (dt * dt)
    excess, curvature = profiles.excess, profiles.curvature_radpm
    carried_excess, carried_right = 0.0, 0.0
    for k in range(num_steps - 1, -1, -1):
        reach = dt * profiles.speed_mps[agent, k]
        own = reach * reach + (INITIAL_CURVATURE_PENALTY if k == 0 else 0.0)
        excess[agent, k] = own + carried_excess
        curvature[agent, k] = reach * profiles.turn_rad[agent, k] + carried_right
        share = weight / (weight + excess[agent, k])
        carried_excess = share * excess[agent, k]
        carried_right = share * curvature[agent, k]
    curvature[agent, 0] /= excess[agent, 0]
    for k in range(1, num_steps):
        curvature[agent, k] = (curvature[agent, k] + weight * curvature[agent, k - 1]) / (
            weight + excess[agent, k]
        )


HORIZON_STEPS = 10
PROFILE_STEP_US = 100_000
SPEED_WEIGHT, ACCELERATION_WEIGHT = 10.0, 1.0
LATERAL_WEIGHT, HEADING_WEIGHT, STEERING_RATE_WEIGHT = 1.0, 10.0, 1.0
STOPPING_SPEED_MPS, STOPPING_GAIN = 0.2, 0.5


@range_kernel
def track_trajectories_range(
    first: int,
    last: int,
    timeline: Timeline,
    trajectories: Trajectories,
    profiles: Profiles,
    ego: EgoState,
    motion: ActorMotion,
    body: EgoBody,
    commands: Commands,
) -> None:
    """Commands of drivers [first, last) that follow their trajectories from where they are."""
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        now_us = timeline.time_us[world, timeline.frame[world]]
        num_steps = _measure_steps(agent, trajectories, profiles)
        fit_speed(agent, num_steps, profiles)
        fit_curvature(agent, num_steps, profiles)
        start_us = trajectories.time_us[agent, 0]
        now_s = now_us * MICROSECOND_S
        horizon_s = HORIZON_STEPS * PROFILE_STEP_S
        wish = _value_at(agent, now_s + horizon_s, start_us, num_steps, profiles.speed_mps)
        speed = body.vx_mps[agent]
        if wish <= STOPPING_SPEED_MPS and speed <= STOPPING_SPEED_MPS:
            commands.acceleration_mps2[agent] = -STOPPING_GAIN * (speed - wish)
            commands.tyre_rate_radps[agent] = 0.0
            continue
        gain = SPEED_WEIGHT * horizon_s
        acceleration = gain / (gain * horizon_s + ACCELERATION_WEIGHT) * (wish - speed)
        x, y, yaw, _ = pose_at(agent, now_us, 1, trajectories)
        dx, dy = body.rear_axle_x[agent] - x, body.rear_axle_y[agent] - y
        commands.acceleration_mps2[agent] = acceleration
        commands.tyre_rate_radps[agent] = _steering_rate(
            agent,
            -dx * math.sin(yaw) + dy * math.cos(yaw),
            principal_angle(motion.yaw_rad[world, slot] - yaw),
            body.tyre_angle_rad[agent],
            speed,
            acceleration,
            now_s,
            start_us,
            num_steps,
            profiles,
        )


@device_function
def _measure_steps(agent: int, trajectories: Trajectories, profiles: Profiles) -> int:
    """Resample a trajectory every 0.1 s from its start; steps along the heading and turns."""
    start_us = trajectories.time_us[agent, 0]
    end_us = trajectories.time_us[agent, trajectories.num_points[agent] - 1]
    num_steps = (end_us - start_us) // PROFILE_STEP_US
    x, y, yaw, segment = pose_at(agent, start_us, 1, trajectories)
    for k in range(num_steps):
        time_us = start_us + (k + 1) * PROFILE_STEP_US
        next_x, next_y, next_yaw, segment = pose_at(agent, time_us, segment, trajectories)
        profiles.step_m[agent, k] = math.cos(yaw) * (next_x - x) + math.sin(yaw) * (next_y - y)
        profiles.turn_rad[agent, k] = principal_angle(next_yaw - yaw)
        x, y, yaw = next_x, next_y, next_yaw
    return num_steps


@device_function
def _value_at(
    agent: int, time_s: float, start_us: int, num_steps: int, values: FloatArray
) -> float:
    """Linear interpolation of a profile, its ends held.

    Profile times are microseconds divided by a million and `time_s` a product with 1e-6, as in the
    devkit: at a clock of 1.6e9 s the two differ by 2e-7 s, which is seen in the sixth digit.
    """
    k = math.floor((time_s - start_us / 1e6) / PROFILE_STEP_S + 1e-3)
    if k < 0 or num_steps == 1:
        return values[agent, 0]
    if k > 0 and (start_us + k * PROFILE_STEP_US) / 1e6 > time_s:
        k -= 1
    if k >= num_steps - 1:
        return values[agent, num_steps - 1]
    time_0 = (start_us + k * PROFILE_STEP_US) / 1e6
    time_1 = (start_us + (k + 1) * PROFILE_STEP_US) / 1e6
    if time_s <= time_0:
        return values[agent, k]
    slope = (values[agent, k + 1] - values[agent, k]) / (time_1 - time_0)
    return slope * (time_s - time_0) + values[agent, k]


@device_function
def _steering_rate(
    agent: int,
    lateral_m: float,
    heading_rad: float,
    tyre_rad: float,
    speed_mps: float,
    acceleration_mps2: float,
    now_s: float,
    start_us: int,
    num_steps: int,
    profiles: Profiles,
) -> float:
    """Steering rate that, held for the horizon, leaves the least weighted error at its end.

    The state (lateral error, heading error, tyre angle) moves linearly at known speeds; `free_*`
    is where it goes without steering, `push_*` its derivative by the steering rate.
    """
    dt = PROFILE_STEP_S
    free_lateral, free_heading = lateral_m, heading_rad
    push_lateral, push_heading, push_tyre = 0.0, 0.0, 0.0
    gained = 0.0
    for step in range(HORIZON_STEPS):
        reach = (speed_mps + gained) * dt
        gained += acceleration_mps2 * dt
        time_s = now_s + step * dt
        curvature = _value_at(agent, time_s, start_us, num_steps, profiles.curvature_radpm)
        free_lateral += reach * free_heading
        free_heading += reach / WHEEL_BASE_M * tyre_rad - reach * curvature
        push_lateral += reach * push_heading
        push_heading += reach / WHEEL_BASE_M * push_tyre
        push_tyre += dt
    pull = LATERAL_WEIGHT * push_lateral * free_lateral
    pull += HEADING_WEIGHT * push_heading * principal_angle(free_heading)
    stiffness = LATERAL_WEIGHT * push_lateral * push_lateral + STEERING_RATE_WEIGHT
    return -pull / (stiffness + HEADING_WEIGHT * push_heading * push_heading)


# CaRL's one-stage control: a policy's action straight into the bicycle, without a tracker.


FULL_STEER_RAD = 0.83775804096  # 48 degrees: tyre angle that an action of 1 asks for
MAX_ACCELERATION_MPS2 = 2.4
MAX_BRAKING_MPS2 = 3.2
CONTROL_STEP_S = 0.1  # CaRL's own, whatever the log's clock says
STOPPING_SPEED_GAIN = 1.0
STOPPING_ACCELERATION_GAIN = 0.75


class Commands(NamedTuple):
    """What the motion model is asked to do, (E,)."""

    acceleration_mps2: FloatArray
    tyre_rate_radps: FloatArray


def empty_commands(num_agents: int) -> Commands:
    """Commands of E drivers, all zero."""
    return Commands(np.zeros(num_agents), np.zeros(num_agents))


@range_kernel
def command_actions_range(
    first: int,
    last: int,
    steer: FloatArray,
    acceleration: FloatArray,
    body: EgoBody,
    commands: Commands,
) -> None:
    """Commands of drivers [first, last) from actions in [-1, 1], left is positive.

    The steering action is an absolute tyre angle, reached in one step but for the lag. A command
    that would lead to reversing becomes -v - 0.75 a, which stands still after a few steps.

    Source: CaRL's action trajectory builder with its default settings.
    """
    for agent in range(first, last):
        wish = steer[agent] * FULL_STEER_RAD
        commands.tyre_rate_radps[agent] = (wish - body.tyre_angle_rad[agent]) / CONTROL_STEP_S
        pedal, speed = acceleration[agent], body.vx_mps[agent]
        command = pedal * (MAX_ACCELERATION_MPS2 if pedal >= 0.0 else MAX_BRAKING_MPS2)
        if speed + CONTROL_STEP_S * command < 0.0:
            command = -STOPPING_SPEED_GAIN * speed
            command -= STOPPING_ACCELERATION_GAIN * body.ax_mps2[agent]
        commands.acceleration_mps2[agent] = min(
            max(command, -MAX_BRAKING_MPS2), MAX_ACCELERATION_MPS2
        )


# Moves a scene on as a planner imagines it: drivers by the bicycle, the others as they go now.


@range_kernel
def imagine_step_range(
    first: int,
    last: int,
    step_s: float,
    commands: Commands,
    ego: EgoState,
    motion: ActorMotion,
    traits: ActorTraits,
    body: EgoBody,
) -> None:
    """Move drivers first to last - 1 under their commands, all others at constant velocity."""
    for agent in range(first, last):
        world, own = int(ego.world[agent]), int(ego.slot[agent])
        acceleration, rate = commands.acceleration_mps2[agent], commands.tyre_rate_radps[agent]
        drive_bicycle(agent, world, own, step_s, acceleration, rate, motion, body)
        write_centre(agent, world, own, motion, body)
        for slot in range(traits.valid.shape[1]):
            if slot != own and traits.valid[world, slot]:
                motion.x[world, slot] += motion.vx_mps[world, slot] * step_s
                motion.y[world, slot] += motion.vy_mps[world, slot] * step_s
