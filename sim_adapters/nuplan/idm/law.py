"""The devkit's IDM law and its one Euler step."""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function

EXPONENT = 4.0


@device_function
def idm_step(
    speed_mps: float,
    desired_mps: float,
    distance_m: float,
    lead_speed_mps: float,
    lead_length_m: float,
    min_gap_m: float,
    headway_s: float,
    max_acceleration_mps2: float,
    max_braking_mps2: float,
    dt: float,
) -> tuple[float, float]:
    """Progress made with the old speed, and the new speed, which is never negative.

    a (1 - (v / v0)^4 - (s* / s)^2) with s* = s0 + v T + v (v - v_lead) / (2 sqrt(a b)), the gap
    s = distance - lead length kept above s0, the acceleration within [-b, a].

    Source: nuplan-devkit, IDMPolicy.solve_forward_euler_idm_policy.
    """
    wish = min_gap_m + speed_mps * headway_s
    wish += (
        speed_mps
        * (speed_mps - lead_speed_mps)
        / (2.0 * math.sqrt(max_acceleration_mps2 * max_braking_mps2))
    )
    ratio = wish / max(distance_m - lead_length_m, min_gap_m)
    free = (speed_mps / desired_mps) ** EXPONENT
    acceleration = max_acceleration_mps2 * (1.0 - free - ratio * ratio)
    acceleration = min(max(-max_braking_mps2, acceleration), max_acceleration_mps2)
    return dt * speed_mps, max(speed_mps + dt * acceleration, 0.0)
