"""A tiny world for tests of the process pool, which dies, hangs or complains as its driver asks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_adapters.pool_worker import WorldLostError
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.scenario import Route, Scenario
from sim_adapters.scene.state import SceneBatch, empty_scene

# Steering that means something else than steering
DIE, LOSE, HANG, BREAK = 0.91, 0.92, 0.93, 0.94


def make_scene(num_worlds: int) -> SceneBatch:
    return empty_scene(num_worlds, 3, num_lights=2, num_route_points=8)


def scenario(seed: int, name: str = "straight") -> Scenario:
    x = np.arange(3.0)
    route = Route(
        x, 0 * x, 0 * x, 0 * x, np.full(3, -1, np.int32), np.zeros(3, bool), np.zeros(3, np.uint8)
    )
    return Scenario(name, "Nowhere", route, seed)


class LineWorld:
    """Moves along x by the acceleration; y is the scenario's seed, z the process' number."""

    def __init__(self, number: int, folder: Path | None, *, fail_starts: int = 0) -> None:
        if folder is not None:
            log = folder / f"starts_{number}"
            log.write_text(log.read_text() + "x" if log.exists() else "x")
            if len(log.read_text()) <= fail_starts:
                raise WorldLostError("no licence left")
        self.number, self.folder = number, folder
        self.scene = make_scene(1)
        self.maps = None

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        assert worlds.tolist() == [0]
        if scenarios[0].scenario_id == "impossible":
            raise ValueError("route of one point")
        if scenarios[0].scenario_id == "deadly":
            raise WorldLostError("no answer at the start")
        if scenarios[0].scenario_id == "endless":
            time.sleep(60.0)
        self.scene.clocks.failed[0] = False
        self.scene.clocks.elapsed_s[0] = 0.0
        self.scene.motion.x[0, 0] = 0.0
        self.scene.motion.y[0, 0] = scenarios[0].seed
        self.scene.motion.z[0, 0] = self.number
        self.scene.routes.num_points[0] = scenarios[0].route.x.size

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        if steer[0] == DIE:
            os._exit(7)
        if steer[0] == LOSE:
            raise WorldLostError("the server does not answer")
        if steer[0] == HANG:
            time.sleep(60.0)
        if steer[0] == BREAK:
            raise KeyError("a bug")
        self.scene.motion.x[0, 0] += acceleration[0]
        self.scene.clocks.elapsed_s[0] += 0.1

    def state_dict(self) -> dict[str, np.ndarray]:
        return copy_arrays(self.scene)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        restore_arrays(self.scene, state)

    def close(self) -> None:
        if self.folder is not None:
            (self.folder / f"closed_{self.number}").touch()


def make_world(number: int, folder: Path | None = None, fail_starts: int = 0) -> LineWorld:
    return LineWorld(number, folder, fail_starts=fail_starts)


def world_factory(folder: Path | None = None, fail_starts: int = 0) -> partial[LineWorld]:
    return partial(make_world, folder=folder, fail_starts=fail_starts)
