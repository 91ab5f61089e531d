"""Our simulation and scores against runs of the devkit: worst differences of a folder of runs.

    python -m tests.nuplan.run_parity RUNS CACHE MAPS

RUNS is what devkit_oracle.py wrote, CACHE the scenario cache of the same logs. Metrics are compared
twice: on the devkit's own traces, and on the traces of our simulation.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from hydra.utils import instantiate

from evaluation.drivers.driver import Driver, driver_config
from evaluation.nuplan_metrics import score_scenarios
from evaluation.nuplan_metrics.scoring import METRICS
from evaluation.val14.rollout import TRAFFIC, simulate
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import open_cache
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.devkit_runs import DevkitRun, read_run, tracks_of_log
from tests.nuplan.metric_parity import metric_differences

_RUN = re.compile(r"(?P<token>[0-9a-f]+)_(?P<planner>idm|simple|log_future)_(?P<mode>\w+)")
_DRIVER_NAMES = {"idm": "idm", "simple": "constant_speed", "log_future": "log_replay"}
DRIVERS: dict[str, Callable[[], Driver]] = {
    name: instantiate(driver_config(f"nuplan/{ours}"), _partial_=True)
    for name, ours in _DRIVER_NAMES.items()
}
TOLERANCE = 1e-6
BATCH = 32
_QUANTITIES: dict[str, Callable[[str], bool]] = {
    "ego states": lambda name: name.startswith("ego/"),
    "other agents": lambda name: name.startswith("tracks/"),
    "metrics on the devkit's traces": lambda name: name.startswith("score/"),
    "metrics, simulated by us": lambda name: (
        name.startswith("simulated/") and not name.endswith("final_score")
    ),
    "final score": lambda name: name.endswith("final_score"),
}


@dataclass(frozen=True)
class Comparison:
    """How far we are from one run of the devkit."""

    run: DevkitRun
    planner: str
    mode: str
    differences: dict[str, float]  # by quantity

    @property
    def beyond(self) -> dict[str, float]:
        """Differences above the tolerance, NaN among them."""
        return {name: one for name, one in self.differences.items() if not one <= TOLERANCE}


def simulation_differences(
    runs: Sequence[DevkitRun],
    logs: Sequence[ScenarioLog],
    maps: MapBank,
    driver: Driver,
    mode: str,
) -> list[dict[str, float]]:
    """Largest absolute differences of a batch of runs of one planner and mode, run by run."""
    ego, tracks = simulate(logs, maps, driver, traffic=TRAFFIC[mode])
    scores = score_scenarios(ego, tracks, logs, maps)
    differences = []
    for row, (run, log, ours) in enumerate(zip(runs, logs, scores, strict=True)):
        found = _ego_differences(ego, row, run.ego)
        found |= _track_differences(tracks, row, tracks_of_log(run, log))
        if ours.metrics is None:
            raise ValueError(f"{run.token}: {ours.failure}")
        for name, value in zip(METRICS, ours.metrics, strict=True):
            found[f"simulated/{name}"] = abs(run.scores[name] - value)
        found["simulated/final_score"] = abs(run.final_score - ours.score)
        differences.append(found)
    return differences


def _ego_differences(ours: EgoTrace, row: int, theirs: EgoTrace) -> dict[str, float]:
    count = int(theirs.num_samples[0])
    assert ours.num_samples[row] == count
    return {
        f"ego/{name}": _largest(getattr(ours, name)[row, :count], getattr(theirs, name)[0, :count])
        for name in EgoTrace._fields[1:]
    }


def _track_differences(ours: TrackTrace, row: int, theirs: TrackTrace) -> dict[str, float]:
    """Boxes matched by track, whatever their order; infinite where one side has a box too many."""
    worst = dict.fromkeys((f"tracks/{name}" for name in TrackTrace._fields[2:]), 0.0)
    worst["tracks/presence"] = 0.0
    for k in range(theirs.num_boxes.shape[1]):
        sides = []
        for side, index in ((ours, row), (theirs, 0)):
            track = side.track[index, k]
            rows = np.flatnonzero(track >= 0)
            sides.append((side, index, rows[np.argsort(track[rows])]))
        tracks = [side.track[index, k, rows] for side, index, rows in sides]
        if not np.array_equal(*tracks):
            worst["tracks/presence"] = np.inf
            continue
        for name in TrackTrace._fields[2:]:
            values = [getattr(side, name)[index, k, rows] for side, index, rows in sides]
            worst[f"tracks/{name}"] = max(worst[f"tracks/{name}"], _largest(*values))
    return worst


def _largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    difference = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))
    return float(np.max(difference, initial=0.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the worst differences; the status counts runs beyond the tolerance."""
    parser = argparse.ArgumentParser(prog="python -m tests.nuplan.run_parity", description=__doc__)
    for name in ("runs", "cache", "maps"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    found = compare_runs(options.runs, options.cache, options.maps)
    for _, group in groupby(found, key=lambda one: (one.planner, one.mode)):
        _say_worst(list(group))
    return _say_summary(found)


def compare_runs(runs: Path, cache: Path, maps: Path) -> list[Comparison]:
    """All runs of a folder whose scenario is in the cache, by planner and mode."""
    scenarios = open_cache(cache)
    bank = load_nuplan_maps(maps, scenarios.map_names)
    groups: dict[tuple[str, str], list[DevkitRun]] = {}
    for path in sorted(runs.glob("*.npz")):
        match = _RUN.fullmatch(path.stem)
        if match and match["token"] in scenarios.entries:
            groups.setdefault((match["planner"], match["mode"]), []).append(read_run(path))
    return [
        one for key, group in groups.items() for one in _compare(key, group, scenarios.read, bank)
    ]


def _compare(
    key: tuple[str, str],
    runs: Sequence[DevkitRun],
    read: Callable[[str], ScenarioLog],
    maps: MapBank,
) -> list[Comparison]:
    planner, mode = key
    found = [metric_differences(run, maps) for run in runs]
    for first in range(0, len(runs), BATCH):
        portion = runs[first : first + BATCH]
        logs = [read(run.token) for run in portion]
        more = simulation_differences(portion, logs, maps, DRIVERS[planner](), mode)
        for one, simulated in zip(found[first:], more, strict=False):
            one.update(simulated)
    return [Comparison(run, planner, mode, one) for run, one in zip(runs, found, strict=True)]


def _say_worst(found: Sequence[Comparison]) -> None:
    """Every quantity of one planner and mode that differs at all."""
    _say(f"{found[0].planner} {found[0].mode}: {len(found)} runs; worst of each quantity:")
    for name in found[0].differences:
        value = max(one.differences[name] for one in found)
        if value > 0.0:
            _say(f"    {name:60s} {value:.2e}")


def _say_summary(found: Sequence[Comparison]) -> int:
    """All in one glance; returns the number of runs beyond the tolerance."""
    beyond = [one for one in found if one.beyond]
    counted = {
        "runs": len(found),
        "scenarios": len({one.run.token for one in found}),
        "scenario types": len({one.run.scenario_type for one in found}),
        "towns": len({one.run.map_name for one in found}),
        "planners": len({one.planner for one in found}),
        "modes": len({one.mode for one in found}),
    }
    _say(", ".join(f"{count} {what}" for what, count in counted.items()))
    scores = [one.run.final_score for one in found]
    _say(f"final scores from {min(scores):.3f} to {max(scores):.3f}, {len(set(scores))} values")
    for what, is_meant in _QUANTITIES.items():
        values = [v for one in found for name, v in one.differences.items() if is_meant(name)]
        _say(f"worst difference of {what:28s} {max(values):.2e}")
    _say(f"runs beyond {TOLERANCE}: {len(beyond)}")
    for one in beyond:
        _say(f"  {one.run.token} {one.run.map_name} {one.planner} {one.mode}: {one.beyond}")
    return len(beyond)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(min(main(), 255))
