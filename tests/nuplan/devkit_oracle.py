"""Runs nuPlan's own devkit on logs and writes down what it simulated and how it scored it.

Our simulation and metrics are compared with these files; nothing here is used to compute ours.
Every part is the devkit's (see DevkitChallenge): scenario builder, planners, LQR controller, IDM
agents, metric engine, weighted average. It needs the devkit and its environment, the rest of the
tests only what it wrote:

    PYTHONPATH=$NUPLAN_DEVKIT_ROOT:. python tests/nuplan/devkit_oracle.py --data-root LOGS \
        --map-root MAPS --out OUT --planners idm simple log_future --modes nonreactive reactive

One `OUT/<token>_<planner>_<mode>.npz` a run, readable with `devkit_runs.read_run`; a run whose file
exists is left alone, so a stopped command goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim_adapters.nuplan.devkit.challenge import (
    MODES,
    PLANNERS,
    DevkitChallenge,
    DevkitRun,
    devkit_scenarios,
)
from sim_adapters.nuplan.scenario_log import EgoLog, TrackType
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace, empty_traces

_LOG = logging.getLogger("devkit_oracle")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every planner and mode on every scenario; the number of failed runs is the status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _LOG.setLevel(logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    roots = (options.data_root, options.map_root)
    scenarios = devkit_scenarios(*roots, options.tokens)[: options.limit]
    _LOG.info("%d scenarios", len(scenarios))
    challenges = {
        f"{planner}_{mode}": DevkitChallenge(*roots, planner, mode, scenarios)
        for planner in options.planners
        for mode in options.modes
    }
    failed = 0
    for scenario in scenarios:
        for name, challenge in challenges.items():
            path = options.out / f"{scenario.token}_{name}.npz"
            if path.exists():
                continue
            try:
                run = challenge.run(scenario)
            except Exception:  # a scenario that the devkit fails on is a result, too
                _LOG.exception("%s failed", path.stem)
                failed += 1
                continue
            _write(path, _arrays(scenario, run, options.plans))
            _LOG.info("%s %.6f", path.stem, run.final_score)
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the devkit's simulation and metrics.")
    parser.add_argument("--data-root", required=True, type=Path, help="folder of .db logs")
    parser.add_argument(
        "--map-root", required=True, type=Path, help="folder of nuplan-maps-v1.0.json"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder for one .npz a run")
    parser.add_argument("--tokens", nargs="*", help="scenario tokens (all tagged ones)")
    parser.add_argument("--limit", type=int, help="most scenarios to run")
    parser.add_argument("--planners", nargs="+", default=list(PLANNERS), choices=PLANNERS)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--plans", action="store_true", help="also keep the planners' trajectories")
    return parser


def _arrays(scenario: Any, run: DevkitRun, with_plans: bool) -> dict[str, Any]:
    """One run as named arrays."""
    arrays: dict[str, Any] = {
        "token": scenario.token,
        "scenario_type": scenario.scenario_type,
        "log_name": scenario.log_name,
        "map_name": scenario.map_api.map_name,
        "simulation_s": run.simulation_s,
        "metrics_s": run.metrics_s,
        "final_score": run.final_score,
    }
    tracks, arrays["track_tokens"] = _track_trace(run.samples)
    groups = {
        "ego": _ego_trace(run.samples),
        "expert": _expert_log(scenario),
        "tracks": tracks,
    }
    for group, fields in groups.items():
        arrays |= {f"{group}/{name}": values for name, values in fields._asdict().items()}
    if with_plans:
        arrays |= dict(_plans(run.samples))
    return arrays | dict(_metrics(run.metrics))


def _ego_trace(samples: Sequence[Any]) -> EgoTrace:
    ego, _ = empty_traces(1, len(samples), 1)
    ego.num_samples[0] = len(samples)
    for k, sample in enumerate(samples):
        state, dynamic = sample.ego_state, sample.ego_state.dynamic_car_state
        velocity, acceleration = dynamic.rear_axle_velocity_2d, dynamic.rear_axle_acceleration_2d
        ego.time_us[0, k] = state.time_us
        ego.x[0, k], ego.y[0, k] = state.rear_axle.x, state.rear_axle.y
        ego.yaw_rad[0, k] = state.rear_axle.heading
        ego.motion[0, k] = velocity.x, velocity.y, acceleration.x, acceleration.y
        ego.yaw_rate_radps[0, k] = dynamic.angular_velocity
        ego.yaw_acceleration_radps2[0, k] = dynamic.angular_acceleration
        ego.tyre_angle_rad[0, k] = state.tire_steering_angle
        ego.tyre_rate_radps[0, k] = dynamic.tire_steering_rate
    return ego


def _expert_log(scenario: Any) -> EgoLog:
    """The human's states at all frames of the window."""
    states = list(scenario.get_expert_ego_trajectory())
    poses = np.array([[*state.rear_axle] for state in states])
    cars = [state.dynamic_car_state for state in states]
    motion = np.array(
        [[*car.rear_axle_velocity_2d.array, *car.rear_axle_acceleration_2d.array] for car in cars]
    )
    return EgoLog(np.array([state.time_us for state in states]), *poses.T, *motion.T)


