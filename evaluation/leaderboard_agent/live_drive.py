"""LiveDrive: one world that somebody else fills, seen, remembered and driven as in training."""

from __future__ import annotations

import numpy as np

from evaluation.drivers.driver import Driver
from sim_adapters.driving.given_scene import GivenScene
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import empty_scene

_WORLD = np.zeros(1, np.int64)


class LiveDrive:
    """One driver in one world; whoever fills it writes the scene before every call."""

    def __init__(self, worlds: DrivingWorlds, driver: Driver) -> None:
        self.worlds, self.driver = worlds, driver

    def begin(self) -> None:
        """Forget everything and take the scene for the episode's first."""
        self.worlds.remember_start(_WORLD)
        self.driver.begin_episodes(_WORLD, self.worlds)

    def decide(self) -> tuple[float, float]:
        """Take the scene for a step later; the driver's action on it, or the one that is held.

        Returns:
            Steer in [-1, 1], left positive, and acceleration in [-1, 1].
        """
        worlds = self.worlds
        worlds.advance()
        if worlds.is_due:
            worlds.act(self.driver.act(worlds))
        return float(worlds.steer[0]), float(worlds.acceleration[0])


def given_scene(maps: MapBank, scenario: Scenario, *, max_actors: int, step_s: float) -> GivenScene:
    """An empty world on the scenario's route, for others to fill.

    Args:
        maps: Holds the scenario's town.
        scenario: The route.
        max_actors: Actor slots of the scene.
        step_s: Time between two steps.
    """
    scene = empty_scene(
        1,
        max_actors,
        num_lights=maps.max_lights,
        num_route_points=scenario.route.x.size,
        step_s=step_s,
    )
    given = GivenScene(scene, maps)
    given.reset(_WORLD, [scenario])
    return given
