"""GivenScene: one world that somebody else fills, as a source of scenes for `DrivingWorlds`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_adapters.embedded.world_start import check_route, start_clocks, write_route
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch


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
