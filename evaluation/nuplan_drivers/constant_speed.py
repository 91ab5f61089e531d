"""ConstantSpeed: straight on at the present speed, at most 5 m/s (the devkit's SimplePlanner)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import principal_angle
from sim_adapters.nuplan.replay import Timeline
from sim_adapters.nuplan.simulator import nuplan_simulator
from sim_adapters.nuplan.trajectory import Trajectories, empty_trajectories
from sim_adapters.scene.kernel_launch import launch_range
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


class ConstantSpeed:
    """Plans ten seconds straight on, slowing down to 5 m/s if faster."""

    def __init__(self, *, name: str = "constant_speed") -> None:
        self.name = name
        self._plans = empty_trajectories(0, HORIZON_STEPS + 1)

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Make room for the batch."""
        nuplan_simulator(worlds.simulator, agents)
        self._plans = empty_trajectories(worlds.num_envs, HORIZON_STEPS + 1)

    def act(self, worlds: DrivingWorlds) -> Trajectories:
        """Plan anew."""
        scene = worlds.scene
        launch_range(
            plan_straight_range,
            scene.num_agents,
            nuplan_simulator(worlds.simulator).book.timeline,
            scene.ego,
            scene.motion,
            scene.body,
            self._plans,
        )
        return self._plans
