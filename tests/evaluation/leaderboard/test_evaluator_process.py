"""Evaluator processes: ended when they hang, with all their children; errors are named."""

import dataclasses
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from evaluation.leaderboard_jobs.evaluator_process import (
    EvaluatorSettings,
    Upstream,
    last_error,
    run_evaluator,
)
from evaluation.leaderboard_jobs.job import JobEnd, RouteJob, make_jobs
from tests.evaluation.leaderboard.official_records import write_record

# Takes the place of the leaderboard's script; `{body}` is what this evaluator does
SCRIPT = """
import pathlib, subprocess, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
record, ready = pathlib.Path(options["checkpoint"]), pathlib.Path(options["agent-config"])
{body}
"""
WRITE_RECORD = "record.write_text(ready.read_text())"


@pytest.fixture
def job(tmp_path: Path) -> RouteJob:
    return make_jobs([("4", "Town01")], range(1), tmp_path / "run")[0]


def settings(tmp_path: Path, job: RouteJob, body: str, **limits: float) -> EvaluatorSettings:
    script = tmp_path / "leaderboard" / "leaderboard_evaluator.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(body=body))
    write_record(job)  # what a good evaluator copies
    ready = tmp_path / "ready.json"
    job.record_file.replace(ready)
    upstream = Upstream(tmp_path, tmp_path, tmp_path)
    chosen = EvaluatorSettings(
        upstream, tmp_path / "routes.xml", ready, python=sys.executable, hang_s=20.0
    )
    return dataclasses.replace(chosen, **limits)


def run(chosen: EvaluatorSettings, job: RouteJob) -> tuple[JobEnd, str]:
    return run_evaluator(chosen, job, 2000, 2005, threading.Event())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_a_route_with_a_final_record_is_done(tmp_path, job):
    assert run(settings(tmp_path, job, WRITE_RECORD), job) == (JobEnd.DONE, "")


def test_the_evaluator_gets_one_route_one_server_and_its_seed(tmp_path, job):
    chosen = settings(tmp_path, job, WRITE_RECORD)
    command = chosen.command(job, 2000, 2005)
    for option in (
        "--routes-subset=4",
        "--port=2000",
        "--traffic-manager-port=2005",
        "--traffic-manager-seed=0",
        "--track=MAP",
    ):
        assert option in command


def test_a_crash_is_reported_with_the_last_exception_of_the_log(tmp_path, job):
    body = 'raise RuntimeError("time-out while waiting for the simulator")'
    end, reason = run(settings(tmp_path, job, body), job)
    assert end is JobEnd.CRASHED
    assert "RuntimeError: time-out while waiting for the simulator" in reason
    assert "exit code 1" in reason


def test_an_old_record_does_not_make_a_crash_look_done(tmp_path, job):
    chosen = settings(tmp_path, job, "sys.exit(3)")
    write_record(job)
    end, reason = run(chosen, job)
    assert end is JobEnd.CRASHED
    assert "the evaluator wrote no record" in reason


def test_a_silent_evaluator_is_ended_with_its_children(tmp_path, job):
    body = (
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n'
        'pathlib.Path("child").write_text(str(child.pid))\ntime.sleep(600)'
    )
    started = time.monotonic()
    end, reason = run(settings(tmp_path, job, body, hang_s=3.0), job)
    assert end is JobEnd.HUNG
    assert "silent for 3 s" in reason
    assert time.monotonic() - started < 30.0
    child, deadline = int((job.folder / "child").read_text()), time.monotonic() + 10.0
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)


def test_an_evaluator_that_is_silent_after_an_error_is_ended_early(tmp_path, job):
    body = 'print("RuntimeError: on a destroyed actor", flush=True)\ntime.sleep(600)'
    end, reason = run(settings(tmp_path, job, body, hang_s=60.0, error_s=1.0), job)
    assert end is JobEnd.HUNG
    assert "RuntimeError: on a destroyed actor" in reason
    assert "silent for 1 s" in reason or "silent for 2 s" in reason


def test_a_talking_evaluator_is_not_taken_for_a_hanging_one(tmp_path, job):
    body = f'for _ in range(8):\n    print("tick")\n    time.sleep(0.5)\n{WRITE_RECORD}'
    assert run(settings(tmp_path, job, body, hang_s=3.0), job)[0] is JobEnd.DONE


def test_an_evaluator_that_hangs_after_its_record_is_done(tmp_path, job):
    body = f"{WRITE_RECORD}\ntime.sleep(600)"
    assert run(settings(tmp_path, job, body, hang_s=2.0), job)[0] is JobEnd.DONE


def test_stop_ends_a_running_evaluator(tmp_path, job):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    chosen = settings(tmp_path, job, "time.sleep(600)")
    end, _ = run_evaluator(chosen, job, 2000, 2005, stop)
    assert end is JobEnd.STOPPED


def test_lines_with_colons_are_no_errors(tmp_path):
    log = tmp_path / "log"
    log.write_text("carla.Error: gone\nStart Time: now\n> Registering: the route\n")
    assert last_error(log) == "carla.Error: gone"
