"""DrivenWorlds: what a planner may look at beside its observation, in a batch or live."""

from __future__ import annotations

from typing import Protocol

from gymnasium import spaces

from sim_adapters.action_layout import ActionLayout
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch


class DrivenWorlds(Protocol):
    """E drivers with their scene; a `DrivingVectorEnv` is one, a live drive another."""

    scene: SceneBatch
    memory: EpisodeMemory
    maps: MapBank
    action_layout: ActionLayout
    num_envs: int  # E

    @property
    def single_observation_space(self) -> spaces.Space:
        """Of one driver's observation."""
        ...
