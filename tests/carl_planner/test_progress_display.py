import logging

import pytest

from carl_planner import progress_display
from carl_planner.progress_display import ProgressDisplay, fitting, minutes
from tests.terminal import Terminal

NOTE = "19,812 samples/s | return -152.31 | route 83.2 % | collect 123,456/s | update 234,567/s"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The display's clock, at `clock[0]` seconds."""
    now = [100.0]
    monkeypatch.setattr(progress_display, "perf_counter", lambda: now[0])
    return now


def test_a_run_that_its_time_ends_counts_time(clock, monkeypatch):
    terminal = Terminal(monkeypatch)
    with ProgressDisplay(30_000_000, 0, visible=True, time_limit_s=540.0) as display:
        clock[0] += 270.0
        display.collected(1_000_000)
        display.report(1_000_000, NOTE)
    last = terminal.lines()[-1]
    # Half of the time is gone, though only a thirtieth of the samples is there
    assert last.startswith(f"collect {'━' * 6:12s} 4:30 of 9:00 19,812 samples/s")


@pytest.mark.parametrize("limit_s", [None, 540.0])
def test_it_fits_80_columns_and_keeps_what_matters_most(clock, monkeypatch, limit_s):
    terminal = Terminal(monkeypatch)
    with ProgressDisplay(300_000_000, 0, visible=True, time_limit_s=limit_s) as display:
        clock[0] += 100.0
        display.collected(1_500_000)
        display.report(1_500_000, NOTE)
    lines = terminal.lines()
    assert max(map(len, lines)) <= 80
    assert "19,812 samples/s" in lines[-1]
    assert "update 234,567/s" not in lines[-1]


def test_a_run_that_its_samples_end_says_how_long_that_takes(clock, monkeypatch):
    terminal = Terminal(monkeypatch)
    with ProgressDisplay(300_000, 100_000, visible=True) as display:
        clock[0] += 60.0  # for 100,000 of the 200,000 that a resumed run still has to do
        display.report(200_000, NOTE)
    assert "200k of 300k, 1:00 left" in terminal.lines()[-1]


def test_a_resumed_run_counts_the_time_of_before(clock, caplog):
    caplog.set_level(logging.INFO)
    display = ProgressDisplay(1000, 500, visible=True, time_limit_s=600.0, elapsed_s=300.0)
    clock[0] += 65.0
    display.report(700, NOTE)
    assert caplog.messages == [f"6:05 of 10:00 minutes, 700 samples | {NOTE}"]


def test_other_ranks_are_silent(clock, caplog):
    caplog.set_level(logging.INFO)
    with ProgressDisplay(1000, 0, visible=False) as display:
        display.report(1000, NOTE)
    assert caplog.messages == []


def test_minutes_and_hours():
    assert [minutes(s) for s in (0.0, 59.6, 545.0, 3750.0)] == ["0:00", "1:00", "9:05", "1:02:30"]


def test_a_note_is_cut_between_its_parts():
    assert fitting("a 1 | b 2 | c 3", 11) == "a 1 | b 2"
    assert fitting("a 1 | b 2 | c 3", 2) == ""
