"""Simulator: the protocol that every world provider implements (the first of the two seams)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch


class SceneSource(Protocol):
    """Fills a SceneBatch and takes actions; judges and sees nothing.

    `scene` keeps its identity and its arrays for the source's whole life.
    """

    scene: SceneBatch
    maps: MapBank

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start `scenarios[i]` in `worlds[i]`; other worlds are not touched."""
        ...

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Advance every world by `scene.step_s`.

        Args:
            steer: (E,) in [-1, 1], left is positive.
            acceleration: (E,) in [-1, 1], positive is throttle, negative is brake.
        """
        ...

    def close(self) -> None:
        """Release processes, ports and shared memory; safe to call twice."""
        ...


class Simulator(SceneSource, Protocol):
    """A source whose worlds can be kept and gone on with, as a training's are."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly here, as named arrays (copies)."""
        ...

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state_dict` gave."""
        ...


@runtime_checkable
class PlaysScripts(Protocol):
    """What a simulator can also tell if it plays the scenarios of its routes itself."""

    def begun_triggers(self) -> NDArray[np.int64]:
        """How many scenarios have begun in each world since its reset, (B,)."""
        ...

    def timed_out_triggers(self) -> NDArray[np.int64]:
        """How many of them have ended because the ego did not get past them, (B,)."""
        ...

    def held_up(self) -> NDArray[np.bool_]:
        """Whether a scenario with a time limit runs, which may hold the ego up that long, (B,)."""
        ...

    def background_speed_mps(self) -> NDArray[np.float64]:
        """Mean speed of the traffic that belongs to no scenario, (B,), NaN without any."""
        ...


@runtime_checkable
class TellsPhases(Protocol):
    """What a simulator can also tell of the scripts that it plays."""

    def trigger_phases(self) -> NDArray[np.uint8]:
        """Where the script of each trigger stands, in the scenario's order, (B, K); 0 waits."""
        ...
