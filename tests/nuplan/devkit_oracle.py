"""Runs nuPlan's own devkit on logs and writes down what it simulated and how it scored it.

Our simulation and metrics are compared with these files; nothing here is used to compute ours.
Every part is the devkit's, built from its own hydra configuration: scenario builder, planners,
LQR controller, IDM agents, metric engine, weighted average. It needs the devkit and its
environment (`import nuplan`), the rest of the tests only what it wrote:

    PYTHONPATH=$NUPLAN_DEVKIT_ROOT:. python tests/nuplan/devkit_oracle.py --data-root LOGS \
        --map-root MAPS --out OUT --planners idm simple log_future --modes nonreactive reactive

One `OUT/<token>_<planner>_<mode>.npz` a run, readable with `devkit_runs.read_run`; a run whose file
exists is left alone, so a stopped command goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from nuplan.planning import script
from nuplan.planning.script.builders.metric_builder import build_metrics_engines
from nuplan.planning.script.builders.observation_builder import build_observations
from nuplan.planning.script.builders.planner_builder import build_planners
from nuplan.planning.simulation.runner.simulations_runner import SimulationRunner
from nuplan.planning.simulation.simulation import Simulation
from nuplan.planning.simulation.simulation_setup import SimulationSetup
from nuplan.planning.utils.multithreading.worker_sequential import Sequential

from sim_adapters.nuplan.scenario_log import EgoLog, TrackType
from sim_adapters.nuplan.traces import EgoTrace, TrackTrace, empty_traces

_LOG = logging.getLogger("devkit_oracle")
_PLANNERS = ("idm", "simple", "log_future")
_MODES = ("nonreactive", "reactive")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every planner and mode on every scenario; the number of failed runs is the status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _LOG.setLevel(logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    scenarios = _scenarios(options)
    _LOG.info("%d scenarios", len(scenarios))
    challenges = {
        f"{planner}_{mode}": _config(options, planner, mode)
        for planner in options.planners
        for mode in options.modes
    }
    engines = {name: build_metrics_engines(cfg, scenarios) for name, cfg in challenges.items()}
    failed = 0
    for scenario in scenarios:
        for name, cfg in challenges.items():
            path = options.out / f"{scenario.token}_{name}.npz"
            if path.exists():
                continue
            try:
                run = _run(cfg, scenario, engines[name][scenario.scenario_type], options.plans)
            except Exception:  # a scenario that the devkit fails on is a result, too
                _LOG.exception("%s failed", path.stem)
                failed += 1
                continue
            _write(path, run)
            _LOG.info("%s %.6f", path.stem, run["final_score"])
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the devkit's simulation and metrics.")
    parser.add_argument("--data-root", required=True, help="folder of .db logs")
    parser.add_argument("--map-root", required=True, help="folder of nuplan-maps-v1.0.json")
    parser.add_argument("--out", required=True, type=Path, help="folder for one .npz a run")
    parser.add_argument("--tokens", nargs="*", help="scenario tokens (all tagged ones)")
    parser.add_argument("--limit", type=int, help="most scenarios to run")
    parser.add_argument("--planners", nargs="+", default=list(_PLANNERS), choices=_PLANNERS)
    parser.add_argument("--modes", nargs="+", default=list(_MODES), choices=_MODES)
    parser.add_argument("--plans", action="store_true", help="also keep the planners' trajectories")
    return parser


def _config(options: argparse.Namespace, planner: str, mode: str) -> Any:
    """The devkit's own configuration of a challenge, as run_simulation.py composes it."""
    folder = Path(script.__path__[0]) / "config" / "simulation"
    scratch = Path(tempfile.gettempdir()) / "devkit_oracle" / f"closed_loop_{mode}_agents"
    os.environ.setdefault("NUPLAN_EXP_ROOT", str(scratch))
    os.environ.setdefault("NUPLAN_DATA_ROOT", str(options.data_root))
    os.environ.setdefault("NUPLAN_MAPS_ROOT", str(options.map_root))
    with initialize_config_dir(str(folder), version_base="1.1"):
        return compose(
            "default_simulation",
            [
                f"+simulation=closed_loop_{mode}_agents",
                f"planner={planner}_planner",
                f"scenario_builder.data_root={options.data_root}",
                f"scenario_builder.map_root={options.map_root}",
                "scenario_filter=all_scenarios",
                "worker=sequential",
                f"output_dir={scratch}",
                "main_callback=[]",
            ],
        )


def _scenarios(options: argparse.Namespace) -> list[Any]:
    """Tagged scenarios by token, in the order of their tokens."""
    cfg = _config(options, "simple", "nonreactive")
    builder = instantiate(cfg.scenario_builder)
    scenario_filter = instantiate(cfg.scenario_filter, scenario_tokens=options.tokens or None)
    scenarios = builder.get_scenarios(scenario_filter, Sequential())
    if not options.tokens:
        scenarios = [one for one in scenarios if one.scenario_type != "unknown"]
    return sorted(scenarios, key=lambda one: one.token)[: options.limit]


def _run(cfg: Any, scenario: Any, engine: Any, with_plans: bool) -> dict[str, Any]:
    """One simulation and its metrics as named arrays."""
    (planner,) = build_planners(cfg.planner, scenario)
    setup = SimulationSetup(
        time_controller=instantiate(cfg.simulation_time_controller, scenario=scenario),
        observations=build_observations(cfg.observation, scenario=scenario),
        ego_controller=instantiate(cfg.ego_controller, scenario=scenario),
        scenario=scenario,
    )
    runner = SimulationRunner(
        Simulation(
            setup, simulation_history_buffer_duration=cfg.simulation_history_buffer_duration
        ),
        planner,
    )
    before = time.perf_counter()
    runner.run()
    between = time.perf_counter()
    history = runner.simulation.history
    results = engine.compute_metric_results(history, scenario)
    after = time.perf_counter()
    run: dict[str, Any] = {
        "token": scenario.token,
        "scenario_type": scenario.scenario_type,
        "log_name": scenario.log_name,
        "map_name": scenario.map_api.map_name,
        "simulation_s": between - before,
        "metrics_s": after - between,
    }
    samples = history.data
    run |= {f"ego/{key}": value for key, value in _ego_trace(samples)._asdict().items()}
    expert = _expert_log(scenario)
    run |= {f"expert/{key}": value for key, value in expert._asdict().items()}
    tracks, tokens = _track_trace(samples)
    run |= {f"tracks/{key}": value for key, value in tracks._asdict().items()}
    run["track_tokens"] = tokens
    if with_plans:
        run |= dict(_plans(samples))
    run |= dict(_metrics(results))
    run["final_score"] = _final_score(cfg, scenario, results)
    return run


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


def _final_score(cfg: Any, scenario: Any, results: dict[str, Any]) -> float:
    """The scenario's score as the devkit's own aggregator forms it."""
    (config,) = cfg.metric_aggregator.values()
    aggregator = instantiate(config, aggregator_save_path=Path(cfg.output_dir) / "aggregator")
    columns: dict[str, Any] = {
        one.name: one.metric_score for several in results.values() for one in several
    }
    table = {scenario.token: dict(sorted(columns.items()))}
    aggregator._compute_scenario_score(table)
    return float(table[scenario.token]["score"])


def _write(path: Path, run: dict[str, Any]) -> None:
    """Writes under another name first: a stopped command leaves no half file."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{key: np.asarray(value) for key, value in run.items()})
    part.rename(path)


if __name__ == "__main__":
    sys.exit(main())
