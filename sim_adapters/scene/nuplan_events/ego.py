"""The devkit's car as nuPlan's facts see it: its centre, from what EgoBody has of the rear axle."""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.state import EgoBody

REAR_AXLE_TO_CENTRE_M = 1.461  # Pacifica


@inlined_function
def centre_vy_mps(driver: int, body: EgoBody) -> float:
    """Velocity of the centre to the left; forward it is that of the rear axle."""
    return body.vy_mps[driver] + REAR_AXLE_TO_CENTRE_M * body.yaw_rate_radps[driver]


@inlined_function
def centre_ax_mps2(driver: int, body: EgoBody) -> float:
    """Forward acceleration of the centre; to the left it is that of the rear axle.

    The devkit adds both the centripetal part, with this sign, and that of the yaw acceleration to
    the forward component (`get_acceleration_shifted`).
    """
    rate = body.yaw_rate_radps[driver]
    turning = rate * rate + body.yaw_acceleration_radps2[driver]
    return body.ax_mps2[driver] + REAR_AXLE_TO_CENTRE_M * turning


@inlined_function
def centre_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the centre's velocity."""
    return math.hypot(body.vx_mps[driver], centre_vy_mps(driver, body))


@inlined_function
def rear_axle_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the rear axle's velocity: the devkit's `speed`."""
    return math.hypot(body.vx_mps[driver], body.vy_mps[driver])
