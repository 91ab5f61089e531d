"""The short vectors beside every observation: the policy's measurements and the critic's own.

Both follow CaRL's CARLA layout, whose frame is left-handed: steering and lateral velocity are
positive to the RIGHT here, although the scene has left positive. Values are raw, not normalised.
"""

from __future__ import annotations

import math

from numpy.typing import NDArray

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.memory import HoldCounters, RouteTracker
from sim_adapters.scene.state import ActorMotion, Clocks, EgoState, Routes

NUM_MEASUREMENTS = 8
NUM_VALUE_MEASUREMENTS = 4 + NUM_COMFORT_METRICS
_REMAINING_POINTS_SCALE = 100.0


@device_function
def write_measurements(driver: int, motion: ActorMotion, ego: EgoState, out: NDArray) -> None:
    """Fill `out[driver]` with CaRL's eight inputs.

    Order: steer (right positive), throttle, brake, gear, forward velocity [m/s], velocity to the
    right [m/s], forward speed [m/s], speed limit [m/s]. On flat ground the fifth and the seventh
    are equal; CaRL feeds both.
    """
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    cos, sin = math.cos(motion.yaw_rad[world, slot]), math.sin(motion.yaw_rad[world, slot])
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    forward = cos * vx + sin * vy
    out[driver, 0] = -ego.steer[driver]
    out[driver, 1] = ego.throttle[driver]
    out[driver, 2] = ego.brake[driver]
    out[driver, 3] = ego.gear[driver]
    out[driver, 4] = forward
    out[driver, 5] = sin * vx - cos * vy
    out[driver, 6] = forward
    out[driver, 7] = ego.speed_limit_mps[driver]


@device_function
def write_value_measurements(
    driver: int,
    ego: EgoState,
    clocks: Clocks,
    counters: HoldCounters,
    tracker: RouteTracker,
    routes: Routes,
    out: NDArray,
) -> None:
    """Fill `out[driver]` with the ten inputs of the critic.

    Order: share of the time limit left (1 without a limit), share of the blocked limit left,
    remaining route points / 100, TTC window left, six comfort windows left (shares in [0, 1]).
    """
    world = int(ego.world[driver])
    limit = clocks.time_limit_s[world]
    out[driver, 0] = (limit - clocks.elapsed_s[world]) / limit if limit < math.inf else 1.0
    blocked_limit = counters.blocked_limit_s[0]
    out[driver, 1] = (blocked_limit - counters.standing_s[driver]) / blocked_limit
    remaining = routes.num_points[driver] - tracker.index[driver]
    out[driver, 2] = remaining / _REMAINING_POINTS_SCALE
    out[driver, 3] = counters.ttc_ticks_left[driver] / max(1, counters.ttc_hold_ticks[0])
    for metric in range(NUM_COMFORT_METRICS):
        ticks = counters.comfort_ticks_left[driver, metric]
        out[driver, 4 + metric] = ticks / max(1, counters.comfort_hold_ticks[0])


@range_kernel
def write_measurements_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    counters: HoldCounters,
    tracker: RouteTracker,
    routes: Routes,
    measurements: NDArray,
    value_measurements: NDArray,
) -> None:
    """Both vectors of the drivers `first` to `last - 1`."""
    for driver in range(first, last):
        write_measurements(driver, motion, ego, measurements)
        write_value_measurements(driver, ego, clocks, counters, tracker, routes, value_measurements)
