"""score_scenarios: traces of a simulation in, the eight metrics of each scenario and its score out.

score = product of the multipliers x weighted mean of the rest.
Source: nuPlan devkit, weighted average aggregator of the closed-loop challenges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from evaluation.nuplan_metrics.collisions import (
    OBJECTS,
    USERS,
    VEHICLES,
    collision_score,
    find_collisions,
    time_to_collision_s,
    ttc_score,
)
from evaluation.nuplan_metrics.drivable_area import corner_lanes, stays_on_drivable_area
from evaluation.nuplan_metrics.ego_path import ego_path, expert_path, seen_tracks
from evaluation.nuplan_metrics.lane_graph import RoadMap, driven_route, road_maps
from evaluation.nuplan_metrics.progress import (
    RouteProgress,
    direction_score,
    expert_route,
    making_progress_score,
    overspeed_mps,
    progress_over_horizon,
    route_progress,
    speed_score,
)
from sim_adapters.array_types import FloatArray
from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace
from sim_adapters.scene.map_bank import MapBank


class MetricScores(NamedTuple):
    """Scores in [0, 1] by the devkit's names: four multipliers, then four weighted ones."""

    no_ego_at_fault_collisions: float
    drivable_area_compliance: float
    driving_direction_compliance: float
    ego_is_making_progress: float
    ego_progress_along_expert_route: float
    time_to_collision_within_bound: float
    speed_limit_compliance: float
    ego_is_comfortable: float


METRICS = MetricScores._fields
MULTIPLIERS = METRICS[:4]
WEIGHTS = dict(zip(METRICS[4:], (5.0, 5.0, 4.0, 2.0), strict=True))


def scenario_score(metrics: MetricScores) -> float:
    """The score in [0, 1] that these metrics make."""
    values = metrics._asdict()
    weighted = sum(weight * values[name] for name, weight in WEIGHTS.items())
    return math.prod(values[name] for name in MULTIPLIERS) * weighted / sum(WEIGHTS.values())


@dataclass(frozen=True)
class ScenarioScores:
    """How one scenario was driven, or why that can't be said."""

    token: str
    scenario_type: str
    log_name: str
    metrics: MetricScores | None  # None: failed
    details: dict[str, float] = field(default_factory=dict)  # what the scores come from, by name
    failure: str = ""  # why there are no metrics

    @property
    def score(self) -> float:
        """Score in [0, 1].

        Raises:
            ValueError: the scenario failed.
        """
        if self.metrics is None:
            raise ValueError(f"scenario {self.token} has no score: {self.failure}")
        return scenario_score(self.metrics)


# Comfort: six smoothed signals stay within their bounds at every sample.
#
# Accelerations are those of the box centre, as the devkit shifts them: the yaw terms go to the
# longitudinal part. They are smoothed by a Savitzky-Golay filter (order 2, window 8) and
# differentiated by another (window 15); the yaw comes straight from the poses (window 5).
# Source: nuPlan devkit, `ego_is_comfortable.py`, `utils/state_extractors.py`; bounds from its
# configuration.

_SMOOTHING_WINDOW = 8
_JERK_WINDOW = 15
_YAW_WINDOW = 5
_DECIMALS = 8
LEAST_SAMPLES = 4  # the yaw acceleration fits a cubic


class ComfortSignals(NamedTuple):
    """Smoothed signals of T samples, (T,)."""

    lon_acceleration_mps2: FloatArray
    lat_acceleration_mps2: FloatArray
    jerk_mps3: FloatArray  # of the acceleration's magnitude
    lon_jerk_mps3: FloatArray
    yaw_acceleration_radps2: FloatArray
    yaw_rate_radps: FloatArray


LOWEST = ComfortSignals(-4.05, -4.89, -8.37, -4.13, -1.93, -0.95)  # type: ignore[arg-type]
HIGHEST = ComfortSignals(2.40, 4.89, 8.37, 4.13, 1.93, 0.95)  # type: ignore[arg-type]


def comfort_signals(ego: EgoTrace, row: int) -> ComfortSignals:
    """Signals of one scenario of a batch.

    Raises:
        ValueError: fewer samples than LEAST_SAMPLES, or times that do not increase.
    """
    samples = slice(int(ego.num_samples[row]))
    steps_s = np.diff(ego.time_us[row, samples] / 1e6)
    if len(steps_s) + 1 < LEAST_SAMPLES or not np.all(steps_s > 0.0):
        raise ValueError(
            f"comfort needs {LEAST_SAMPLES} samples at increasing times, got {len(steps_s) + 1}"
        )
    step_s = float(steps_s.mean())
    yaw_rate = ego.yaw_rate_radps[row, samples]
    shift = REAR_AXLE_TO_CENTRE_M * (yaw_rate**2 + ego.yaw_acceleration_radps2[row, samples])
    ax, ay = ego.motion[row, samples, 2], ego.motion[row, samples, 3]
    accelerations = _smooth(np.stack([ax + shift, ay, np.hypot(ax, ay)]))
    jerks = _derivative(accelerations[[2, 0]], step_s, _JERK_WINDOW, order=2, derivative=1)
    yaw = _unwrap(ego.yaw_rad[row, samples])
    return ComfortSignals(
        accelerations[0],
        accelerations[1],
        jerks[0],
        jerks[1],
        _derivative(yaw, step_s, _YAW_WINDOW, order=3, derivative=2),
        _derivative(yaw, step_s, _YAW_WINDOW, order=2, derivative=1),
    )


def comfort_score(signals: ComfortSignals) -> float:
    """1 if every signal is strictly within its bounds at every sample, else 0."""
    return float(
        all(
            np.all((signal > low) & (signal < high))
            for signal, low, high in zip(signals, LOWEST, HIGHEST, strict=True)
        )
    )


def _smooth(signals: FloatArray) -> FloatArray:
    window = min(_SMOOTHING_WINDOW, signals.shape[-1])
    return np.round(np.asarray(savgol_filter(signals, window, 2), np.float64), _DECIMALS)


def _derivative(
    signals: FloatArray, step_s: float, window: int, *, order: int, derivative: int
) -> FloatArray:
    window = min(window, signals.shape[-1])
    rates = savgol_filter(signals, window, order, derivative, step_s)
    return np.round(np.asarray(rates, np.float64), _DECIMALS)


def _unwrap(yaw_rad: FloatArray) -> FloatArray:
    """The same directions without jumps of a whole turn between samples."""
    turns = np.cumsum(np.round(np.diff(yaw_rad) / (2.0 * np.pi)))
    return yaw_rad - 2.0 * np.pi * np.concatenate([[0.0], turns])


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
