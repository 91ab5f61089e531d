"""Files of a Val14 run: scenarios.jsonl while it runs, results.json and scenarios.csv at its end.

The .jsonl opens with a line that says what is evaluated and holds one line a scenario, planner and
mode. A run that was stopped goes on where it was, if its first line is the same; scenarios below
another first line are kept, and the run is refused. A last line that was cut short is dropped, and
so, with a warning, is any other that cannot be read.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.nuplan_metrics.scoring import (
    METRICS,
    MetricScores,
    ScenarioScores,
    scenario_score,
)
from evaluation.output_folder import refuse_other_results
from evaluation.scoring.results_file import RESULTS_FILE, write_json
from evaluation.scoring.score_table import Results
from evaluation.scoring.scores import Interval, mean_interval
from sim_adapters.array_types import FloatArray

# Figures of one planner over all scenarios, in percent.
#
# Source: nuPlan devkit, weighted average aggregator: the overall score is the mean over scenarios,
# which is the mean of the types' means weighted by their numbers of scenarios. Unlike its table,
# ours gives means of the metrics for types, too, not sums.


@dataclass(frozen=True)
class TypeScores:
    """Means over the scenarios of one type."""

    num_scenarios: int
    num_done: int
    score: Interval | None  # None: none of them was done
    metrics: dict[str, float]


@dataclass(frozen=True)
class Val14Scores:
    """Means over scenarios, in [0, 100], with bootstrap intervals over scenarios."""

    num_scenarios: int
    num_done: int
    score: Interval
    metrics: dict[str, Interval]
    gains: dict[str, float]  # points the score would gain, were one metric perfect everywhere
    types: dict[str, TypeScores]

    @property
    def is_complete(self) -> bool:
        """Whether every scenario has a score."""
        return self.num_done == self.num_scenarios


def val14_scores(results: Sequence[ScenarioScores]) -> Val14Scores:
    """Aggregate the scenarios of one planner and mode.

    Raises:
        ValueError: no scenario was done.
    """
    done = [result for result in results if result.metrics is not None]
    if not done:
        reasons = sorted({result.failure for result in results})
        raise ValueError(f"none of {len(results)} scenarios has a score: {'; '.join(reasons[:3])}")
    metrics = np.array([result.metrics for result in done])
    score = np.array([result.score for result in done])
    types = sorted({result.scenario_type for result in results})
    return Val14Scores(
        num_scenarios=len(results),
        num_done=len(done),
        score=_percent(score),
        metrics={name: _percent(metrics[:, i]) for i, name in enumerate(METRICS)},
        gains={name: _gain(metrics, score, i) for i, name in enumerate(METRICS)},
        types={name: _of_type([r for r in results if r.scenario_type == name]) for name in types},
    )


def _percent(values: FloatArray) -> Interval:
    return mean_interval(100.0 * values[:, None])


def _gain(metrics: FloatArray, score: FloatArray, index: int) -> float:
    """Points gained with one metric set to 1 in all scenarios."""
    perfect = metrics.copy()
    perfect[:, index] = 1.0
    better = np.array([scenario_score(MetricScores(*row)) for row in perfect])
    return float(100.0 * (better - score).mean())


def _of_type(results: Sequence[ScenarioScores]) -> TypeScores:
    done = [result for result in results if result.metrics is not None]
    if not done:
        return TypeScores(len(results), 0, None, {})
    means = 100.0 * np.array([result.metrics for result in done]).mean(axis=0)
    return TypeScores(
        len(results),
        len(done),
        _percent(np.array([result.score for result in done])),
        dict(zip(METRICS, means.tolist(), strict=True)),
    )


log = logging.getLogger(__name__)
TITLES = {
    "no_ego_at_fault_collisions": "no at-fault collisions",
    "drivable_area_compliance": "drivable area",
    "driving_direction_compliance": "driving direction",
    "ego_is_making_progress": "making progress",
    "ego_progress_along_expert_route": "progress along the expert's route",
    "time_to_collision_within_bound": "time to collision",
    "speed_limit_compliance": "speed limit",
    "ego_is_comfortable": "comfort",
}
SCENARIOS_FILE, TABLE_FILE = "scenarios.jsonl", "scenarios.csv"


class Drive(NamedTuple):
    """Who drove among whom."""

    planner: str
    mode: str  # "nonreactive" or "reactive"


DrivenScenarios = dict[Drive, list[ScenarioScores]]


class ScenarioBook:
    """Scenarios that are done, kept on disk as they come.

    Args:
        folder: Of the run, made if missing.
        about: What is evaluated; the folder may hold scenarios of nothing else.

    Raises:
        ValueError: the folder holds scenarios of something else, or nobody can say of what.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / SCENARIOS_FILE
        self.results: DrivenScenarios = {}
        content = self._path.read_bytes() if self._path.is_file() else b""
        num_whole = content.rfind(b"\n") + 1  # bytes; a run that is killed may cut its last line
        if num_whole:
            found, results = read_scenarios(folder)
            if found == dict(about):
                self.results = results
                os.truncate(self._path, num_whole)
                return
            if content.count(b"\n") > 1:
                refuse_other_results(folder, SCENARIOS_FILE, found, about)
        self._path.write_text(json.dumps(about) + "\n")

    def scored(self, drive: Drive) -> dict[str, ScenarioScores]:
        """Scenarios of a drive that have a score, by token; failed ones are worth another try."""
        found = self.results.get(drive, [])
        return {one.token: one for one in found if one.metrics is not None}

    def add(self, drive: Drive, scenarios: Sequence[ScenarioScores]) -> None:
        """Append scenarios of one drive."""
        self.results.setdefault(drive, []).extend(scenarios)
        with self._path.open("a") as file:
            for scenario in scenarios:
                file.write(json.dumps(_row(drive, scenario), allow_nan=False) + "\n")


