"""Speed limit compliance: how much and how long the ego is faster than allowed.

On a lane its own limit holds; on connectors the highest limit of all lanes that lead to or from
them. Where any of these is missing or zero there is no limit. The score is
max(0, 1 - mean overspeed / 2.23 m/s), with the devkit's sum and durations.
Source: nuPlan devkit, `speed_limit_compliance.py`, max_overspeed_value_threshold 2.23.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.driven_route import DrivenRoute
from evaluation.nuplan_metrics.lane_graph import FloatArray, IntArray, LaneGraph, RoadMap
from sim_adapters.kernels import device_function, range_kernel

MAX_OVERSPEED_MPS = 2.23


def overspeed_mps(speed_mps: FloatArray, route: DrivenRoute, road: RoadMap) -> FloatArray:
    """Speed above the limit at each sample, zero below it, (T,) [m/s]."""
    excess = np.zeros(len(speed_mps))
    _fill(speed_mps, route.lane, route.count, road.graph, excess)
    return excess


def speed_score(excess_mps: FloatArray, time_us: NDArray[np.int64]) -> float:
    """Score in [0, 1] of the overspeed at each sample."""
    duration_s = float(time_us[-1] - time_us[0]) * 1e-6
    if duration_s <= 0.0:
        return 1.0
    step_s = float(np.mean(np.diff(time_us))) * 1e-6
    loss = float(excess_mps.sum()) * step_s / (MAX_OVERSPEED_MPS * duration_s)
    return max(0.0, 1.0 - loss)


@range_kernel
def _fill(
    speed_mps: FloatArray, lane: IntArray, count: IntArray, graph: LaneGraph, excess: FloatArray
) -> None:
    for k in range(len(speed_mps)):
        if count[k] > 0:
            excess[k] = max(0.0, speed_mps[k] - _limit_mps(lane[k], count[k], graph))


@device_function
def _limit_mps(lanes: IntArray, count: int, graph: LaneGraph) -> float:
    """The limit on these lanes, infinite if there is none."""
    if not graph.is_connector[lanes[0]]:
        own = float(graph.speed_limit_mps[lanes[0]])
        return own if own > 0.0 else np.inf
    highest = 0.0
    for i in range(count):
        connector = lanes[i]
        for j in range(graph.first_successor[connector], graph.first_successor[connector + 1]):
            limit = float(graph.speed_limit_mps[graph.successor[j]])
            if not limit > 0.0:
                return np.inf
            highest = max(highest, limit)
        for j in range(graph.first_predecessor[connector], graph.first_predecessor[connector + 1]):
            limit = float(graph.speed_limit_mps[graph.predecessor[j]])
            if not limit > 0.0:
                return np.inf
            highest = max(highest, limit)
    return highest if highest > 0.0 else np.inf
