"""The devkit's LQR tracker: acceleration and steering rate that follow a planned trajectory.

Longitudinally one acceleration for the next second, laterally one steering rate, each the exact
minimiser of a quadratic cost at the end of the horizon.

Source: nuplan-devkit, LQRTracker with lqr_tracker.yaml's weights.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import MICROSECOND_S, WHEEL_BASE_M, principal_angle
from sim_adapters.nuplan.lqr_profile import (
    PROFILE_STEP_S,
    FloatArray,
    Profiles,
    fit_curvature,
    fit_speed,
)
from sim_adapters.nuplan.one_stage import Commands
from sim_adapters.nuplan.replay_log import Timeline
from sim_adapters.nuplan.trajectory import Trajectories, pose_at
from sim_adapters.scene.state import ActorMotion, EgoBody, EgoState

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
