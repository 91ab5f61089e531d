"""A run of the official leaderboard that is stopped takes its servers and evaluators along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.evaluation.leaderboard.test_upstream import install

PORT = 26_500
LIMIT_S = 120.0
# Takes the place of the leaderboard's script
EVALUATOR = """
import os, pathlib, time
pathlib.Path("evaluator").write_text(str(os.getpid()))
time.sleep(600)
"""
ROUTES = """<routes><route id="0" town="Town01">
<weathers><weather route_percentage="0"/></weathers><waypoints>
<position x="200.0" y="2.0" z="0.0"/><position x="260.0" y="2.0" z="0.0"/></waypoints>
<scenarios/></route></routes>"""


def _processes_with(words: bytes) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if words in (folder / "cmdline").read_bytes().replace(b"\0", b" "):
                found.add(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


def _catch_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells start background jobs without it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing_and_can_go_on(tmp_path: Path, number: signal.Signals) -> None:
    leaderboard, runner, carla = install(tmp_path)
    (leaderboard / "leaderboard" / "leaderboard_evaluator.py").write_text(EVALUATOR)
    routes, output = tmp_path / "routes.xml", tmp_path / "run"
    routes.write_text(ROUTES)
    environment = {name: value for name, value in os.environ.items() if name != "CARLA_ROOT"}
    agents = str(carla / "PythonAPI" / "carla")
    environment |= {
        "PYTHONPATH": os.pathsep.join([agents, *filter(None, [os.environ.get("PYTHONPATH")])])
    }
    command = [
        *(sys.executable, "-m", "evaluation.longest6_official", "planner=idm"),
        *(f"routes={routes}", f"output={output}", f"server.first_port={PORT}"),
        *(f"leaderboard_root={leaderboard}", f"scenario_runner_root={runner}"),
    ]
    run = subprocess.Popen(
        command,
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        preexec_fn=_catch_ctrl_c,
    )
    note, deadline = output / "routes" / "route_00_seed_0" / "evaluator", time.monotonic() + LIMIT_S
    while not (note.is_file() and note.read_text()) and time.monotonic() < deadline:
        assert run.poll() is None
        time.sleep(0.05)
    assert int(note.read_text()) in _processes_with(str(tmp_path).encode())
    assert _processes_with(b"sim_adapters.carla.headless town=Town01 port=265")
    run.send_signal(number)
    _, errors = run.communicate(timeout=LIMIT_S)
    assert b"the same command goes on where this one was" in errors
    assert run.returncode == 1
    assert not _processes_with(str(tmp_path).encode())
    assert not _processes_with(b"sim_adapters.carla.headless town=Town01 port=265")
