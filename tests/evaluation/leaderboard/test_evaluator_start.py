"""What the evaluator's process is given before it starts: woken ticks, and no OpenSCENARIO 2."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from evaluation.leaderboard_jobs.evaluator_process import PACKAGE_ROOT
from evaluation.leaderboard_jobs.evaluator_start import watch_ticks

SCRIPT = """
import sys
import osc2_scenario  # as route loading does: scenario_runner's own needs another antlr
import beside_it
print(sys.argv[1:], __name__, carla_is_watched)
"""


def stubborn_library() -> tuple[Any, list[tuple[int, bool]]]:
    """A `carla` whose tick stands still until the TrafficManager on port 8 was switched off."""
    woken, modes = threading.Event(), []

    class World:
        def tick(self, seconds: float = 0.0) -> int:
            assert woken.wait(seconds)
            return 7

    class TrafficManager:
        def __init__(self, port: int) -> None:
            self.port = port

        def get_port(self) -> int:
            return self.port

        def set_synchronous_mode(self, mode_switch: bool = True) -> None:
            modes.append((self.port, mode_switch))
            if not mode_switch and self.port == 8:
                woken.set()

    return SimpleNamespace(World=World, TrafficManager=TrafficManager), modes


def test_a_tick_that_stands_still_wakes_the_managers_that_wait_for_it() -> None:
    library, modes = stubborn_library()
    watch = watch_ticks(library, stall_s=0.2)
    sleeping, released = library.TrafficManager(8), library.TrafficManager(9)
    sleeping.set_synchronous_mode(True)
    released.set_synchronous_mode(True)
    released.set_synchronous_mode(False)  # as evaluators do at their end: it is left alone then
    assert library.World().tick(10.0) == 7
    watch.end()
    assert modes[:4] == [(8, True), (9, True), (9, False), (8, False)]


def test_the_script_runs_as_if_started_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "evaluator.py"
    script.write_text(SCRIPT.replace("carla_is_watched", "__import__('carla').World.tick.__name__"))
    (tmp_path / "beside_it.py").touch()
    module = "evaluation.leaderboard_jobs.evaluator_start"
    output = subprocess.run(
        [sys.executable, "-m", module, str(script), "--routes=a.xml", "--port=2000"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.split("\n")[0] == "['--routes=a.xml', '--port=2000'] __main__ watched_tick"
