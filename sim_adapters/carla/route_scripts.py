"""RouteScripts: the scripted scenarios of a route in a live world.

Triggers are resolved against the map as in the embedded world (`world/scenarios/resolution.py`),
with the same distances and times; here the server's own walkers, vehicles and lights act them out.

Limit: props and debris stand there from the trigger on; in the embedded world, as on the
leaderboard, they can be seen from afar.
"""

from __future__ import annotations

import logging

from sim_adapters.carla.script_crossing import Crossing
from sim_adapters.carla.script_disturbance import ControlLoss, HardBreak
from sim_adapters.carla.script_stream import Stream
from sim_adapters.carla.scripted_moment import LiveScript, LiveStage
from sim_adapters.scene.scenario import Scenario
from sim_adapters.world.scenarios.resolution import resolve_triggers
from sim_adapters.world.scenarios.state import ScenarioKind, ScriptBook, empty_script_book
from sim_adapters.world.scenarios.step import is_at_trigger

_logger = logging.getLogger(__name__)


class RouteScripts:
    """Waits for the ego at the trigger points of one route and plays what happens there.

    Args:
        stage: Where they play.
        scenario: Its triggers.

    Raises:
        ValueError: a scenario type that this project does not know.
    """

    def __init__(self, stage: LiveStage, scenario: Scenario) -> None:
        self._stage = stage
        self._book: ScriptBook = empty_script_book(1, max(len(scenario.triggers), 1))
        self._running: list[LiveScript] = []
        refused = resolve_triggers(scenario, stage.maps, self._book, 0)
        for name, reason in refused:
            _logger.info("%s: %s is not played: %s", scenario.scenario_id, name, reason)
        kinds = self._book.triggers.kind[0]
        self._waiting = [row for row, kind in enumerate(kinds) if kind != ScenarioKind.NONE]

    def step(self) -> None:
        """Start and play scripts; to be called between two ticks."""
        for row in [row for row in self._waiting if self._is_reached(row)]:
            self._waiting.remove(row)
            script = self._start(row)
            if script is not None:
                self._running.append(script)
        for script in self._running:
            script.step()
        self._running = [script for script in self._running if not script.is_over]

    def disturbed(self, steer: float, acceleration: float) -> tuple[float, float]:
        """The ego's steering and pedal with what the scripts add; a braking ego brakes on."""
        for script in self._running:
            steer_noise, throttle_noise = script.noise()
            steer = min(max(steer + steer_noise, -1.0), 1.0)
            if acceleration >= 0.0:
                acceleration = min(max(acceleration + throttle_noise, 0.0), 1.0)
        return steer, acceleration

    def clear(self) -> None:
        """Take everything away that scripts have placed."""
        for script in self._running:
            script.clear()
        self._running, self._waiting = [], []

    def _is_reached(self, row: int) -> bool:
        triggers, motion = self._book.triggers, self._stage.scene.motion
        dx, dy, dz = (
            float(ours[0, 0] - theirs[0, row])
            for ours, theirs in (
                (motion.x, triggers.x),
                (motion.y, triggers.y),
                (motion.z, triggers.z),
            )
        )
        return bool(is_at_trigger(dx, dy, dz, float(triggers.yaw_rad[0, row])))

    def _start(self, row: int) -> LiveScript | None:
        stage, book = self._stage, self._book
        kind = ScenarioKind(int(book.triggers.kind[0, row]))
        _logger.debug("%s starts", kind.name)
        if kind == ScenarioKind.CONTROL_LOSS:
            return ControlLoss(stage, book, row)
        if kind in (ScenarioKind.OBJECT_CROSSING, ScenarioKind.VEHICLE_TURNING):
            return Crossing(stage, book, row)
        if stage.traffic is None:
            _logger.debug("%s needs traffic, this world has none", kind.name)
            return None
        if kind == ScenarioKind.HARD_BREAK:
            return HardBreak(stage)
        return Stream(stage, book, row)
