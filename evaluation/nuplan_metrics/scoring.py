"""score_scenarios: traces of a simulation in, the eight metrics of each scenario out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.collisions import (
    OBJECTS,
    USERS,
    VEHICLES,
    collision_score,
    find_collisions,
    time_to_collision_s,
    ttc_score,
)
from evaluation.nuplan_metrics.comfort import ComfortSignals, comfort_score, comfort_signals
from evaluation.nuplan_metrics.drivable_area import corner_lanes, stays_on_drivable_area
from evaluation.nuplan_metrics.driven_route import driven_route
from evaluation.nuplan_metrics.ego_path import ego_path, expert_path, seen_tracks
from evaluation.nuplan_metrics.expert_route import expert_route
from evaluation.nuplan_metrics.lane_graph import FloatArray, RoadMap, road_maps
from evaluation.nuplan_metrics.progress import (
    RouteProgress,
    direction_score,
    making_progress_score,
    overspeed_mps,
    progress_over_horizon,
    route_progress,
    speed_score,
)
from evaluation.nuplan_metrics.scenario_scores import MetricScores, ScenarioScores
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.traces import EgoTrace, TrackTrace
from sim_adapters.scene.map_bank import MapBank


class Measurements(NamedTuple):
    """What one scenario's metrics are decided on, sample by sample (T,)."""

    num_at_fault: NDArray[np.int32]  # (3,) USERS, VEHICLES, OBJECTS
    complies_with_area: bool
    direction_m: FloatArray  # progress in driving direction over the last second
    progress: RouteProgress
    ttc_s: FloatArray
    overspeed_mps: FloatArray
    comfort: ComfortSignals


def score_scenarios(
    ego: EgoTrace, tracks: TrackTrace, logs: Sequence[ScenarioLog], maps: MapBank
) -> list[ScenarioScores]:
    """Metrics of a batch, in its order; a scenario that can't be scored says why.

    Args:
        ego: Simulated ego, (B, T).
        tracks: What was around it; `track` counts `track_tokens` of the scenario's log.
        logs: The B scenarios.
        maps: With vector maps of all their locations.
    """
    roads = road_maps(maps)
    scores = []
    for row, log in enumerate(logs):
        name = (log.token, log.scenario_type, log.log_name)
        try:
            measured = measure(ego, tracks, row, log, roads[maps.map_index(log.map_name)])
        except ValueError as error:
            scores.append(ScenarioScores(*name, metrics=None, failure=str(error)))
            continue
        time_us = ego.time_us[row, : ego.num_samples[row]]
        metrics = MetricScores(
            collision_score(measured.num_at_fault),
            float(measured.complies_with_area),
            direction_score(measured.direction_m),
            making_progress_score(measured.progress.ratio),
            measured.progress.ratio,
            ttc_score(measured.ttc_s),
            speed_score(measured.overspeed_mps, time_us),
            comfort_score(measured.comfort),
        )
        scores.append(ScenarioScores(*name, metrics=metrics, details=_details(measured)))
    return scores


def measure(
    ego: EgoTrace, tracks: TrackTrace, row: int, log: ScenarioLog, road: RoadMap
) -> Measurements:
    """What the metrics of one scenario of a batch are decided on.

    Raises:
        ValueError: the map or the trace can't be scored; the message says why.
    """
    if ego.num_samples[row] == 0:
        raise ValueError("the planner could not drive it")
    comfort = comfort_signals(ego, row)  # first: it refuses traces that are too short
    path, expert = ego_path(ego, row), expert_path(log.ego)
    seen = seen_tracks(tracks, row, len(path.x))
    route = driven_route(path.x, path.y, road)
    corners = corner_lanes(path.corner_x, path.corner_y, road)
    blocks = expert_route(driven_route(expert.x, expert.y, road), road)
    collisions = find_collisions(path, seen, corners.is_in_common, len(log.track_tokens))
    complies = stays_on_drivable_area(path, corners.is_on_lane, route, road)
    return Measurements(
        collisions.num_at_fault,
        complies,
        progress_over_horizon(path, ego.time_us[row, : len(path.x)], route, road),
        route_progress(blocks, (path.x, path.y), (expert.x, expert.y), road),
        time_to_collision_s(path, seen, collisions, corners.is_in_common, road),
        overspeed_mps(path.speed_mps, route, road),
        comfort,
    )


def _details(measured: Measurements) -> dict[str, float]:
    comfort = {
        f"{end}_{name}": float(reduce(signal))
        for name, signal in measured.comfort._asdict().items()
        for end, reduce in (("min", np.min), ("max", np.max))
    }
    return {
        "at_fault_collisions_with_users": float(measured.num_at_fault[USERS]),
        "at_fault_collisions_with_vehicles": float(measured.num_at_fault[VEHICLES]),
        "at_fault_collisions_with_objects": float(measured.num_at_fault[OBJECTS]),
        "min_progress_in_direction_m": float(measured.direction_m.min()),
        "ego_progress_m": measured.progress.ego_m,
        "expert_progress_m": measured.progress.expert_m,
        "min_time_to_collision_s": float(measured.ttc_s.min()),
        "max_overspeed_mps": float(measured.overspeed_mps.max()),
        **comfort,
    }
