"""Traffic-light cycles as CARLA's controllers run them, with states that clients may change.

The controllers of a junction's group run one after the other: green, yellow, then red for all, then
the next one. A stage ends on the first tick after its time. Only the running one counts time.
"""

from __future__ import annotations

import numpy as np

from sim_adapters.carla.headless.road_furniture import RoadFurniture
from sim_adapters.scene.state import LightState

_STAGE_STATES = (int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED))
_TOLERANCE_S = 1e-4  # ticks add up to a stage's time only nearly
STAGE_OF_STATE = {state: stage for stage, state in enumerate(_STAGE_STATES)}


class SignalCycles:
    """States and clocks of all lights of a town, by index of the light.

    Args:
        furniture: Lights and groups of the town.
    """

    def __init__(self, furniture: RoadFurniture) -> None:
        groups, lights = furniture.groups, furniture.lights
        phases = np.array([max(group.num_phases, 1) for group in groups], np.int64)
        self.first_controller = np.concatenate([[0], np.cumsum(phases)]).astype(np.int64)
        self.group = np.array([light.group for light in lights], np.int64)
        phase = np.array([light.phase for light in lights], np.int64)
        self.controller = (
            self.first_controller[self.group] + phase if lights else np.zeros(0, np.int64)
        )
        stage_times = np.array(
            [(group.green_s, group.yellow_s, group.red_s) for group in groups]
        ).reshape(-1, 3)
        self.stage_s = np.repeat(stage_times, phases, axis=0).T.copy()  # (3, controllers)
        self.elapsed_s = np.zeros(int(phases.sum()))
        self.state = np.zeros(len(lights), np.uint8)
        self.running = self.first_controller[:-1].copy()  # controller of each group
        self.stage = np.zeros(len(groups), np.int64)
        self.revision = 0  # grows whenever anything but the clocks changes
        self._is_frozen = False
        self.reset_all()

    @property
    def is_frozen(self) -> bool:
        """Whether all clocks stand still."""
        return self._is_frozen

    @is_frozen.setter
    def is_frozen(self, value: bool) -> None:
        self._is_frozen = value
        self.revision += 1

    def reset_all(self) -> None:
        """Every group starts anew with its first controller green."""
        for group in range(len(self.running)):
            self.reset_group(group)

    def reset_group(self, group: int) -> None:
        """All lights of the group red, then its first controller green."""
        first, last = self.first_controller[group : group + 2]
        self.elapsed_s[first:last] = 0.0
        self.state[self.group == group] = int(LightState.RED)
        self.running[group] = first
        self._start_stage(group, 0)

    def advance(self, dt: float) -> None:
        """Let the running controllers count `dt` and change stage."""
        if self._is_frozen:
            return
        self.elapsed_s[self.running] += dt
        over = self.elapsed_s[self.running] > self.stage_s[self.stage, self.running] + _TOLERANCE_S
        for group in np.flatnonzero(over):
            self._next_stage(int(group))

    def set_state(self, light: int, state: int) -> None:
        """Show `state` until the light's controller changes stage."""
        self.state[light] = state
        self.revision += 1

    def set_stage_time(self, light: int, state: int, seconds: float) -> None:
        """How long the light's whole controller shows `state`."""
        self.stage_s[STAGE_OF_STATE[state], self.controller[light]] = seconds
        self.revision += 1

    def lights_of_group(self, light: int) -> list[int]:
        """Indices of all lights of the group that `light` belongs to."""
        return [int(index) for index in np.flatnonzero(self.group == self.group[light])]

    def _next_stage(self, group: int) -> None:
        stage = int(self.stage[group]) + 1
        if stage == len(_STAGE_STATES):
            self.elapsed_s[self.running[group]] = 0.0
            first, last = self.first_controller[group : group + 2]
            following = self.running[group] + 1
            self.running[group] = first if following == last else following
            stage = 0
        self._start_stage(group, stage)

    def _start_stage(self, group: int, stage: int) -> None:
        running = self.running[group]
        self.elapsed_s[running] = 0.0
        self.stage[group] = stage
        self.revision += 1
        self.state[self.controller == running] = _STAGE_STATES[stage]
