"""CaRL's one-stage control: a policy's action straight into the bicycle, without a tracker."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import drive_bicycle, write_centre
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoBody, EgoState

FloatArray = NDArray[np.float64]

FULL_STEER_RAD = 0.83775804096  # 48 degrees: tyre angle that an action of 1 asks for
MAX_ACCELERATION_MPS2 = 2.4
MAX_BRAKING_MPS2 = 3.2
CONTROL_STEP_S = 0.1  # CaRL's own, whatever the log's clock says
STOPPING_SPEED_GAIN = 1.0
STOPPING_ACCELERATION_GAIN = 0.75


class Commands(NamedTuple):
    """What the motion model is asked to do, (E,)."""

    acceleration_mps2: FloatArray
    tyre_rate_radps: FloatArray


def empty_commands(num_agents: int) -> Commands:
    """Commands of E drivers, all zero."""
    return Commands(np.zeros(num_agents), np.zeros(num_agents))


@range_kernel
def command_actions_range(
    first: int,
    last: int,
    steer: FloatArray,
    acceleration: FloatArray,
    body: EgoBody,
    commands: Commands,
) -> None:
    """Commands of drivers [first, last) from actions in [-1, 1], left is positive.

    The steering action is an absolute tyre angle, reached in one step but for the lag. A command
    that would lead to reversing becomes -v - 0.75 a, which stands still after a few steps.

    Source: CaRL's action trajectory builder with its default settings.
    """
    for agent in range(first, last):
        wish = steer[agent] * FULL_STEER_RAD
        commands.tyre_rate_radps[agent] = (wish - body.tyre_angle_rad[agent]) / CONTROL_STEP_S
        pedal, speed = acceleration[agent], body.vx_mps[agent]
        command = pedal * (MAX_ACCELERATION_MPS2 if pedal >= 0.0 else MAX_BRAKING_MPS2)
        if speed + CONTROL_STEP_S * command < 0.0:
            command = -STOPPING_SPEED_GAIN * speed
            command -= STOPPING_ACCELERATION_GAIN * body.ax_mps2[agent]
        commands.acceleration_mps2[agent] = min(
            max(command, -MAX_BRAKING_MPS2), MAX_ACCELERATION_MPS2
        )


# Moves a scene on as a planner imagines it: drivers by the bicycle, the others as they go now.


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
