"""Golden runs of the devkit: a small set of scenarios with what the devkit made of them.

    python -m tests.nuplan.golden_runs RUNS CACHE MAPS TOKEN [TOKEN ...]

writes tests/golden/nuplan from a folder of devkit_oracle.py, the scenario cache of the same logs
and the folder of their maps (its README says what was run). CI checks our simulation and
metrics against them without the devkit.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.nuplan_metrics.scoring import METRICS
from sim_adapters.maps.nuplan_gpkg import MAP_VERSION, load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import open_cache
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.devkit_runs import DevkitRun, read_run

FOLDER = Path(__file__).parents[1] / "golden" / "nuplan"
SIZE_LIMIT = 2_500_000  # bytes, all files together
PLANNERS = ("log_future", "simple", "idm")
MODES = ("nonreactive", "reactive")
_LOGS_FILE, _RUNS_FILE, _MAP_SUFFIX = "scenarios.npz", "runs.npz", ".gpkg.xz"
_PARTS: dict[str, Any] = {
    "ego": EgoLog,
    "past_ego": EgoLog,
    "future_ego": EgoLog,
    "boxes": BoxLog,
    "lights": LightLog,
}
_NAMES = ("token", "scenario_type", "log_name", "map_name")


@dataclass(frozen=True)
class GoldenRun:
    """What the devkit gave for one scenario, planner and mode."""

    token: str
    ego: EgoTrace  # B = 1
    num_boxes: np.ndarray  # (T,)
    mean_xy: np.ndarray  # (T, 2) of the boxes' centres, zero without boxes [m]
    scores: dict[str, float]  # by metric
    final_score: float


def mean_of_boxes(tracks: TrackTrace, row: int, count: int) -> np.ndarray:
    """Mean place of the boxes at each sample, (count, 2) [m]."""
    seen = tracks.track[row, :count] >= 0
    number = np.maximum(seen.sum(axis=1), 1)
    sums = [np.where(seen, v[row, :count], 0.0).sum(axis=1) for v in (tracks.x, tracks.y)]
    return np.stack(sums, axis=1) / number[:, None]


def read_golden_logs() -> list[ScenarioLog]:
    """The scenarios."""
    with np.load(FOLDER / _LOGS_FILE, allow_pickle=False) as file:
        arrays = dict(file)
    return [_log(arrays, token) for token in arrays["tokens"].tolist()]


def read_golden_run(token: str, planner: str, mode: str) -> GoldenRun:
    """One run."""
    prefix = f"{token}/{planner}/{mode}/"
    with np.load(FOLDER / _RUNS_FILE, allow_pickle=False) as file:
        run = {k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)}
    return GoldenRun(
        token,
        EgoTrace(**{name: run[f"ego/{name}"] for name in EgoTrace._fields}),
        run["num_boxes"],
        run["mean_xy"],
        dict(zip(METRICS, run["scores"].tolist(), strict=True)),
        float(run["final_score"]),
    )


def golden_locations() -> list[str]:
    """Names of the maps."""
    return sorted(path.name.removesuffix(_MAP_SUFFIX) for path in FOLDER.glob(f"*{_MAP_SUFFIX}"))


def unpack_golden_maps(folder: Path) -> MapBank:
    """The maps, written out as a map folder and loaded from there."""
    locations = golden_locations()
    for location in locations:
        path = folder / location / "1" / "map.gpkg"
        path.parent.mkdir(parents=True)
        path.write_bytes(lzma.decompress((FOLDER / f"{location}{_MAP_SUFFIX}").read_bytes()))
    versions = {location: {"version": "1", "layers": {}} for location in locations}
    (folder / f"{MAP_VERSION}.json").write_text(json.dumps(versions))
    return load_nuplan_maps(folder, locations)


def _log(arrays: dict[str, np.ndarray], token: str) -> ScenarioLog:
    def part(name: str) -> Any:
        kind = _PARTS[name]
        return kind(**{field: arrays[f"{token}/{name}/{field}"] for field in kind._fields})

    names = dict(zip(_NAMES, arrays[f"{token}/names"].tolist(), strict=True))
    return ScenarioLog(
        **names,
        **{name: part(name) for name in _PARTS},
        track_tokens=tuple(arrays[f"{token}/track_tokens"].tolist()),
        route_fids=tuple(arrays[f"{token}/route_fids"].tolist()),
        corrected_route_fids=tuple(arrays[f"{token}/corrected_route_fids"].tolist()),
    )


def _log_arrays(log: ScenarioLog) -> dict[str, np.ndarray]:
    arrays = {
        f"{log.token}/{part}/{field}": values
        for part in _PARTS
        for field, values in getattr(log, part)._asdict().items()
    }
    arrays[f"{log.token}/names"] = np.array([getattr(log, name) for name in _NAMES])
    for name in ("track_tokens", "route_fids", "corrected_route_fids"):
        arrays[f"{log.token}/{name}"] = np.array(getattr(log, name))
    return arrays


def _run_arrays(run: DevkitRun, planner: str, mode: str) -> dict[str, np.ndarray]:
    count = int(run.ego.num_samples[0])
    values = {f"ego/{name}": array for name, array in run.ego._asdict().items()} | {
        "num_boxes": run.tracks.num_boxes[0, :count],
        "mean_xy": mean_of_boxes(run.tracks, 0, count),
        "scores": np.array([run.scores[name] for name in METRICS]),
        "final_score": np.array(run.final_score),
    }
    return {f"{run.token}/{planner}/{mode}/{name}": value for name, value in values.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the golden set."""
    parser = argparse.ArgumentParser(prog="python -m tests.nuplan.golden_runs", description=__doc__)
    for name in ("runs", "cache", "maps"):
        parser.add_argument(name, type=Path)
    parser.add_argument("tokens", nargs="+")
    options = parser.parse_args(arguments)
    cache = open_cache(options.cache)
    logs: dict[str, Any] = {"tokens": np.array(options.tokens)}
    runs: dict[str, Any] = {}
    locations = set()
    for token in options.tokens:
        log = cache.read(token)
        locations.add(log.map_name)
        logs |= _log_arrays(log)
        for planner in PLANNERS:
            for mode in MODES:
                run = read_run(options.runs / f"{token}_{planner}_{mode}.npz")
                runs |= _run_arrays(run, planner, mode)
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(FOLDER / _LOGS_FILE, **logs)
    np.savez_compressed(FOLDER / _RUNS_FILE, **runs)
    for location in locations:
        packed = lzma.compress((options.maps / location / "1" / "map.gpkg").read_bytes(), preset=9)
        (FOLDER / f"{location}{_MAP_SUFFIX}").write_bytes(packed)
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    if size > SIZE_LIMIT:
        raise SystemExit(f"{size} bytes are too many for the repository: take fewer tokens")


if __name__ == "__main__":
    main()
