import logging
import re

from evaluation.report.html_report import PLANNER_TITLES
from evaluation.rollout.episode_rollout import EvaluationProgress
from evaluation.scoring.scores import benchmark_scores
from tests.evaluation.test_scores import result
from tests.terminal import Terminal

# 100, 80 and 33.3 points: 71.1 on the average
RESULTS = [result("1"), result("2", 0, 80.0), result("3", 0, 33.3)]


def test_the_last_mean_that_is_shown_is_the_mean_of_the_table(monkeypatch):
    terminal = Terminal(monkeypatch)
    with EvaluationProgress("policy", len(RESULTS)) as progress:
        progress.stepped(1)
        for episode in RESULTS:  # between two refreshes, as the last routes of a batch are
            progress.episode_finished(episode)
    shown = re.findall(r"mean score ([0-9.]+)", terminal.lines()[-1])
    assert shown == [f"{benchmark_scores(RESULTS).driving_score.value:.1f}"] == ["71.1"]


def test_its_bar_fits_80_columns_with_the_longest_name(monkeypatch):
    terminal = Terminal(monkeypatch)
    name = max(PLANNER_TITLES.values(), key=len)
    with EvaluationProgress(name, 20) as progress:
        for _ in range(20):
            progress.episode_finished(RESULTS[0])
    last = terminal.lines()[-1]
    assert len(last) <= 80
    assert last.startswith(name)
    assert re.search(r"20/20 mean score 100.0 0:00:0[0-9]$", last)


def test_a_log_file_ends_with_the_mean_of_all(caplog):
    caplog.set_level(logging.INFO)
    with EvaluationProgress("policy", len(RESULTS)) as progress:
        for episode in RESULTS:
            progress.episode_finished(episode)
    assert caplog.messages == ["policy: 3/3 routes, mean score 71.1"]


def test_nothing_finished_is_no_mean_of_zero(caplog):
    caplog.set_level(logging.INFO)
    with EvaluationProgress("policy", 3) as progress:
        progress.stepped(2)
    assert caplog.messages[0] == "policy: 0/3 routes, mean score -"
