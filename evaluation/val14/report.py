"""The report of a Val14 run: scores, where they are lost, types, and every scenario by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from evaluation.nuplan_metrics.scenario_scores import ScenarioScores
from evaluation.report.html_report import REPORT_FILE
from evaluation.val14.files import Drive
from evaluation.val14.provenance import Provenance
from evaluation.val14.scores import Val14Scores
from evaluation.val14.table import (
    column_titles,
    failure_rows,
    gain_rows,
    scenario_rows,
    score_rows,
    type_rows,
)


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
    environment = Environment(
        loader=PackageLoader("evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("val14.html.j2").render(
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
