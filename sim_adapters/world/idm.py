"""The intelligent driver model and the hard bound that keeps it free of collisions."""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function


@inlined_function
def idm_acceleration(
    speed_mps: float,
    desired_mps: float,
    gap_m: float,
    lead_speed_mps: float,
    max_acceleration_mps2: float,
    comfortable_braking_mps2: float,
    headway_s: float,
    min_gap_m: float,
) -> float:
    """Acceleration a (1 - (v/v0)^4 - (s*/s)^2), not bounded from below.

    s* = s0 + max(0, v T + v (v - v_lead) / (2 sqrt(a b))), and s is at least s0. A gap of +inf
    gives the free-road law.

    Source: Treiber, Hennecke, Helbing 2000; clamps as in nuPlan's IDM agents, and the maximum
    keeps a fast leader from braking its follower.
    """
    closing = speed_mps * (speed_mps - lead_speed_mps)
    wish = speed_mps * headway_s + closing / (
        2.0 * math.sqrt(max_acceleration_mps2 * comfortable_braking_mps2)
    )
    ratio = (min_gap_m + max(0.0, wish)) / max(gap_m, min_gap_m)
    free = speed_mps / max(desired_mps, 0.1)
    free_squared = free * free
    return max_acceleration_mps2 * (1.0 - free_squared * free_squared - ratio * ratio)


@inlined_function
def safe_speed_mps(gap_m: float, lead_speed_mps: float, braking_mps2: float, dt: float) -> float:
    """Largest next speed that still stops behind a leader who brakes as hard as we can.

    Solves v dt + v^2 / 2B = gap + v_lead^2 / 2B.

    Source: Krauss 1998 (the safe speed of SUMO), with the reaction time of one step.
    """
    lead = max(lead_speed_mps, 0.0)
    step = braking_mps2 * dt
    room = step * step + lead * lead + 2.0 * braking_mps2 * gap_m
    return max(0.0, math.sqrt(max(room, 0.0)) - step)
