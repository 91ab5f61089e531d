"""How far our metrics are from the devkit's on the devkit's own traces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluation.nuplan_metrics.lane_graph import road_maps
from evaluation.nuplan_metrics.scoring import METRICS, Measurements, measure, score_scenarios
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.devkit_runs import DevkitRun, scored_log

_COMFORT = {  # our signal: the devkit's metric
    "lon_acceleration_mps2": "ego_lon_acceleration",
    "lat_acceleration_mps2": "ego_lat_acceleration",
    "jerk_mps3": "ego_jerk",
    "lon_jerk_mps3": "ego_lon_jerk",
    "yaw_acceleration_radps2": "ego_yaw_acceleration",
    "yaw_rate_radps": "ego_yaw_rate",
}
_CLASSES = ("VRUs", "vehicles", "objects")


def metric_differences(run: DevkitRun, maps: MapBank) -> dict[str, float]:
    """Largest absolute difference of each score, of the final score and of what they come from.

    Raises:
        ValueError: we can't score what the devkit scored.
    """
    log = scored_log(run)
    (ours,) = score_scenarios(run.ego, run.tracks, [log], maps)
    if ours.metrics is None:
        raise ValueError(ours.failure)
    differences = {
        f"score/{name}": abs(run.scores[name] - value)
        for name, value in zip(METRICS, ours.metrics, strict=True)
    }
    differences["final_score"] = abs(run.final_score - ours.score)
    road = road_maps(maps)[maps.map_index(run.map_name)]
    measured = measure(run.ego, run.tracks, 0, log, road)
    return differences | dict(_measured_differences(run, measured))


def _measured_differences(run: DevkitRun, ours: Measurements) -> Iterator[tuple[str, float]]:
    for name, metric in _COMFORT.items():
        yield f"series/{metric}", _largest(run.series[metric], getattr(ours.comfort, name))
    for name, values in (
        ("driving_direction_compliance", ours.direction_m),
        ("time_to_collision_within_bound", ours.ttc_s),
        ("speed_limit_compliance", ours.overspeed_mps),
    ):
        yield f"series/{name}", _largest(run.series[name], values)
    for name, count in zip(_CLASSES, ours.num_at_fault, strict=True):
        key = f"no_ego_at_fault_collisions/number_of_at_fault_collisions_with_{name}"
        yield key, abs(run.statistics[key] - count)
    prefix = "ego_progress_along_expert_route"
    for end, value in (("ego", ours.progress.ego_m), ("expert", ours.progress.expert_m)):
        key = f"{prefix}/{end}_total_progress_along_route"
        yield key, abs(run.statistics.get(key, 0.0) - value)


def _largest(theirs: np.ndarray, ours: np.ndarray) -> float:
    """Largest difference; two infinities don't differ."""
    assert theirs.shape == ours.shape
    differs = theirs != ours
    return float(np.max(np.abs(theirs[differs] - ours[differs]), initial=0.0))
