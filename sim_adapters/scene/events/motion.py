"""Speed against the limit, standing still for too long, and the end of time."""

from __future__ import annotations

import math

from sim_adapters.kernels import range_kernel
from sim_adapters.scene.events.arrays import InfractionFacts, MotionFacts
from sim_adapters.scene.events.settings import MotionSettings
from sim_adapters.scene.memory import HoldCounters
from sim_adapters.scene.state import ActorMotion, Clocks, EgoState

_CLOCK_SLACK_S = 1e-6  # sums of 0.1 s are not exact


@range_kernel
def detect_motion_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    counters: HoldCounters,
    step_s: float,
    settings: MotionSettings,
    facts: MotionFacts,
    infractions: InfractionFacts,
) -> None:
    """Write speed, excess, blocking and time-out of drivers first to last - 1.

    The clock is compared so that a limit of 1,200 s is 12,000 steps of 0.1 s.
    """
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        speed = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        limit = ego.speed_limit_mps[agent]
        if not limit > 0.0:  # also where it is NaN
            limit = settings.unknown_limit_mps
        facts.speed_mps[agent] = speed
        facts.overspeed_mps[agent] = max(speed - limit, 0.0)
        facts.steer_change[agent] = abs(ego.steer[agent] - counters.previous_steer[agent])
        counters.previous_steer[agent] = ego.steer[agent]
        standing = speed < settings.blocked_speed_mps
        counters.standing_s[agent] = counters.standing_s[agent] + step_s if standing else 0.0
        infractions.blocked[agent] = (
            counters.standing_s[agent] > settings.blocked_s + _CLOCK_SLACK_S
        )
        infractions.timed_out[agent] = (
            clocks.elapsed_s[world] >= clocks.time_limit_s[world] - _CLOCK_SLACK_S
        )
        infractions.simulator_failed[agent] = clocks.failed[world]
