import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from evaluation.nuplan_metrics import MetricScores, ScenarioScores
from evaluation.report.html_report import Report, exponential_mean, learning_curves, write_report
from evaluation.report.page import png_of
from evaluation.scoring.episode_result import EpisodeResult, InfractionKind
from evaluation.scoring.score_table import interval_text, planner_table
from evaluation.scoring.scores import Interval, benchmark_scores
from evaluation.val14.benchmark import SYNTHETIC
from evaluation.val14.files import Drive, val14_scores
from evaluation.val14.table import val14_page
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


def routes_page(folder, name):
    drive = dataclasses.replace(result(), route_id=name)
    return write_report(folder, Report("T", {"idm": [drive]}))


def nuplan_page(folder, name):
    perfect = ScenarioScores(name, "a type", "a log", MetricScores(*[1.0] * 8))
    results = {Drive("idm", "reactive"): [perfect]}
    scores = {drive: val14_scores(scenarios) for drive, scenarios in results.items()}
    return val14_page("T", results, scores, {}, SYNTHETIC).write(folder / "report.html")


@pytest.mark.parametrize("write", [routes_page, nuplan_page])
def test_a_page_of_either_kind_says_what_its_scores_are_not_and_runs_no_name(write, tmp_path):
    html = write(tmp_path, "<script>").read_text()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert html.index("<h2>Scores</h2>") < html.index("<strong>These are") < html.index("<li>")


def test_learning_curves_are_a_picture():
    with Image.open(io.BytesIO(png_of(learning_curves(METRICS)))) as picture:
        assert picture.size[0] > 800
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_smoothing_keeps_a_constant_and_does_not_start_at_zero():
    assert exponential_mean(np.full(5, 3.0)) == pytest.approx(np.full(5, 3.0))
    assert exponential_mean(np.array([4.0, 8.0]))[0] == 4.0


def test_terminal_table_has_a_column_for_each_planner():
    table = planner_table("T", {"a": benchmark_scores(two_towns(50.0))})
    assert table.heads == ["", "a"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    assert "mean speed [km/h]" in console.export_text()


def test_an_undefined_rate_is_a_dash():
    assert interval_text(Interval(np.nan, np.nan, np.nan), 2) == "-"
    assert interval_text(Interval(1.234, 1.0, 2.0), 1) == "1.2 [1.0, 2.0]"
