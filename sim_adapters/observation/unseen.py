"""Unseen: the observer that shows nothing, for drivers that read the scene itself."""

from __future__ import annotations

from gymnasium import spaces

from sim_adapters.observation.observer import Arrays
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch


class Unseen:
    """An `Observer` without any entry."""

    required_pixels_per_meter: float | None = None
    history_steps: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.space, self.stored_space = spaces.Dict(), spaces.Dict()

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Nothing."""

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Nothing."""

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Nothing."""
