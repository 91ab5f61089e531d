"""Starts the leaderboard's own evaluator in this process, in surroundings that it can run in.

    python -m evaluation.leaderboard_jobs.evaluator_start \
        $LEADERBOARD_ROOT/leaderboard/leaderboard_evaluator.py --routes=... --agent=...

OpenSCENARIO 2 is left out, whose parser cannot be imported beside hydra, and a tick in which CARLA
stands still is woken. No file of the evaluator's is changed, nothing of its rules.
It imports nothing but the standard library and CARLA's, since agents bring their own environments.
"""

from __future__ import annotations

import atexit
import runpy
import sys
from pathlib import Path
from typing import Any

import carla

from evaluation.leaderboard_agent.scenario_runner_repair import leave_out_openscenario
from sim_adapters.carla.tick_watch import STALL_S, TickWatch


class SynchronousManagers:
    """The TrafficManagers of this process that wait for ticks, as one (a `SynchronousManager`).

    Args:
        set_mode: CARLA's own `TrafficManager.set_synchronous_mode`.
    """

    def __init__(self, set_mode: Any) -> None:
        self._set_mode = set_mode
        self._managers: dict[int, Any] = {}

    def note(self, manager: Any, mode_switch: bool) -> None:
        """Set one manager's mode, and remember it while it waits for ticks."""
        if mode_switch:
            self._managers[manager.get_port()] = manager
        else:
            self._managers.pop(manager.get_port(), None)
        self._set_mode(manager, mode_switch)

    def set_synchronous_mode(self, mode_switch: bool) -> None:
        """Switch all of them."""
        for manager in list(self._managers.values()):
            self._set_mode(manager, mode_switch)

    def forget(self) -> None:
        """Let go of them, before the client library is unloaded."""
        self._managers.clear()


def watch_ticks(library: Any, stall_s: float = STALL_S) -> TickWatch:
    """From now on wake TrafficManagers of this process whose tick stands still.

    Args:
        library: The `carla` module; its `World.tick` and `TrafficManager.set_synchronous_mode` are
            listened to.
        stall_s: A tick that takes longer is taken to stand still.
    """
    managers = SynchronousManagers(library.TrafficManager.set_synchronous_mode)
    watch = TickWatch(managers, stall_s)
    tick = library.World.tick

    def watched_tick(world: Any, *args: Any, **kwargs: Any) -> Any:
        with watch.ticking():
            return tick(world, *args, **kwargs)

    def noted_mode(manager: Any, mode_switch: bool = True) -> None:
        managers.note(manager, mode_switch)

    library.World.tick = watched_tick
    library.TrafficManager.set_synchronous_mode = noted_mode
    atexit.register(managers.forget)
    atexit.register(watch.end)
    return watch


def start(evaluator: str, arguments: list[str]) -> None:
    """Run the evaluator's script as `python EVALUATOR ARGUMENTS` would."""
    sys.argv = [evaluator, *arguments]
    sys.path[0] = str(Path(evaluator).parent)
    runpy.run_path(evaluator, run_name="__main__")


if __name__ == "__main__":
    leave_out_openscenario()
    watch_ticks(carla)
    start(sys.argv[1], sys.argv[2:])
