"""Tables of Val14 scores as rows of text, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.nuplan_metrics.scoring import METRICS, MULTIPLIERS, WEIGHTS, ScenarioScores
from evaluation.report.html_report import REPORT_FILE, template
from evaluation.scoring.score_table import Results, interval_text
from evaluation.val14.files import SCENARIOS_FILE, Drive, Val14Scores, read_scenarios
from evaluation.val14.selection import Provenance

DRIVER_TITLES = {
    "policy": "policy",
    "idm": "IDM planner",
    "log_replay": "log replay",
    "constant_speed": "constant speed",
}
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
_COLUMN = 26  # characters

Scores = Mapping[Drive, Val14Scores]
Rows = list[list[str]]


def column_titles(drives: Sequence[Drive]) -> list[str]:
    """Heads of the columns: who drove among whom."""
    return [f"{DRIVER_TITLES.get(drive.planner, drive.planner)}, {drive.mode}" for drive in drives]


def score_rows(scores: Scores) -> Rows:
    """Score, the metrics with their part in it, and how many scenarios were done."""
    columns = list(scores.values())
    rows = [["score", *(interval_text(one.score, 2) for one in columns)]]
    for name in METRICS:
        part = "multiplies" if name in MULTIPLIERS else f"weight {WEIGHTS[name]:.0f}"
        means = [interval_text(one.metrics[name], 1) for one in columns]
        rows.append([f"{TITLES[name]} ({part})", *means])
    counts = [f"{one.num_done} / {one.num_scenarios}" for one in columns]
    return [*rows, ["scenarios done", *counts]]


def gain_rows(scores: Scores) -> Rows:
    """Points gained were one metric perfect, the dearest of the first planner first."""
    first = next(iter(scores.values()))
    names = sorted(METRICS, key=lambda name: -first.gains[name])
    return [[TITLES[n], *(f"{one.gains[n]:+.2f}" for one in scores.values())] for n in names]


def type_rows(scores: Scores) -> Rows:
    """Score by scenario type."""
    types = sorted({name for one in scores.values() for name in one.types})
    return [[name, *(_type_text(one, name) for one in scores.values())] for name in types]


def _type_text(scores: Val14Scores, name: str) -> str:
    of_type = scores.types.get(name)
    if of_type is None or of_type.score is None:
        return "-"
    return f"{interval_text(of_type.score, 1)} ({of_type.num_done})"


def failure_rows(results: Mapping[Drive, Sequence[ScenarioScores]]) -> Rows:
    """Every scenario without a score, by name, with the reason."""
    return [
        [title, one.token, one.scenario_type, one.failure]
        for (_, scenarios), title in zip(results.items(), column_titles(list(results)), strict=True)
        for one in scenarios
        if one.metrics is None
    ]


def scenario_rows(results: Mapping[Drive, Sequence[ScenarioScores]]) -> Rows:
    """Score of every scenario, the first planner's worst first."""
    by_token = [{one.token: one for one in scenarios} for scenarios in results.values()]

    def score(token: str, column: int) -> float:
        one = by_token[column].get(token)
        return -1.0 if one is None or one.metrics is None else 100.0 * one.score

    tokens = sorted(by_token[0], key=lambda token: (score(token, 0), token))
    rows = []
    for token in tokens:
        texts = [f"{score(token, i):.1f}" for i in range(len(by_token))]
        cells = [text if text != "-1.0" else "failed" for text in texts]
        rows.append([token, by_token[0][token].scenario_type, *cells])
    return rows


def print_val14(scores: Scores, data: Provenance) -> None:
    """Print the table of scores and the one of gains."""
    console = Console()
    if not console.is_terminal:  # nobody can widen a log
        console = Console(width=44 + _COLUMN * len(scores))
    for title, rows in (
        (data.score_name, score_rows(scores)),
        ("score gained, were one metric perfect everywhere", gain_rows(scores)),
    ):
        table = Table(title=title, caption=f"In brackets 95 % bootstrap intervals. {data.warning}")
        for head in ("", *column_titles(list(scores))):
            table.add_column(head, justify="right" if head else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)


# The report of a Val14 run: scores, where they are lost, types, and every scenario by name.


@dataclass(frozen=True)
class Val14Report:
    """What the report shows.

    Args:
        title: Heading.
        results: Scenarios of every drive, in the order of the columns.
        scores: Figures of the same drives.
        facts: Short statements for the head: name and value.
        data: Where the logs come from.
    """

    title: str
    results: Mapping[Drive, Sequence[ScenarioScores]]
    scores: Mapping[Drive, Val14Scores]
    facts: Mapping[str, str]
    data: Provenance


def write_val14_report(folder: Path, report: Val14Report) -> Path:
    """Write the report; returns its path."""
    html = template("val14.html.j2").render(
        report=report,
        titles=column_titles(list(report.scores)),
        score_table=score_rows(report.scores),
        gain_table=gain_rows(report.scores),
        type_table=type_rows(report.scores),
        failure_table=failure_rows(report.results),
        scenario_table=scenario_rows(report.results),
    )
    path = folder / REPORT_FILE
    path.write_text(html)
    return path


# A Val14 run as results that are compared scenario by scenario.


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
