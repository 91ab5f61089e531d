"""Thresholds of nuPlan's detectors, CaRL's training values by default."""

from __future__ import annotations

from typing import NamedTuple


class NuplanSettings(NamedTuple):
    """What counts as a collision, as leaving road or route, and as a coming collision."""

    stopped_mps: float = 0.05  # a slower ego is not to blame for a contact or a red light
    off_road_tolerance_m: float = 0.0  # how far a corner may be off a polygon that holds another
    route_by_lanes: int = 0  # 1: off the route is off its lanes ("v2"), 0: off its roadblocks
    first_horizon_s: float = 0.2  # time to collision: boxes are moved on by so much ...
    horizon_step_s: float = 0.2
    num_horizons: int = 5  # 0.2, 0.4, 0.6, 0.8, 1.0 s
    min_ttc_speed_mps: float = 0.005  # a slower ego meets nobody
    # 1: as in nuPlan's metric, a track counts only if it was not hit before and is ahead, or beside
    # an ego between lanes, off the road or in an intersection. CaRL finds out who does, and then
    # tests all tracks
    ttc_relevant_only: int = 0


class ComfortBounds(NamedTuple):
    """Bounds of the six comfort checks; a value on a bound fails."""

    min_longitudinal_mps2: float = -4.05
    max_longitudinal_mps2: float = 2.40
    max_lateral_mps2: float = 4.89
    max_jerk_mps3: float = 8.37
    max_longitudinal_jerk_mps3: float = 4.13
    max_yaw_acceleration_radps2: float = 1.93
    max_yaw_rate_radps: float = 0.95
    min_samples: int = 4  # with fewer, all checks pass
