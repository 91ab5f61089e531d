"""Moves a scene on as a planner imagines it: drivers by the bicycle, the others as they go now."""

from __future__ import annotations

from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import drive_bicycle, write_centre
from sim_adapters.nuplan.one_stage import Commands
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoBody, EgoState


@range_kernel
def imagine_step_range(
    first: int,
    last: int,
    step_s: float,
    commands: Commands,
    ego: EgoState,
    motion: ActorMotion,
    traits: ActorTraits,
    body: EgoBody,
) -> None:
    """Move drivers first to last - 1 under their commands, all others at constant velocity."""
    for agent in range(first, last):
        world, own = int(ego.world[agent]), int(ego.slot[agent])
        acceleration, rate = commands.acceleration_mps2[agent], commands.tyre_rate_radps[agent]
        drive_bicycle(agent, world, own, step_s, acceleration, rate, motion, body)
        write_centre(agent, world, own, motion, body)
        for slot in range(traits.valid.shape[1]):
            if slot != own and traits.valid[world, slot]:
                motion.x[world, slot] += motion.vx_mps[world, slot] * step_s
                motion.y[world, slot] += motion.vy_mps[world, slot] * step_s
