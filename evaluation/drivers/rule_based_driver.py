"""RuleBasedDriver: the yardstick beside every score, PDM-Lite's numbers on the same interface.

Pure pursuit along the route; IDM towards actors in its corridor, red lights and stop signs; the
speed limit and the speed of bends. It sees the scene itself, not the observation. It does not
change lanes around obstacles. Source of the numbers: PDM-Lite (carla_garage, leaderboard_2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.driven_worlds import DrivenWorlds
from evaluation.drivers.route_following import follow_routes_range
from evaluation.drivers.route_hazards import follow_actors
from evaluation.drivers.route_rules import stop_at_signs, stop_for_lights
from evaluation.drivers.vehicle_control import pedal_for_acceleration
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.map_bank import MapRanges, Signals, Signs, StopLines
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState, Lights, Routes

SHARE_OF_LIMIT = 0.9  # of the posted speed it drives at, to never exceed it
SLOWEST_MPS = 2.0  # in the tightest bend


class RuleBasedDriver:
    """IDM and pure pursuit for all drivers of a batch; see the module."""

    name = "idm"

    def __init__(self) -> None:
        self._served_sign = np.zeros(0, np.int64)  # (E,) stop sign already stopped at, -1 none

    def begin_episodes(self, agents: NDArray[np.int64], env: DrivenWorlds) -> None:
        """Forget the signs of the last route."""
        if self._served_sign.shape != (env.num_envs,):
            self._served_sign = np.full(env.num_envs, -1, np.int64)
        self._served_sign[agents] = -1

    def act(self, observation: Mapping[str, np.ndarray], env: DrivenWorlds) -> NDArray[np.float32]:
        """Steering of the pursuit, pedal of the least acceleration that any rule asks for."""
        scene, maps, num_agents = env.scene, env.maps, env.num_envs
        passed = env.memory.route.index
        steer, desired, pedal = (np.zeros(num_agents) for _ in range(3))
        follow_routes_range(
            0, num_agents, scene.ego, scene.motion, scene.routes, passed, steer, desired
        )
        limit = SHARE_OF_LIMIT * scene.ego.speed_limit_mps
        desired = np.clip(desired, SLOWEST_MPS, np.maximum(limit, SLOWEST_MPS))
        choose_pedals_range(
            0,
            num_agents,
            scene.ego,
            scene.motion,
            scene.traits,
            scene.routes,
            scene.lights,
            maps.ranges,
            maps.signals,
            maps.stop_lines,
            maps.signs,
            scene.clocks.map_index,
            passed,
            env.memory.counters.standing_s,
            desired,
            self._served_sign,
            pedal,
        )
        return env.action_layout.encode(steer, pedal)


@range_kernel
def choose_pedals_range(
    first: int,
    last: int,
    ego: EgoState,
    motion: ActorMotion,
    traits: ActorTraits,
    routes: Routes,
    lights: Lights,
    ranges: MapRanges,
    signals: Signals,
    stop_lines: StopLines,
    signs: Signs,
    map_index: NDArray[np.int32],
    passed: NDArray[np.int32],
    standing_s: NDArray[np.float64],
    desired_mps: NDArray[np.float64],
    served_sign: NDArray[np.int64],
    pedal: NDArray[np.float64],
) -> None:
    """Pedals of drivers `first` to `last` (exclusive), written with `served_sign`, both (E,)."""
    for agent in range(first, last):
        world: int = ego.world[agent]
        slot: int = ego.slot[agent]
        town: int = map_index[world]
        desired: float = desired_mps[agent]
        start: int = passed[agent]
        acceleration = follow_actors(
            agent, ego, motion, traits, routes, start, standing_s[agent], desired
        )
        for_light = stop_for_lights(
            agent,
            ego,
            motion,
            traits,
            routes,
            lights,
            ranges,
            signals,
            stop_lines,
            town,
            start,
            desired,
        )
        for_sign, served_sign[agent] = stop_at_signs(
            agent, ego, motion, routes, ranges, signs, town, start, served_sign[agent], desired
        )
        wanted = min(acceleration, for_light, for_sign)
        v = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        pedal[agent] = pedal_for_acceleration(v, wanted)
