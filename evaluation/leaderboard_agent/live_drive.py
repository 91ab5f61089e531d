"""LiveDrive: one world that somebody else fills, seen, remembered and driven as in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gymnasium import spaces

from evaluation.drivers.planners import Planner
from rewards.driving_events import DrivingEvents
from sim_adapters.action_layout import ActionLayout
from sim_adapters.embedded.world_start import check_route, start_clocks, write_route
from sim_adapters.observation.observer import Observer
from sim_adapters.observation_rows import allocate
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    detect_driving_events,
    make_memory,
    reset_memory,
)
from sim_adapters.scene.history import make_history, record_history, restart_history
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch, empty_scene

_WORLD = np.zeros(1, np.int64)


class LiveDrive:
    """Scene, memory and observation of one driver (`DrivenWorlds` with E = 1).

    The caller writes the scene before `begin` and before every `decide`; nothing is judged here.

    Args:
        maps: Holds the scenario's town.
        scenario: The route.
        observer: Draws what the planner sees; None for planners that read the scene alone.
        detector: Moves the memory on that observations read.
        action_layout: Meaning of the planner's two actions.
        max_actors: Actor slots of the scene.
        step_s: Time between two calls of `decide`.
        action_repeat: So many calls of `decide` are one decision.
    """

    def __init__(
        self,
        maps: MapBank,
        scenario: Scenario,
        observer: Observer | None,
        detector: DetectorSettings,
        action_layout: ActionLayout,
        *,
        max_actors: int,
        step_s: float,
        action_repeat: int = 1,
    ) -> None:
        num_points = scenario.route.x.size
        check_route(scenario, num_points)
        self.maps, self.observer, self.action_layout = maps, observer, action_layout
        self.scene: SceneBatch = empty_scene(
            1, max_actors, num_lights=maps.max_lights, num_route_points=num_points, step_s=step_s
        )
        write_route(self.scene, 0, scenario)
        start_clocks(self.scene, 0, scenario, maps.map_index(scenario.town))
        self._history = make_history(self.scene, observer.history_steps if observer else ())
        self.memory = replace(make_memory(self.scene, detector), history=self._history)
        self.num_envs = 1
        self._detector, self._action_repeat = detector, action_repeat
        self._num_held = 0  # steps of the present action so far
        self._events = EventArrays.allocate(1)
        self._observation = allocate(observer.space, 1) if observer else {}
        self._steer, self._acceleration = np.zeros(1), np.zeros(1)

    @property
    def single_observation_space(self) -> spaces.Space:
        """Of the observation."""
        return self.observer.space if self.observer else spaces.Dict()

    def begin(self, planner: Planner) -> None:
        """Forget everything and take the scene for the episode's first."""
        reset_memory(_WORLD, self.scene, self.memory, self.maps)
        restart_history(_WORLD, self.scene, self.memory.signs.shown_stop, self._history)
        self._num_held = 0
        planner.begin_episodes(_WORLD, self)

    def decide(self, planner: Planner) -> tuple[float, float]:
        """Take the scene for `step_s` later; the planner's action on it, or the one that is held.

        Returns:
            Steer in [-1, 1], left positive, and acceleration in [-1, 1].
        """
        self.advance()
        if self._num_held % self._action_repeat == 0:
            if self.observer:
                self.observer.observe(self.scene, self.memory, self.maps, self._observation)
            action = planner.act(self._observation, self)
            self.action_layout.decode(action, self._steer, self._acceleration)
        self._num_held += 1
        return float(self._steer[0]), float(self._acceleration[0])

    def advance(self) -> DrivingEvents:
        """Move the memory on by one step; the facts of that step."""
        events = detect_driving_events(
            self.scene, self.memory, self.maps, self._detector, self._events
        )
        record_history(self.scene, self.memory.signs.shown_stop, self._history)
        return events
