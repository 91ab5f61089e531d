"""What a script of a live route sees of the world in one step, and what it may do there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from sim_adapters.carla.actor_slots import EGO_SLOT
from sim_adapters.carla.background_traffic import BackgroundTraffic
from sim_adapters.carla.live_lights import LiveLights
from sim_adapters.carla.session import LiveSession
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch


@dataclass(frozen=True)
class LiveStage:
    """Where scripts play; the same for a whole episode."""

    session: LiveSession
    maps: MapBank
    scene: SceneBatch
    lights: LiveLights
    traffic: BackgroundTraffic | None

    @property
    def now_s(self) -> float:
        """Episode time."""
        return float(self.scene.clocks.elapsed_s[0])

    @property
    def seed(self) -> int:
        """Of the episode."""
        return int(self.scene.clocks.seed[0])

    @property
    def ego_speed_mps(self) -> float:
        """Horizontal speed of the ego."""
        motion = self.scene.motion
        return math.hypot(motion.vx_mps[0, EGO_SLOT], motion.vy_mps[0, EGO_SLOT])

    def ego_distance_m(self, x: float, y: float) -> float:
        """From the ego's centre to a place."""
        motion = self.scene.motion
        return math.hypot(x - motion.x[0, EGO_SLOT], y - motion.y[0, EGO_SLOT])


class LiveScript(Protocol):
    """One scripted event after the ego has reached its trigger point."""

    is_over: bool

    def step(self) -> None:
        """Play one step; reads the scene of the last tick, acts before the next."""
        ...

    def noise(self) -> tuple[float, float]:
        """What is added to the ego's steering and throttle in this step."""
        ...

    def clear(self) -> None:
        """Take what the script placed out of the world."""
        ...
