"""EgoCar: one driver's car as scalars, gathered once for the detectors of a kernel."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState


class EgoCar(NamedTuple):
    """Place, motion and size of a driver's car, world frame."""

    world: int
    slot: int
    x: float  # [m] box centre
    y: float
    z: float  # [m] ground height
    yaw_rad: float
    speed_mps: float  # horizontal
    forward_mps: float  # along the heading, negative in reverse
    half_length_m: float
    half_width_m: float


@inlined_function
def ego_car(agent: int, motion: ActorMotion, traits: ActorTraits, ego: EgoState) -> EgoCar:
    """The car of one driver."""
    world, slot = int(ego.world[agent]), int(ego.slot[agent])
    yaw = motion.yaw_rad[world, slot]
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    return EgoCar(
        world,
        slot,
        motion.x[world, slot],
        motion.y[world, slot],
        motion.z[world, slot],
        yaw,
        math.sqrt(vx * vx + vy * vy),
        math.cos(yaw) * vx + math.sin(yaw) * vy,
        traits.half_length_m[world, slot],
        traits.half_width_m[world, slot],
    )
