"""nuPlan's yardsticks: straight on at the present speed, and what the human did.

They are the devkit's SimplePlanner and LogFuturePlanner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import principal_angle
from sim_adapters.nuplan.replay import Timeline
from sim_adapters.nuplan.scenario_log import ScenarioLog
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


NUM_FUTURE_POSES = 16
FRAMES_BETWEEN = 5  # half a second at 10 Hz


class LogReplay:
    """Plans the logged present and future: 16 poses half a second apart, fewer at the log's end.

    Where nothing at all is left of the log the plan before it goes on.

    Source: nuplan-devkit, LogFuturePlanner with log_future_planner.yaml.
    """

    def __init__(self, *, name: str = "log_replay") -> None:
        self.name = name
        self._plans = empty_trajectories(0, NUM_FUTURE_POSES + 1)
        self._human = empty_trajectories(0, 1)

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Put the logged paths of the batch side by side."""
        simulator = nuplan_simulator(worlds.simulator, agents)
        self._plans = empty_trajectories(worlds.num_envs, NUM_FUTURE_POSES + 1)
        self._human = _logged_paths([simulator.logs[world] for world in agents.tolist()])

    def act(self, worlds: DrivingWorlds) -> Trajectories:
        """The human's next seconds."""
        simulator = nuplan_simulator(worlds.simulator)
        human, plans = self._human, self._plans
        frame = simulator.book.timeline.frame
        frames = frame[:, None] + FRAMES_BETWEEN * np.arange(NUM_FUTURE_POSES + 1)
        known = (frames < human.num_points[:, None]).sum(axis=1)
        planned = np.flatnonzero(known >= 2)
        plans.num_points[planned] = known[planned]
        rows = planned[:, None], np.minimum(frames[planned], human.x.shape[1] - 1)
        for name in Trajectories._fields[1:]:
            getattr(plans, name)[planned] = getattr(human, name)[rows]
        return plans


def _logged_paths(logs: Sequence[ScenarioLog]) -> Trajectories:
    """The window's frames and those after it, one row a scenario."""
    lengths = [log.ego.x.size + log.future_ego.x.size for log in logs]
    paths = empty_trajectories(len(logs), max(lengths))
    paths.num_points[:] = lengths
    for row, (log, length) in enumerate(zip(logs, lengths, strict=True)):
        for name in Trajectories._fields[1:]:
            parts = getattr(log.ego, name), getattr(log.future_ego, name)
            getattr(paths, name)[row, :length] = np.concatenate(parts)
    return paths
