"""DrivingWorlds: worlds that are driven, with all that a driver needs of them; the one loop.

    worlds.reset(indices, scenarios)
    while ...:
        if worlds.is_due:
            worlds.act(driver.act(worlds))  # which looks by worlds.observe()
        events = worlds.advance()

Nobody is paid or judged here, and nothing starts anew by itself: whoever turns the loop does that.
A training adds a reward and autoreset (`DrivingVectorEnv`), a benchmark a referee and its routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from sim_adapters.action_layout import ActionLayout, checked_actions
from sim_adapters.embedded.world_start import check_route, start_clocks, write_route
from sim_adapters.observation.observer import DevicePainter, GathersSome, Observer, PaintsOnDevice
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    EventDetector,
    RoadEventDetector,
)
from sim_adapters.scene.history import make_history, record_history, restart_history
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch
from sim_adapters.simulator import SceneSource

# ObservationRows: where observations are drawn, so that none is ever copied

Observation = dict[str, np.ndarray]


def allocate(space: Mapping, *leading: int) -> Observation:
    """Zero arrays (*leading, ...) for every entry of a Dict space."""
    return {name: np.zeros((*leading, *box.shape), box.dtype) for name, box in space.items()}


class ObservationRows:
    """The learner's (T + 1, E, ...) rows, or two rows of its own while none are bound.

    Its own rows hold finished observations, so that the last one outlives a step: users of
    gymnasium keep (s, s'). Bound rows hold the observer's compact form with "scene" storage, and
    the drawn observation lives in a scratch that the next step overwrites.
    """

    def __init__(
        self, observer: Observer, num_envs: int, storage: Literal["pixels", "scene"]
    ) -> None:
        if storage not in ("pixels", "scene"):
            raise ValueError(f"rollout_storage is {storage!r}, expected 'pixels' or 'scene'")
        self.observer, self.num_envs, self.storage = observer, num_envs, storage
        self.space = observer.space if storage == "pixels" else observer.stored_space
        self.rows: Mapping[str, np.ndarray] = allocate(observer.space, 2, num_envs)
        self._scratch: Observation = {}
        self.num_rows, self.row, self.bound = 2, 0, False
        self._paints = True  # else whoever bound the rows paints them

    def bind(self, rows: Mapping[str, np.ndarray]) -> None:
        """Use the learner's arrays.

        Raises:
            ValueError: a name, shape or dtype differs from the space.
        """
        for name, box in self.space.items():
            expected = (self.num_envs, *(box.shape or ()))
            array = rows.get(name)
            if array is None or array.shape[1:] != expected or array.dtype != box.dtype:
                found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise ValueError(
                    f"bind({name!r}) found {found}, expected {box.dtype} (T + 1, *{expected}): "
                    f"allocate the rows from the env's space for rollout_storage={self.storage}"
                )
        self.rows = {name: rows[name] for name in self.space}
        self.num_rows = len(next(iter(self.rows.values())))
        self.row, self.bound = 0, True
        if self.storage == "scene":
            self._scratch = allocate(self.observer.space, self.num_envs)

    def hand_over_painting(self, maps: MapBank, device: torch.device) -> DevicePainter:
        """Let the learner paint bound rows on a GPU; `draw` then returns the rows.

        Raises:
            ValueError: rows are not stored, the observer or a painter of it is CPU only, or
                there is no GPU.
        """
        if self.storage != "scene":
            raise ValueError("ppo.paint_on=gpu paints stored rows: use ppo.rollout_storage=scene")
        if not isinstance(self.observer, PaintsOnDevice):
            raise ValueError(
                f"{type(self.observer).__name__} is CPU only, no CUDA kernel draws what it sees: "
                "use ppo.paint_on=cpu"
            )
        painter = self.observer.device_painter(maps, device)
        self._paints = False
        return painter

    def restart(self) -> None:
        """Draw row 0 next."""
        self.row = 0

    def advance(self) -> None:
        """Draw the following row next.

        Raises:
            IndexError: bound rows are full; `rewind` starts the next rollout.
        """
        self.row += 1
        if self.row == self.num_rows:
            if self.bound:
                raise IndexError(f"all {self.num_rows} bound rows are drawn: call rewind() first")
            self.row = 0

    def rewind(self) -> None:
        """Copy the last row to row 0 and go on from there."""
        for array in self.rows.values():
            array[0] = array[-1]
        self.row = 0

    def draw(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank) -> Observation:
        """Draw the present into the current row; returns the observation (views)."""
        current = {name: array[self.row] for name, array in self.rows.items()}
        if self.storage == "pixels" or not self.bound:
            self.observer.observe(scene, memory, maps, current)
            return current
        self.observer.gather(scene, memory, maps, current)
        if not self._paints:
            return current
        self.observer.paint(current, maps, self._scratch)
        return self._scratch

    def draw_final(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, finished: NDArray[np.bool_]
    ) -> NDArray[np.object_]:
        """The present of `finished` worlds as gymnasium's `final_obs`: (E,), None elsewhere."""
        rows = allocate(self.observer.stored_space, self.num_envs)
        if isinstance(self.observer, GathersSome):
            self.observer.gather_some(np.flatnonzero(finished), scene, memory, maps, rows)
        else:
            self.observer.gather(scene, memory, maps, rows)
        chosen = {name: array[finished] for name, array in rows.items()}
        drawn = allocate(self.observer.space, int(finished.sum()))
        self.observer.paint(chosen, maps, drawn)
        final = np.full(self.num_envs, None, object)
        for row, world in enumerate(np.flatnonzero(finished)):
            final[world] = {name: array[row] for name, array in drawn.items()}
        return final


ACTION_SPACE = spaces.Box(-1.0, 1.0, (2,), np.float32)  # of one driver
DEFAULT_PIXELS_PER_METER = 2.0  # of the map layers, where the observation needs none


class DrivingWorlds:
    """A simulator with what sees and remembers its scene, E drivers in B worlds.

    An action is held for `action_repeat` steps; each has its own events.

    Args:
        simulator: Fills the scene.
        observer: Draws what drivers see; `Unseen` for those who read the scene itself.
        detector: Finds the events of a step; thresholds alone mean CARLA's rules.
        action_layout: Meaning of the two action columns; CARLA's if not given.
        rollout_storage: "pixels" lets finished observations be bound, "scene" compact rows.
        action_repeat: Steps that an action is held, at least 1.
        late_share: Of the drivers, the first ones, whose actions take effect a step later, as where
            seeing and acting take time. Under the leaderboard they take effect at once, too.
    """

    def __init__(
        self,
        simulator: SceneSource,
        observer: Observer,
        detector: DetectorSettings | EventDetector,
        action_layout: ActionLayout | None = None,
        *,
        rollout_storage: Literal["pixels", "scene"] = "pixels",
        action_repeat: int = 1,
        late_share: float = 0.0,
    ) -> None:
        if action_repeat < 1:
            raise ValueError(f"env.action_repeat is {action_repeat}, expected at least 1 step")
        if not 0.0 <= late_share <= 1.0 or (late_share > 0.0 and action_repeat < 2):
            raise ValueError(
                f"env.late_share is {late_share}, expected 0 to 1, and actions held for two "
                f"steps or more (env.action_repeat is {action_repeat})"
            )
        self.simulator, self.observer = simulator, observer
        self.detector = (
            RoadEventDetector(detector) if isinstance(detector, DetectorSettings) else detector
        )
        self.action_layout = action_layout or ActionLayout()
        self.action_repeat = action_repeat
        self.scene, self.maps = simulator.scene, simulator.maps
        self.num_envs = self.scene.num_agents  # E
        self._history = make_history(self.scene, observer.history_steps)
        self.memory = replace(self.detector.make_memory(self.scene), history=self._history)
        self.rows = ObservationRows(observer, self.num_envs, rollout_storage)
        self.event_arrays = EventArrays.allocate(self.num_envs)  # what `advance` returns, as arrays
        self.seen: Observation = {}  # what was drawn last
        self.steer = np.zeros(self.num_envs)  # (E,) in [-1, 1], left positive: as last decided
        self.acceleration = np.zeros(self.num_envs)  # (E,) in [-1, 1]
        self._steps_left = 0  # of the present action
        self._is_late = np.arange(self.num_envs) < round(late_share * self.num_envs)

    @property
    def single_observation_space(self) -> spaces.Dict:
        """Of one driver's observation."""
        return self.observer.space

    @property
    def is_due(self) -> bool:
        """Whether the present action has been held long enough: drivers decide now."""
        return self._steps_left == 0

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start `scenarios[i]` in `worlds[i]`; other worlds are not touched."""
        self.simulator.reset(worlds, scenarios)
        self.remember_start(worlds)

    def prepare(self, scenario: Scenario) -> None:
        """Compile what a step needs; the next `reset` starts as if nothing was."""
        everybody = np.arange(self.num_envs)
        self.reset(everybody, [scenario] * self.num_envs)
        self.observe()
        self.act(np.zeros((self.num_envs, 2), np.float32))
        self.advance()

    def remember_start(self, worlds: NDArray[np.int64]) -> None:
        """Forget the past of worlds that stand at a start; for those who reset the simulator."""
        self.detector.reset_memory(worlds, self.scene, self.memory, self.maps)
        restart_history(worlds, self.scene, self.memory.signs.shown_stop, self._history)
        self._steps_left = 0

    def act(self, actions: Any) -> None:
        """Take the drivers' actions for the next `action_repeat` steps.

        Args:
            actions: (E, 2) numbers in the layout, clipped to [-1, 1].

        Raises:
            ValueError: another shape, or not numbers.
        """
        actions = checked_actions(actions, self.num_envs)
        self.action_layout.decode(actions, self.steer, self.acceleration)
        self._steps_left = self.action_repeat

    def advance(self) -> DrivingEvents:
        """Move all worlds on by `scene.step_s` under the present actions; the facts of the step.

        Their tensors are views, valid until the next step.
        """
        steer, acceleration, ego = self.steer, self.acceleration, self.scene.ego
        if self._is_late.any() and self._steps_left == self.action_repeat:
            steer = np.where(self._is_late, ego.steer, steer)  # as applied until now
            acceleration = np.where(self._is_late, ego.throttle - ego.brake, acceleration)
        self.simulator.step(steer, acceleration)
        events = self.detector.detect(self.scene, self.memory, self.maps, self.event_arrays)
        record_history(self.scene, self.memory.signs.shown_stop, self._history)
        self._steps_left = max(self._steps_left - 1, 0)
        return events

    def observe(self) -> Observation:
        """Draw the present for all drivers, (E, ...) each, into the current row; views."""
        self.seen = self.rows.draw(self.scene, self.memory, self.maps)
        return self.seen

    def close(self) -> None:
        """Release what the simulator holds."""
        self.simulator.close()


# GivenScene: one world that somebody else fills, as a source of scenes for `DrivingWorlds`.


class GivenScene:
    """A scene that its owner writes before every `reset` and `step` (a `SceneSource`).

    Args:
        scene: Of one world.
        maps: Holds the town of its scenarios.
    """

    def __init__(self, scene: SceneBatch, maps: MapBank) -> None:
        self.scene, self.maps = scene, maps

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Write route and clocks; where everybody is, the owner has written."""
        for world, scenario in zip(worlds.tolist(), scenarios, strict=True):
            check_route(scenario, self.scene.routes.x.shape[1])
            write_route(self.scene, world, scenario)
            start_clocks(self.scene, world, scenario, self.maps.map_index(scenario.town))

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Nothing: the owner has written what the actions, or time alone, have led to."""

    def close(self) -> None:
        """Nothing is held."""
