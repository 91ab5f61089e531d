"""Moment: what a picture of one driver's surroundings needs, copied out of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.state import SceneBatch

KEPT_RADIUS_M = 110.0
ACTOR_COLUMNS = ("x", "y", "yaw_rad", "half_length_m", "half_width_m", "speed_mps")

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The present around one driver; ego first among the actors."""

    actors: FloatArray  # (N, 6), ACTOR_COLUMNS
    kinds: NDArray[np.uint8]  # (N,) ActorKind
    lights: NDArray[np.uint8]  # (N,) LightBit
    signals: NDArray[np.uint8]  # (L,) LightState of the town's signals, OFF beyond them
    route_percent: float  # driven so far


def surroundings(scene: SceneBatch, agent: int) -> dict[str, Any]:
    """Fields of a `Moment` but for `route_percent`: actors within KEPT_RADIUS_M, and the lights."""
    world, own = scene.ego.world[agent], scene.ego.slot[agent]
    motion, traits = scene.motion, scene.traits
    x, y = motion.x[world], motion.y[world]
    near = traits.valid[world] & (np.hypot(x - x[own], y - y[own]) < KEPT_RADIUS_M)
    slots = np.flatnonzero(near)
    slots = np.concatenate([[own], slots[slots != own]])
    speed = np.hypot(motion.vx_mps[world, slots], motion.vy_mps[world, slots])
    columns = [
        x[slots],
        y[slots],
        motion.yaw_rad[world, slots],
        traits.half_length_m[world, slots],
        traits.half_width_m[world, slots],
        speed,
    ]
    return {
        "actors": np.stack(columns, axis=1),
        "kinds": traits.kind[world, slots],
        "lights": traits.lights[world, slots],
        "signals": scene.lights.state[world].copy(),
    }
