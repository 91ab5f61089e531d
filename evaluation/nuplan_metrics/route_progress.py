"""Progress along the expert's route, and whether the ego makes progress at all.

The ratio of the ego's progress to the expert's, both at least 2 m, at most 1; 0 for an ego that
drove back more than 2 m, 1 where the expert was in no lane. Making progress means a ratio of 0.2.
The expert's progress is taken over all N frames of the log, the ego's over its N - 1 samples.
Source: nuPlan devkit, `ego_progress_along_expert_route.py` and `ego_is_making_progress.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from evaluation.nuplan_metrics.expert_route import ExpertRoute, progress_along
from evaluation.nuplan_metrics.lane_graph import FloatArray, RoadMap

LEAST_PROGRESS_M = 2.0
LEAST_RATIO = 0.2


class RouteProgress(NamedTuple):
    """Progress of ego and expert along the expert's route."""

    ego_m: float
    expert_m: float
    ratio: float  # in [0, 1]: the score


def route_progress(
    route: ExpertRoute,
    ego_xy: tuple[FloatArray, FloatArray],
    expert_xy: tuple[FloatArray, FloatArray],
    road: RoadMap,
) -> RouteProgress:
    """Progress of a path.

    Args:
        route: Roadblocks of the expert.
        ego_xy: Box centres, x and y, (T,) each [m].
        expert_xy: The same of the expert, (N,) each [m].
        road: The map below them.
    """
    if len(route.lane) == 0:
        return RouteProgress(ego_m=0.0, expert_m=0.0, ratio=1.0)
    ego_m = float(progress_along(route, *ego_xy, road).sum())
    expert_m = float(progress_along(route, *expert_xy, road).sum())
    if ego_m < -LEAST_PROGRESS_M:
        return RouteProgress(ego_m, expert_m, 0.0)
    ratio = max(ego_m, LEAST_PROGRESS_M) / max(expert_m, LEAST_PROGRESS_M)
    return RouteProgress(ego_m, expert_m, min(1.0, ratio))


def making_progress_score(ratio: float) -> float:
    """1 if the ratio of progress is at least 0.2, else 0."""
    return float(ratio >= LEAST_RATIO)
