"""ConstantSpeed: straight on at the present speed, at most 5 m/s (the devkit's SimplePlanner)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_drivers.straight_plan import HORIZON_STEPS, plan_straight_range
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.simulator import nuplan_simulator
from sim_adapters.nuplan.trajectory import Trajectories, empty_trajectories
from sim_adapters.scene.kernel_launch import launch_range


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
