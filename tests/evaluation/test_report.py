import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from evaluation.report.html_report import Report, exponential_mean, learning_curves, write_report
from evaluation.scoring.episode_result import EpisodeResult, InfractionKind
from evaluation.scoring.score_table import interval_text, terminal_table
from evaluation.scoring.scores import Interval, benchmark_scores
from tests.evaluation.test_scores import infraction, result


def two_towns(completion: float) -> list[EpisodeResult]:
    red = infraction(InfractionKind.RED_LIGHT)
    return [
        result("1", 0, completion, red),
        dataclasses.replace(result("2", 0, completion), town="Town02"),
    ]


METRICS = [
    {"samples": 1000 * step, "episode/route_completion": step, "episode/return": step / 2}
    for step in range(20)
]


def test_the_report_shows_every_planner_town_and_route(tmp_path):
    planners = {"trained": two_towns(80.0), "idm": two_towns(90.0)}
    report = Report("A title", planners, ["Town01"], {"seed": "0"}, METRICS, "drive.mp4", "Below")
    html = write_report(tmp_path, report).read_text()
    for text in (
        "A title",
        "trained policy",
        "rule-based driver",
        "Town02",
        "never seen",
        "red light (1)",
    ):
        assert text in html
    assert '<video src="drive.mp4"' in html
    assert "not CARLA or longest6 results" in html
    # 80 x 0.7 and 80 on average
    assert "68.0 [" in html


def test_the_report_is_one_file_but_for_the_video(tmp_path):
    html = write_report(tmp_path, Report("T", {"idm": two_towns(50.0)})).read_text()
    assert html.count("src=") == html.count('src="data:image/png;base64,')


def test_names_from_outside_cannot_inject_markup(tmp_path):
    drive = dataclasses.replace(result(), route_id="<script>")
    html = write_report(tmp_path, Report("T", {"idm": [drive]})).read_text()
    assert "<script>" not in html


def test_learning_curves_are_a_picture(tmp_path):
    learning_curves(METRICS, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 800
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_smoothing_keeps_a_constant_and_does_not_start_at_zero():
    assert exponential_mean(np.full(5, 3.0)) == pytest.approx(np.full(5, 3.0))
    assert exponential_mean(np.array([4.0, 8.0]))[0] == 4.0


def test_terminal_table_has_a_column_for_each_planner():
    table = terminal_table("T", {"a": benchmark_scores(two_towns(50.0))})
    assert [column.header for column in table.columns] == ["", "a"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    assert "mean speed [km/h]" in console.export_text()


def test_an_undefined_rate_is_a_dash():
    assert interval_text(Interval(np.nan, np.nan, np.nan), 2) == "-"
    assert interval_text(Interval(1.234, 1.0, 2.0), 1) == "1.2 [1.0, 2.0]"