def read_scenarios(folder: Path) -> tuple[dict[str, Any], DrivenScenarios]:
    """What `ScenarioBook` wrote: the description, and the last line of every scenario.

    A last line without an end is no line yet; others that cannot be read are left out.

    Raises:
        FileNotFoundError: the folder holds no Val14 run.
        ValueError: the first line, which says what was evaluated, is damaged.
    """
    path = folder / SCENARIOS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {SCENARIOS_FILE}: expected the output folder of "
            f"`python -m evaluation.evaluate benchmark=val14`"
        )
    first, *lines = path.read_bytes().split(b"\n")[:-1] or [b""]
    try:
        about = dict(json.loads(first))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the first line of {path} cannot be read ({error!r}): move the file away and evaluate "
            f"again"
        ) from error
    return about, _read_rows(lines, path)


def _read_rows(lines: Sequence[bytes], path: Path) -> DrivenScenarios:
    """Scenarios of the lines below the first."""
    found: dict[Drive, dict[str, ScenarioScores]] = {}
    damaged: dict[int, Exception] = {}
    for number, line in enumerate(lines, start=2):
        try:
            drive, scenario = _scenario(json.loads(line))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            damaged[number] = error
            continue
        found.setdefault(drive, {})[scenario.token] = scenario
    if damaged:
        log.warning(
            "%d lines of %s cannot be read and are left out, the first is line %d (%r): evaluating "
            "again drives what is missing",
            *(len(damaged), path, *next(iter(damaged.items()))),
        )
    return {drive: list(rows.values()) for drive, rows in found.items()}


def write_val14(
    folder: Path,
    results: Mapping[Drive, Sequence[ScenarioScores]],
    scores: Mapping[Drive, Val14Scores],
    about: Mapping[str, Any],
) -> None:
    """Write results.json and scenarios.csv."""
    _write_table(folder / TABLE_FILE, results)
    write_json(
        folder / RESULTS_FILE,
        {
            "about": dict(about),
            "drives": [
                {**drive._asdict(), **_document(scores[drive]), "failed": _failures(scenarios)}
                for drive, scenarios in results.items()
            ],
        },
    )


def _document(scores: Val14Scores) -> dict[str, Any]:
    """Scores as JSON values."""

    def interval(value: Any) -> Any:
        return None if value is None else [value.value, value.low, value.high]

    return {
        "num_scenarios": scores.num_scenarios,
        "num_done": scores.num_done,
        "score": interval(scores.score),
        "metrics": {name: interval(value) for name, value in scores.metrics.items()},
        "score_gained_if_perfect": scores.gains,
        "types": {
            name: {
                "num_scenarios": one.num_scenarios,
                "num_done": one.num_done,
                "score": interval(one.score),
                "metrics": one.metrics,
            }
            for name, one in scores.types.items()
        },
    }


def _failures(scenarios: Sequence[ScenarioScores]) -> dict[str, str]:
    return {one.token: one.failure for one in scenarios if one.metrics is None}


def _write_table(path: Path, results: Mapping[Drive, Sequence[ScenarioScores]]) -> None:
    """One line a planner, mode and scenario, worst score first."""
    details = sorted({key for rows in results.values() for one in rows for key in one.details})
    head = ["planner", "mode", "scenario", "log_name", "scenario_type", "status", "score"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head, *METRICS, *details])
        for drive, scenarios in results.items():
            for one in sorted(scenarios, key=lambda s: s.score if s.metrics else -1.0):
                values = [""] * (1 + len(METRICS))
                if one.metrics is not None:
                    values = [repr(one.score), *map(repr, one.metrics)]
                status = "done" if one.metrics is not None else one.failure
                names = [one.token, one.log_name, one.scenario_type, status]
                writer.writerow([*drive, *names, *values, *(one.details.get(k) for k in details)])


def _row(drive: Drive, scenario: ScenarioScores) -> dict[str, Any]:
    """JSON values; infinite details (no collision in sight) become null."""
    return {
        **drive._asdict(),
        "token": scenario.token,
        "scenario_type": scenario.scenario_type,
        "log_name": scenario.log_name,
        "failure": scenario.failure,
        "metrics": None if scenario.metrics is None else scenario.metrics._asdict(),
        "details": {k: v if math.isfinite(v) else None for k, v in scenario.details.items()},
    }


def _scenario(row: dict[str, Any]) -> tuple[Drive, ScenarioScores]:
    metrics = row["metrics"]
    return Drive(row["planner"], row["mode"]), ScenarioScores(
        row["token"],
        row["scenario_type"],
        row["log_name"],
        None if metrics is None else MetricScores(**metrics),
        {key: math.inf if value is None else value for key, value in row["details"].items()},
        row["failure"],
    )


def is_val14_run(folder: Path) -> bool:
    """Whether a folder holds a Val14 run."""
    return (folder / SCENARIOS_FILE).is_file()


def val14_results(folder: Path) -> Results:
    """Score and metrics [%] of the planner that a run is about (not of its yardsticks), by mode.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: nobody can say of what it is.
    """
    about, results = read_scenarios(folder)
    parts = {
        drive.mode: {(one.token, 0): _figures(one) for one in scenarios if one.metrics is not None}
        for drive, scenarios in results.items()
        if drive.planner == about["planner"]
    }
    return Results(
        "nuPlan's scenarios", parts, "scenarios", is_complete=False, titles=TITLES, digits=2
    )


def _figures(one: ScenarioScores) -> dict[str, float]:
    metrics = {} if one.metrics is None else one.metrics._asdict()
    return {name: 100.0 * value for name, value in {"score": one.score, **metrics}.items()}
