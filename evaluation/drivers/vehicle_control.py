"""From a wanted curvature and acceleration to the ego's controls: the fitted car turned around."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.world.dynamics import FRONT_AXLE_M, MAX_WHEEL_ANGLE_RAD, REAR_AXLE_M
from sim_adapters.world.ego_speed import full_brake_acceleration_mps2, throttle_acceleration_mps2

_BISECTIONS = 12  # resolves a pedal to 1/4096


@device_function
def steer_for_curvature(curvature_per_m: float) -> float:
    """Steer in [-1, 1] that leads the rear point along a circle; left is positive in both.

    The rear point of a bicycle follows tan(wheel angle) = (lf + lr) curvature.
    """
    wheel = math.atan((FRONT_AXLE_M + REAR_AXLE_M) * curvature_per_m)
    return min(max(wheel / MAX_WHEEL_ANGLE_RAD, -1.0), 1.0)


@device_function
def pedal_for_acceleration(speed_mps: float, acceleration_mps2: float) -> float:
    """Pedal in [-1, 1] (throttle positive, brake negative) that comes nearest to it."""
    coasting = throttle_acceleration_mps2(speed_mps, 0.0)
    if acceleration_mps2 < coasting:
        braking = min(full_brake_acceleration_mps2(speed_mps), coasting - 1e-3)
        return -min((coasting - acceleration_mps2) / (coasting - braking), 1.0)
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):  # more throttle is never slower
        middle = 0.5 * (low + high)
        if throttle_acceleration_mps2(speed_mps, middle) < acceleration_mps2:
            low = middle
        else:
            high = middle
    return high


@range_kernel
def pedals_range(
    first: int,
    last: int,
    speed_mps: NDArray[np.float64],
    acceleration_mps2: NDArray[np.float64],
    pedal: NDArray[np.float64],
) -> None:
    """`pedal_for_acceleration` of drivers `first` to `last` (exclusive), all arrays (E,)."""
    for agent in range(first, last):
        pedal[agent] = pedal_for_acceleration(speed_mps[agent], acceleration_mps2[agent])
