"""Driving direction compliance: the ego does not drive against the traffic.

Progress along the baseline of the lane that the ego's centre is in, summed over the last second;
1 where it is never below -2 m, 0.5 down to -6 m, else 0.
Source: nuPlan devkit, `driving_direction_compliance.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.driven_route import DrivenRoute
from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.lane_graph import FloatArray, IntArray, RoadMap
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.area_lookup import station_m
from sim_adapters.scene.map_areas import Polylines

COMPLIANCE_M = 2.0
VIOLATION_M = 6.0
HORIZON_S = 1.0


def progress_over_horizon(
    ego: EgoPath, time_us: NDArray[np.int64], route: DrivenRoute, road: RoadMap
) -> FloatArray:
    """Progress in driving direction over the last second, (T,) [m].

    Args:
        ego: The path.
        time_us: (T,).
        route: Of the ego's centre.
        road: The map below it.
    """
    progress = np.zeros(len(ego.x))
    _progress(ego.x, ego.y, route.lane, route.count, road.baselines, progress)
    num_before = int(HORIZON_S * 1e6 / np.mean(np.diff(time_us)))
    return np.array([progress[max(0, k - num_before) : k + 1].sum() for k in range(len(progress))])


def direction_score(progress_m: FloatArray) -> float:
    """Score 0, 0.5 or 1 of the progress over the horizon."""
    against_m = abs(float(progress_m.min()))
    if against_m < COMPLIANCE_M:
        return 1.0
    return 0.5 if against_m < VIOLATION_M else 0.0


@range_kernel
def _progress(
    x: FloatArray,
    y: FloatArray,
    lane: IntArray,
    count: IntArray,
    baselines: Polylines,
    progress: FloatArray,
) -> None:
    """Progress since the sample before, zero where the lane is another or there is none.

    Samples without a lane keep the last station, and a station of exactly zero counts as no
    progress: quirks of the devkit.
    """
    current = lane[0, 0] if count[0] > 0 else -1
    station, is_known = 0.0, False
    for k in range(len(x)):
        if count[k] == 0:
            continue
        if lane[k, 0] != current:
            current, is_known = lane[k, 0], False
            continue
        now = station_m(current, x[k], y[k], baselines)
        if is_known and now != 0.0:
            progress[k] = now - station
        station, is_known = now, True
