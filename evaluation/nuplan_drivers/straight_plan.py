"""Plans straight on at the present speed, at most 5 m/s (the devkit's SimplePlanner)."""

from __future__ import annotations

import math

from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import principal_angle
from sim_adapters.nuplan.replay import Timeline
from sim_adapters.nuplan.trajectory import Trajectories
from sim_adapters.scene.state import ActorMotion, EgoBody, EgoState

HORIZON_STEPS = 40
STEP_S, STEP_US = 0.25, 250_000
MAX_SPEED_MPS = 5.0


@range_kernel
def plan_straight_range(
    first: int,
    last: int,
    timeline: Timeline,
    ego: EgoState,
    motion: ActorMotion,
    body: EgoBody,
    plans: Trajectories,
) -> None:
    """Plans of drivers [first, last).

    Above the limit the deceleration is the excess per second, one Euler step of 0.25 s at a time;
    below it the last deceleration stays. The logged lateral speed of the very first state counts.

    Source: nuplan-devkit, SimplePlanner with simple_planner.yaml.
    """
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        x, y = body.rear_axle_x[agent], body.rear_axle_y[agent]
        yaw = motion.yaw_rad[world, slot]
        forward, left = body.vx_mps[agent], body.vy_mps[agent]
        acceleration = 0.0
        time_us = timeline.time_us[world, timeline.frame[world]]
        plans.num_points[agent] = HORIZON_STEPS + 1
        for step in range(HORIZON_STEPS + 1):
            plans.time_us[agent, step] = time_us + step * STEP_US
            plans.x[agent, step], plans.y[agent, step] = x, y
            plans.yaw_rad[agent, step] = yaw
            speed = math.sqrt(forward * forward + left * left)
            if speed > MAX_SPEED_MPS:
                acceleration = MAX_SPEED_MPS - speed
            x += forward * math.cos(yaw) * STEP_S
            y += forward * math.sin(yaw) * STEP_S
            yaw = principal_angle(yaw)
            forward, left = forward + acceleration * STEP_S, 0.0
