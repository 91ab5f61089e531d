"""ControlLoss: debris on the road pushes the ego's steering and throttle about."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.state import ActorMotion, Clocks
from sim_adapters.world.dynamics import Drivetrain
from sim_adapters.world.scenarios.crossers import enter_phase
from sim_adapters.world.scenarios.state import DEBRIS_PLACES, Debris, Phase, Triggers

# scenario_runner's ControlLoss: mean (of either sign) and standard deviation of what is added to
# the controls while the ego's centre is this near to debris
LOSS_STEER, LOSS_STEER_STD = 0.055, 0.015
LOSS_THROTTLE, LOSS_THROTTLE_STD = 0.03, 0.01
LOSS_REACH_M = 2.0
LOSS_END_M = 110.0  # from the trigger
LOSS_LONGEST_S = 60.0
_SPREAD = math.sqrt(12.0)  # of a uniform number with a standard deviation of 1
_OVER = int(Phase.OVER)
_DRAW_STEER, _DRAW_THROTTLE, _DRAW_STEER_SIDE, _DRAW_THROTTLE_SIDE = 2501, 2502, 2503, 2504


@device_function
def debris_underneath(x: float, y: float, debris: Debris, world: int, row: int) -> int:
    """Which of a trigger's places with debris (x, y) is at, -1 none."""
    for place in range(DEBRIS_PLACES):
        dx, dy = debris.x[world, row, place] - x, debris.y[world, row, place] - y
        if dx * dx + dy * dy < LOSS_REACH_M * LOSS_REACH_M:
            return place
    return -1


@device_function
def loss_noise(seed: np.uint64, tick: int, row: int, place: int) -> tuple[float, float]:
    """What debris adds to steering and throttle: to one side a place, a little more or less a tick.

    scenario_runner draws from the normal distribution; a uniform one has the same spread.
    """
    if place < 0:
        return 0.0, 0.0
    steer_side = 1.0 if uniform(seed, place, row, _DRAW_STEER_SIDE) < 0.5 else -1.0
    throttle_side = 1.0 if uniform(seed, place, row, _DRAW_THROTTLE_SIDE) < 0.5 else -1.0
    steer = _SPREAD * (uniform(seed, tick, row, _DRAW_STEER) - 0.5)
    throttle = _SPREAD * (uniform(seed, tick, row, _DRAW_THROTTLE) - 0.5)
    return (
        steer_side * LOSS_STEER + LOSS_STEER_STD * steer,
        throttle_side * LOSS_THROTTLE + LOSS_THROTTLE_STD * throttle,
    )


@device_function
def disturb_ego(
    motion: ActorMotion,
    clocks: Clocks,
    drivetrain: Drivetrain,
    triggers: Triggers,
    debris: Debris,
    world: int,
    row: int,
    dt: float,
) -> None:
    """Add noise to the ego's controls over debris, until it has left the stretch or time is up.

    Stretches may overlap: `step_scenarios_range` begins each step without noise.
    """
    now_s, seed = clocks.elapsed_s[world], clocks.seed[world]
    x, y = motion.x[world, 0], motion.y[world, 0]
    since_s = now_s - triggers.since_s[world, row]
    gone_m = math.hypot(triggers.x[world, row] - x, triggers.y[world, row] - y)
    if gone_m > LOSS_END_M or since_s > LOSS_LONGEST_S:
        enter_phase(triggers, world, row, _OVER, now_s)
        return
    place = debris_underneath(x, y, debris, world, row)
    steer, throttle = loss_noise(seed, round(now_s / dt), row, place)
    drivetrain.steer_noise[world] += steer
    drivetrain.throttle_noise[world] += throttle