def _track_trace(samples: Sequence[Any]) -> tuple[TrackTrace, np.ndarray]:
    """Boxes in the observation's own order and the tokens that `track` counts."""
    frames = [list(sample.observation.tracked_objects) for sample in samples]
    _, tracks = empty_traces(1, len(samples), max(1, *map(len, frames)))
    rows: dict[str, int] = {}
    for k, frame in enumerate(frames):
        tracks.num_boxes[0, k] = len(frame)
        for i, thing in enumerate(frame):
            velocity = getattr(thing, "velocity", None)  # static objects have none
            tracks.track[0, k, i] = rows.setdefault(thing.track_token, len(rows))
            tracks.type[0, k, i] = TrackType[thing.tracked_object_type.name]
            tracks.x[0, k, i], tracks.y[0, k, i] = thing.center.x, thing.center.y
            tracks.yaw_rad[0, k, i] = thing.center.heading
            tracks.length_m[0, k, i], tracks.width_m[0, k, i] = thing.box.length, thing.box.width
            if velocity is not None:
                tracks.vx_mps[0, k, i], tracks.vy_mps[0, k, i] = velocity.x, velocity.y
    return tracks, np.array(list(rows), dtype="U")


def _plans(samples: Sequence[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Trajectories the planner gave: CSR over samples of (time, rear axle pose and motion)."""
    plans = [sample.trajectory.get_sampled_trajectory() for sample in samples]
    states = [state for plan in plans for state in plan]
    yield "plan/first", np.cumsum([0, *map(len, plans)])
    yield "plan/time_us", np.array([state.time_us for state in states])
    yield "plan/pose", np.array([[*state.rear_axle] for state in states])
    motions = [state.dynamic_car_state for state in states]
    yield (
        "plan/motion",
        np.array(
            [[*m.rear_axle_velocity_2d.array, *m.rear_axle_acceleration_2d.array] for m in motions]
        ),
    )


def _metrics(results: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Scores (NaN where a metric has none), statistics and time series by metric."""
    for statistics in (one for several in results.values() for one in several):
        score = statistics.metric_score
        yield f"score/{statistics.name}", np.nan if score is None else float(score)
        for one in statistics.statistics:
            value = np.nan if one.value is None else float(one.value)
            yield f"statistic/{statistics.name}/{one.name}", value
        if statistics.time_series is not None:
            series = [np.nan if v is None else float(v) for v in statistics.time_series.values]
            yield f"series/{statistics.name}", np.array(series)


def _write(path: Path, run: dict[str, Any]) -> None:
    """Writes under another name first: a stopped command leaves no half file."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{key: np.asarray(value) for key, value in run.items()})
    part.rename(path)


if __name__ == "__main__":
    sys.exit(main())
