"""What the raster's tests share: configured observers, busy scenes, a map of noise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sim_adapters.observation.bev import BevObserver
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from tests.observation.observation_scenes import (
    LANE_Y,
    layers_of,
    set_actor,
    straight_road_bank,
    straight_scene,
)

CONFIGS = Path(__file__).parents[2] / "configs"


def make_observer(name: str, *deeper: str, **changes: Any) -> BevObserver:
    """The observer of a YAML, some keywords changed, or what lies deeper ("key.below=value")."""
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose(
            overrides=[f"+observation={name}", *(f"observation.{word}" for word in deeper)]
        )
    settings = OmegaConf.to_container(config.observation)
    assert isinstance(settings, dict)
    kept = {name: value for name, value in settings.items() if name not in changes}
    return instantiate(kept, **changes)


def allocate(space: Any, num_rows: int) -> dict[str, np.ndarray]:
    """Arrays full of ones, so that whatever an observer leaves unwritten shows."""
    return {name: np.ones((num_rows, *box.shape), box.dtype) for name, box in space.items()}


def observe(
    observer: BevObserver, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Frames (E, C, H, W) and the rows they were painted from."""
    rows = allocate(observer.stored_space, scene.num_agents)
    out = allocate(observer.space, scene.num_agents)
    observer.gather(scene, memory, maps, rows)
    observer.paint(rows, maps, out)
    return out["bev"], rows


def extent(plane: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row, first and last column that are not zero."""
    rows, columns = np.nonzero(plane)
    return rows.min(), rows.max(), columns.min(), columns.max()


def busy_scene(num_worlds: int, max_yaw_rad: float = 0.4) -> tuple[SceneBatch, EpisodeMemory]:
    """Each ego near the light, 45 actors of all kinds along the road, some with lights on."""
    scene, memory = straight_scene(num_worlds, 64)
    rng = np.random.default_rng(11)
    kinds = [ActorKind.CAR] * 30 + [ActorKind.BICYCLE] * 5 + [ActorKind.PEDESTRIAN] * 6
    kinds += [ActorKind.STATIC] * 4
    for world in range(num_worlds):
        scene.motion.x[world, 0] = rng.uniform(40.0, 90.0)
        scene.motion.yaw_rad[world, 0] = rng.uniform(-max_yaw_rad, max_yaw_rad)
        for slot, kind in enumerate(kinds, start=1):
            y = rng.choice([-LANE_Y, LANE_Y]) + rng.normal() * 0.4
            yaw, speed = rng.normal(), max(0.0, rng.uniform(-5.0, 20.0))
            lights = int(rng.choice([0, 0, 1, 2, 4, 8, 16]))
            half = (2.4, 1.0, 0.75) if kind == ActorKind.CAR else (0.8, 0.3, 0.9)
            x = rng.uniform(0.0, 160.0)
            set_actor(scene, world, slot, kind, x, y, yaw, speed, half, lights=lights)
        scene.lights.state[world] = world % 3
    memory.route.index[:] = np.round(scene.motion.x[:, 0]).astype(np.int32) + 20
    memory.signs.shown_stop[:] = 0
    end_approach_at_junction(scene)
    return scene, memory


def end_approach_at_junction(scene: SceneBatch) -> None:
    """The route leaves the light's road at x = 100, as it does in a town."""
    scene.routes.lane[:] = np.where(scene.routes.x > 100.0, -1, 0)


def town_of_noise() -> MapBank:
    """Every pixel of every layer by chance, in clumps: nothing that a wrong sample could miss."""
    rng = np.random.default_rng(5)
    plane = rng.integers(0, 256, (480, 880)).astype(np.uint8)
    clumps = rng.random((480 // 40, 880 // 40)).repeat(40, axis=0).repeat(40, axis=1) < 0.5
    plane[clumps] = 0
    plane[:8], plane[-8:], plane[:, :8], plane[:, -8:] = 0, 0, 0, 0
    maps = straight_road_bank()
    return replace(maps, layers=layers_of(plane, 2.0, (-120.0, -math.pi * 40.0)))


RED = int(LightState.RED)
