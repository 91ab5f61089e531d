"""Reads what devkit_oracle.py wrote: a run of nuPlan's devkit as traces, scores, statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace


@dataclass(frozen=True)
class DevkitRun:
    """One scenario, one planner, one mode; traces have one row (B = 1)."""

    token: str
    scenario_type: str
    log_name: str
    map_name: str
    ego: EgoTrace
    expert: EgoLog  # the human, all frames of the window
    tracks: TrackTrace  # `track` counts `track_tokens`, in order of first appearance
    track_tokens: tuple[str, ...]
    scores: dict[str, float]  # by metric; NaN where the devkit gives none
    statistics: dict[str, float]  # by metric/statistic
    series: dict[str, NDArray[np.float64]]  # by metric, one value a sample
    plan: dict[str, NDArray[np.float64]]  # the planner's trajectories, empty without --plans
    final_score: float
    simulation_s: float
    metrics_s: float


def read_run(path: Path) -> DevkitRun:
    """The run of one file."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)

    def group(name: str) -> dict[str, Any]:
        length = len(name) + 1
        return {key[length:]: v for key, v in arrays.items() if key.startswith(f"{name}/")}

    return DevkitRun(
        token=str(arrays["token"]),
        scenario_type=str(arrays["scenario_type"]),
        log_name=str(arrays["log_name"]),
        map_name=str(arrays["map_name"]),
        ego=EgoTrace(**group("ego")),
        expert=EgoLog(**group("expert")),
        tracks=TrackTrace(**group("tracks")),
        track_tokens=tuple(str(one) for one in arrays["track_tokens"]),
        scores={key: float(value) for key, value in group("score").items()},
        statistics={key: float(value) for key, value in group("statistic").items()},
        series=group("series"),
        plan=group("plan"),
        final_score=float(arrays["final_score"]),
        simulation_s=float(arrays["simulation_s"]),
        metrics_s=float(arrays["metrics_s"]),
    )


def tracks_of_log(run: DevkitRun, log: ScenarioLog) -> TrackTrace:
    """The run's tracks, `track` counting the log's tokens instead of the run's own."""
    rows = {token: row for row, token in enumerate(log.track_tokens)}
    own = np.array([rows[token] for token in run.track_tokens], np.int32)
    track = run.tracks.track.copy()
    track[track >= 0] = own[track[track >= 0]]
    return run.tracks._replace(track=track)


def scored_log(run: DevkitRun) -> ScenarioLog:
    """As much of the scenario as the metrics look at: names, the expert and the run's tracks."""
    frames = np.zeros(len(run.expert.time_us) + 1, np.int32)
    nothing = np.zeros(0)
    none = EgoLog(*(nothing for _ in EgoLog._fields))
    return ScenarioLog(
        token=run.token,
        scenario_type=run.scenario_type,
        log_name=run.log_name,
        map_name=run.map_name,
        ego=run.expert,
        past_ego=none,
        future_ego=none,
        boxes=BoxLog(frames, *(nothing for _ in BoxLog._fields[1:])),
        track_tokens=run.track_tokens,
        lights=LightLog(frames, *(nothing for _ in LightLog._fields[1:])),
        route_fids=(),
        corrected_route_fids=(),
    )
