"""Pedals of the rule-based driver: the least acceleration that any of its rules asks for."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.route_hazards import follow_actors
from evaluation.drivers.route_rules import stop_at_signs, stop_for_lights
from evaluation.drivers.vehicle_control import pedal_for_acceleration
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.map_bank import Roads
from sim_adapters.scene.state import SceneArrays


@range_kernel
def choose_pedals_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    passed: NDArray[np.int32],
    standing_s: NDArray[np.float64],
    desired_mps: NDArray[np.float64],
    served_sign: NDArray[np.int64],
    pedal: NDArray[np.float64],
) -> None:
    """Pedals of drivers `first` to `last` (exclusive), written with `served_sign`, both (E,)."""
    ego, motion, ranges = scene.ego, scene.motion, roads.ranges
    for agent in range(first, last):
        world: int = ego.world[agent]
        slot: int = ego.slot[agent]
        desired: float = desired_mps[agent]
        start: int = passed[agent]
        acceleration = follow_actors(
            agent, ego, motion, scene.traits, scene.routes, start, standing_s[agent], desired
        )
        for_light = stop_for_lights(
            agent, scene, ranges, roads.signals, roads.stop_lines, start, desired
        )
        for_sign, served_sign[agent] = stop_at_signs(
            agent, scene, ranges, roads.signs, start, served_sign[agent], desired
        )
        wanted = min(acceleration, for_light, for_sign)
        v = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        pedal[agent] = pedal_for_acceleration(v, wanted)
