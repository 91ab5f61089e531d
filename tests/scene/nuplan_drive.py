"""One nuPlan driver on the hand-made road whom tests move by hand, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewards.driving_events import DrivingEvents
from sim_adapters.scene.events.arrays import EventArrays
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.nuplan_events.detector import NuplanDetector
from sim_adapters.scene.nuplan_events.memory import NuplanTracker
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch, empty_scene
from tests.nuplan.hand_made_logs import make_nuplan_maps
from tests.scene.hand_made_map import LANES

EAST_Y = -1.75
HALF_LENGTH_M, HALF_WIDTH_M = 2.588, 1.1485
NUM_FRAMES = 101


def road_scene(num_slots: int = 4) -> SceneBatch:
    """An ego at (50, -1.75) heading east, whose human drove from x = 50 to 150 in 101 frames."""
    scene = empty_scene(1, num_slots, num_lights=1, num_route_points=NUM_FRAMES, num_route_areas=8)
    scene.routes.num_points[:] = NUM_FRAMES
    scene.routes.x[:] = 50.0 + np.arange(NUM_FRAMES)
    scene.routes.y[:] = EAST_Y
    scene.clocks.time_limit_s[:] = (NUM_FRAMES - 2) * scene.step_s
    # Roadblocks follow the edges' polygons: 0, 1, 2 are the eastbound road, junction and road
    scene.route_areas.area[0, :3] = len(LANES) + np.arange(3)
    scene.motion.x[0, 0], scene.motion.y[0, 0] = 50.0, EAST_Y
    scene.traits.valid[0, 0], scene.traits.kind[0, 0] = True, ActorKind.CAR
    scene.traits.half_length_m[0, 0] = HALF_LENGTH_M
    scene.traits.half_width_m[0, 0] = HALF_WIDTH_M
    scene.lights.state[:] = LightState.OFF
    return scene


@dataclass
class NuplanDrive:
    """The driver, with the facts of the last step."""

    detector: NuplanDetector = field(default_factory=NuplanDetector)
    speed_limit_mps: float = 10.0

    def __post_init__(self) -> None:
        """Stand at the first frame."""
        self.maps = make_nuplan_maps(self.speed_limit_mps)
        self.scene = road_scene()
        self.memory: EpisodeMemory = self.detector.make_memory(self.scene)
        self.arrays = EventArrays.allocate(1)
        self.restart()

    @property
    def tracker(self) -> NuplanTracker:
        assert self.memory.nuplan is not None
        return self.memory.nuplan.tracker

    def restart(self) -> None:
        """Begin the episode here."""
        self.scene.clocks.elapsed_s[:] = 0.0
        self.detector.reset_memory(np.array([0]), self.scene, self.memory, self.maps)

    def place(self, x: float, y: float = EAST_Y, *, yaw: float = 0.0, **body: float) -> None:
        """Put the ego's centre somewhere; `body` sets fields of EgoBody."""
        motion = self.scene.motion
        motion.x[0, 0], motion.y[0, 0], motion.yaw_rad[0, 0] = x, y, yaw
        self.scene.body.rear_axle_x[0] = x - 1.461 * np.cos(yaw)
        self.scene.body.rear_axle_y[0] = y - 1.461 * np.sin(yaw)
        for name, value in body.items():
            getattr(self.scene.body, name)[0] = value

    def add(
        self,
        slot: int,
        x: float,
        y: float,
        *,
        kind: ActorKind = ActorKind.CAR,
        yaw: float = 0.0,
        speed: float = 0.0,
        actor_id: int | None = None,
    ) -> None:
        """Put a 4 x 2 m box somewhere, moving along its heading."""
        motion, traits = self.scene.motion, self.scene.traits
        motion.x[0, slot], motion.y[0, slot], motion.yaw_rad[0, slot] = x, y, yaw
        motion.vx_mps[0, slot] = speed * np.cos(yaw)
        motion.vy_mps[0, slot] = speed * np.sin(yaw)
        traits.valid[0, slot], traits.kind[0, slot] = True, kind
        traits.half_length_m[0, slot], traits.half_width_m[0, slot] = 2.0, 1.0
        traits.actor_id[0, slot] = slot if actor_id is None else actor_id

    def look(self) -> DrivingEvents:
        """The facts of one more step."""
        self.scene.clocks.elapsed_s[:] += self.scene.step_s
        return self.detector.detect(self.scene, self.memory, self.maps, self.arrays)

    def fact(self, name: str) -> Any:
        """One fact of one more step."""
        return getattr(self.look(), name)[0].item()
