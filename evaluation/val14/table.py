"""The tables and the page of a Val14 run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evaluation.nuplan_metrics.scoring import METRICS, MULTIPLIERS, WEIGHTS, ScenarioScores
from evaluation.report.page import PageSection, ScorePage
from evaluation.scoring.score_table import ScoredWorld, ScoreTable, interval_text
from evaluation.val14.files import TITLES, Drive, Val14Scores

DRIVER_TITLES = {
    "policy": "policy",
    "idm": "IDM planner",
    "log_replay": "log replay",
    "constant_speed": "constant speed",
}

Scores = Mapping[Drive, Val14Scores]
Scenarios = Mapping[Drive, Sequence[ScenarioScores]]


def column_titles(drives: Sequence[Drive]) -> list[str]:
    """Heads of the columns: who drove among whom."""
    return [f"{DRIVER_TITLES.get(drive.planner, drive.planner)}, {drive.mode}" for drive in drives]


def score_tables(scores: Scores, data: ScoredWorld) -> tuple[ScoreTable, ScoreTable]:
    """Score and metrics, and where points are lost, for the terminal.

    The first has the metrics' part in the score and how many scenarios were done; the second the
    points gained were one metric perfect, the dearest of the first planner first.
    """
    columns, heads = list(scores.values()), column_titles(list(scores))
    rows = [["score", *(interval_text(one.score, 2) for one in columns)]]
    for name in METRICS:
        part = "multiplies" if name in MULTIPLIERS else f"weight {WEIGHTS[name]:.0f}"
        means = [interval_text(one.metrics[name], 1) for one in columns]
        rows.append([f"{TITLES[name]} ({part})", *means])
    rows.append(["scenarios done", *(f"{one.num_done} / {one.num_scenarios}" for one in columns)])
    dearest_first = sorted(METRICS, key=lambda name: -columns[0].gains[name])
    gains = [[TITLES[n], *(f"{one.gains[n]:+.2f}" for one in columns)] for n in dearest_first]
    caption = f"In brackets 95 % bootstrap intervals. {data.warning}"
    gains_title = "score gained, were one metric perfect everywhere"
    return (
        ScoreTable(data.score_title, ["", *heads], rows, caption),
        ScoreTable(gains_title, ["", *heads], gains, caption),
    )


def type_table(scores: Scores) -> ScoreTable:
    """Score by scenario type."""
    types = sorted({name for one in scores.values() for name in one.types})
    return ScoreTable(
        "By scenario type",
        ["type", *column_titles(list(scores))],
        [[name, *(_type_text(one, name) for one in scores.values())] for name in types],
        "Mean score with its interval, and the number of scenarios done.",
    )


def _type_text(scores: Val14Scores, name: str) -> str:
    of_type = scores.types.get(name)
    if of_type is None or of_type.score is None:
        return "-"
    return f"{interval_text(of_type.score, 1)} ({of_type.num_done})"


def failure_table(results: Scenarios) -> ScoreTable:
    """Every scenario without a score, by name, with the reason."""
    rows = [
        [title, one.token, one.scenario_type, one.failure]
        for scenarios, title in zip(results.values(), column_titles(list(results)), strict=True)
        for one in scenarios
        if one.metrics is None
    ]
    heads = ["planner", "scenario", "type", "reason"]
    return ScoreTable("Scenarios without a score", heads, rows)


def scenario_table(results: Scenarios) -> ScoreTable:
    """Score of every scenario, the first planner's worst first."""
    by_token = [{one.token: one for one in scenarios} for scenarios in results.values()]

    def score(token: str, column: int) -> float:
        one = by_token[column].get(token)
        return -1.0 if one is None or one.metrics is None else 100.0 * one.score

    rows = []
    for token in sorted(by_token[0], key=lambda token: (score(token, 0), token)):
        values = [score(token, column) for column in range(len(by_token))]
        cells = ["failed" if value < 0.0 else f"{value:.1f}" for value in values]
        rows.append([token, by_token[0][token].scenario_type, *cells])
    heads = ["scenario", "type", *column_titles(list(results))]
    return ScoreTable("Every scenario", heads, rows)


SCORES_CAPTION = (
    "Means over the scenarios that have a score, in percent; in brackets the 95\u00a0% bootstrap "
    "interval over scenarios. Score of a scenario = product of the four metrics that multiply "
    "\u00d7 weighted mean of the other four."
)


def val14_page(
    title: str, results: Scenarios, scores: Scores, facts: Mapping[str, str], data: ScoredWorld
) -> ScorePage:
    """Scores, where they are lost, types, and every scenario by name.

    Args:
        title: Heading.
        results: Scenarios of every drive, in the order of the columns.
        scores: Figures of the same drives.
        facts: Short statements for the head: name and value.
        data: Where the logs come from.
    """
    table, gains = score_tables(scores, data)
    gain_heads = ["points gained, were this metric perfect everywhere", *gains.heads[1:]]
    gain_caption = "One metric at a time; gains of several do not add up."
    gains = replace(gains, heads=gain_heads, caption=gain_caption)
    types, failures, scenarios = type_table(scores), failure_table(results), scenario_table(results)
    name = data.score_title[0].upper() + data.score_title[1:]
    lead = f"{name} by {data.rules}: 15\u00a0s at 10\u00a0Hz, eight metrics a scenario."
    sections = [
        PageSection("Scores", replace(table, caption=SCORES_CAPTION), style="scores"),
        PageSection("Where the score is lost", gains),
        PageSection(types.title, types),
        *([PageSection(failures.title, failures)] if failures.rows else []),
        PageSection(scenarios.title, scenarios, is_open=False),
    ]
    return ScorePage(title, lead, sections, facts=facts, world=data)
