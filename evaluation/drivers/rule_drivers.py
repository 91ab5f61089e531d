"""Drivers without a network: the rule-based one, and two that see next to nothing.

They read the scene itself, not the observation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.route_following import follow_routes_range
from evaluation.drivers.rule_pedals import choose_pedals_range
from evaluation.drivers.vehicle_control import pedals_range
from sim_adapters.driving.worlds import DrivingWorlds

SHARE_OF_LIMIT = 0.9  # of the posted speed it drives at, to never exceed it
SLOWEST_MPS = 2.0  # in the tightest bend


class RuleBasedDriver:
    """The yardstick beside every score, PDM-Lite's numbers on the same interface.

    Pure pursuit along the route; IDM towards actors in its corridor, red lights and stop signs; the
    speed limit and the speed of bends. It does not change lanes around obstacles. Source of the
    numbers: PDM-Lite (carla_garage, leaderboard_2).
    """

    def __init__(self, *, name: str = "idm") -> None:
        self.name = name
        self._served_sign = np.zeros(0, np.int64)  # (E,) stop sign already stopped at, -1 none

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Forget the signs of the last route."""
        if self._served_sign.shape != (worlds.num_envs,):
            self._served_sign = np.full(worlds.num_envs, -1, np.int64)
        self._served_sign[agents] = -1

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """Steering of the pursuit, pedal of the least acceleration that any rule asks for."""
        scene, maps, num_agents = worlds.scene, worlds.maps, worlds.num_envs
        passed = worlds.memory.route.index
        steer, desired, pedal = (np.zeros(num_agents) for _ in range(3))
        follow_routes_range(
            0, num_agents, scene.ego, scene.motion, scene.routes, passed, steer, desired
        )
        limit = SHARE_OF_LIMIT * scene.ego.speed_limit_mps
        desired = np.clip(desired, SLOWEST_MPS, np.maximum(limit, SLOWEST_MPS))
        choose_pedals_range(
            0,
            num_agents,
            scene.arrays,
            maps.roads,
            passed,
            worlds.memory.counters.standing_s,
            desired,
            self._served_sign,
            pedal,
        )
        return worlds.action_layout.encode(steer, pedal)


class ConstantSpeedDriver:
    """Goes straight on at one speed, the constant-velocity yardstick of motion forecasting.

    It sees nothing: neither the route's turns nor traffic, lights or signs.
    """

    def __init__(
        self,
        speed_mps: float = 6.0,
        *,
        gain_per_s: float = 1.0,
        name: str = "constant_speed",
    ) -> None:
        self.speed_mps, self.name = speed_mps, name
        self.gain_per_s = gain_per_s  # of the speed error

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """It remembers nothing."""

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """A proportional speed controller and `steer`."""
        speed, pedal = ego_speed_mps(worlds), np.zeros(worlds.num_envs)
        wanted = self.gain_per_s * (self.speed_mps - speed)
        pedals_range(0, worlds.num_envs, speed, wanted, pedal)
        return worlds.action_layout.encode(self.steer(worlds), pedal)

    def steer(self, worlds: DrivingWorlds) -> NDArray[np.float64]:
        """Straight on, (E,)."""
        return np.zeros(worlds.num_envs)


class BlindFollower(ConstantSpeedDriver):
    """Steers along the route at one speed, blind to traffic, lights and signs.

    The leaderboard does not end a route at a collision, so such a car completes nearly all of them:
    its score, not its completion, shows what driving without looking is worth.
    """

    def __init__(
        self,
        speed_mps: float = 6.0,
        *,
        gain_per_s: float = 1.0,
        name: str = "blind_follower",
    ) -> None:
        super().__init__(speed_mps, gain_per_s=gain_per_s, name=name)

    def steer(self, worlds: DrivingWorlds) -> NDArray[np.float64]:
        """Pure pursuit, (E,)."""
        steer, bend_mps = np.zeros(worlds.num_envs), np.zeros(worlds.num_envs)
        scene, passed = worlds.scene, worlds.memory.route.index
        follow_routes_range(
            0, worlds.num_envs, scene.ego, scene.motion, scene.routes, passed, steer, bend_mps
        )
        return steer


def ego_speed_mps(worlds: DrivingWorlds) -> NDArray[np.float64]:
    """Horizontal speed of every driver, (E,)."""
    place = (worlds.scene.ego.world, worlds.scene.ego.slot)
    return np.hypot(worlds.scene.motion.vx_mps[place], worlds.scene.motion.vy_mps[place])
