"""Files and tables of a finished official run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.leaderboard_jobs.job import RouteJob, read_record
from evaluation.leaderboard_jobs.official_results import (
    OfficialResult,
    merged_document,
    official_result,
)
from evaluation.report.html_report import Report, write_report
from evaluation.scoring.episode_result import InfractionKind
from evaluation.scoring.results_file import RESULTS_FILE, write_json
from evaluation.scoring.score_table import (
    LEADERBOARD_RULES,
    ScoredWorld,
    planner_table,
    print_tables,
)
from evaluation.scoring.scores import benchmark_scores
from sim_adapters.world.dynamics_check import dynamics_statement

# Which scenarios of a route scenario_runner left out, and why, as its output tells.

_SKIPPED = re.compile(r"Skipping scenario '([^']+)' due to setup error: (.*)")
_TOO_FAR = re.compile(r"WARNING: Ignoring scenario '([^']+)' as (.*)")
_COLOUR = re.compile(r"\x1b\[\d+m")


@dataclass(frozen=True)
class SkippedScenario:
    """A scenario that the route file asks for and the evaluator did not build."""

    route_id: str
    town: str
    seed: int
    name: str
    reason: str  # scenario_runner's own words

    def as_row(self) -> dict[str, str | int]:
        """All fields as JSON values."""
        return dict(self.__dict__)


def skipped_scenarios(jobs: Sequence[RouteJob]) -> list[SkippedScenario]:
    """All scenarios that the evaluators of these jobs named as left out."""
    found = []
    for job in jobs:
        if not job.log_file.is_file():
            continue
        text = _COLOUR.sub("", job.log_file.read_text(errors="replace"))
        for line in text.splitlines():
            match = _SKIPPED.search(line) or _TOO_FAR.search(line)
            if match:
                name, reason = match[1], match[2].strip()
                found.append(SkippedScenario(job.route_id, job.town, job.seed, name, reason))
    return found


# What scores of the official evaluator may be called, by the server they were driven on.

CARLA_COLUMN = "real CARLA"
SCENARIO_RATES = {InfractionKind.SCENARIO_TIMEOUT: "scenario timeouts / km"}


def headless_world(version: str) -> ScoredWorld:
    """Scores from the headless server.

    Args:
        version: CARLA's version whose protocol it speaks.
    """
    return ScoredWorld(
        rules=f"{LEADERBOARD_RULES} on carl-planner's headless server (CARLA {version} protocol), "
        "by the unmodified evaluator",
        score_title="headless driving score",
        warning="Headless DS: not a CARLA or longest6 result.",
        limits=(
            "No Unreal: the towns are CARLA's road maps, vehicles move by this project's fitted "
            "car, contacts are those of boxes, the ground is flat across a lane.",
            f"The car's dynamics: {dynamics_statement()}.",
            "Traffic is CARLA's own TrafficManager, scenarios, criteria and score are the "
            "unmodified scenario_runner's and leaderboard's.",
            "The agent is privileged: it sees the true state of the world, no sensors.",
        ),
        column_suffix=": headless DS",
        unmeasured=(CARLA_COLUMN,),
        more_rates=SCENARIO_RATES,
    )


def unreal_world(version: str) -> ScoredWorld:
    """Scores from CARLA itself."""
    return ScoredWorld(
        rules=f"{LEADERBOARD_RULES} in CARLA {version}, by the unmodified evaluator",
        score_title="driving score",
        warning=f"Measured in CARLA {version}.",
        limits=("The agent is privileged: it sees the true state of the world, no sensors.",),
        column_suffix=": CARLA DS",
        more_rates=SCENARIO_RATES,
    )


SKIPPED_FILE = "skipped_scenarios.json"  # names and scenario_runner's reasons
SKIPPED_TITLE = "scenarios left out by scenario_runner"


@dataclass(frozen=True)
class OfficialRun:
    """One agent on one set of routes.

    Args:
        name: Of the agent.
        world: Where it drove.
        results: All routes and seeds.
        facts: Short statements for the report's head.
        beside: Other agents' results on the same routes, by name.
    """

    name: str
    world: ScoredWorld
    results: Sequence[OfficialResult]
    facts: Mapping[str, str]
    beside: Mapping[str, Sequence[OfficialResult]] = field(default_factory=dict)


def write_official_report(folder: Path, run: OfficialRun, jobs: Sequence[RouteJob]) -> Path:
    """Write results.json (the leaderboard's form), skipped_scenarios.json and report.html.

    The table is printed.

    Args:
        folder: Of the run.
        run: What was found.
        jobs: In the order of `run.results`.

    Returns:
        The report's path.
    """
    records = [record for job in jobs if (record := read_record(job)) is not None]
    about = {"name": run.name, "warning": run.world.warning, **run.facts}
    write_json(folder / RESULTS_FILE, merged_document(run.results, records, about))
    skipped = skipped_scenarios(jobs)
    write_json(folder / SKIPPED_FILE, [scenario.as_row() for scenario in skipped])
    planners = {run.name: run.results, **run.beside}
    report = Report(
        title=f"Official leaderboard: {run.name}",
        planners=planners,
        facts={**run.facts, **time_facts(run.results), SKIPPED_TITLE: str(len(skipped))},
        world=run.world,
        route_columns={"game / wall [s]": route_times(run.results)},
    )
    scores = {name: benchmark_scores(results) for name, results in planners.items()}
    print_tables(planner_table(report.title, scores, run.world))
    return write_report(folder, report)


def time_facts(results: Sequence[OfficialResult]) -> dict[str, str]:
    """Wall-clock of the evaluators against game time, overall and of the slowest route."""
    game_s = sum(result.duration_s for result in results)
    wall_s = sum(result.wall_s for result in results)
    slowest = min(results, key=speed_up)
    return {
        "game time": f"{game_s / 60.0:.1f} min",
        "evaluators' wall-clock": f"{wall_s / 60.0:.1f} min, {game_s / max(wall_s, 1e-9):.1f} x "
        "real time",
        "slowest route": f"{slowest.route_id}, {speed_up(slowest):.1f} x real time",
    }


def route_times(results: Sequence[OfficialResult]) -> dict[str, str]:
    """Game time and the evaluator's wall-clock of each route, over all seeds."""
    totals: dict[str, tuple[float, float]] = {}
    for result in results:
        game_s, wall_s = totals.get(result.route_id, (0.0, 0.0))
        totals[result.route_id] = (game_s + result.duration_s, wall_s + result.wall_s)
    return {route: f"{game_s:.0f} / {wall_s:.0f}" for route, (game_s, wall_s) in totals.items()}


def speed_up(result: OfficialResult) -> float:
    """Game seconds a second of wall-clock."""
    return result.duration_s / max(result.wall_s, 1e-9)


def read_beside(path: Path, jobs: Sequence[RouteJob]) -> tuple[str, list[OfficialResult]]:
    """Name and results of another agent's merged results file.

    Args:
        path: A results.json of `evaluation.longest6_official`.
        jobs: The routes and seeds that it must have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no such file or lacks one of the routes.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        records = {record["route_id"]: record for record in document["_checkpoint"]["records"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"beside={path} is no results.json of evaluation.longest6_official"
        ) from error
    seeds = sorted({job.seed for job in jobs})
    results = []
    for job in jobs:
        key = f"RouteScenario_{job.route_id}_rep{seeds.index(job.seed)}"
        if key not in records:
            raise ValueError(f"{path} has no record of {job.name}: it cannot stand beside this run")
        results.append(official_result(job, records[key]))
    return str(document.get("about", {}).get("name", path.parent.name)), results
