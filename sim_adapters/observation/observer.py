"""Observer: the protocol of everything that turns a scene into what the policy sees.

An observer works in two stages. `gather` reads (scene, memory, maps) into compact rows: all that
the picture needs, relative to the driver, in float32. `paint` turns rows into observations and
needs nothing but the maps. A rollout buffer may keep the rows and paint a minibatch again, and
because both storages go through the same rows, their pixels are equal bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch

Arrays = Mapping[str, np.ndarray]


class Observer(Protocol):
    """Draws observations; see the module's text for the two stages."""

    space: spaces.Dict  # one driver: "bev" or "vector", "measurements", "value_measurements"
    stored_space: spaces.Dict  # one driver's compact row
    required_pixels_per_meter: float | None  # resolution of the map layers; None takes any
    history_steps: tuple[int, ...]  # steps ago that `memory.history` must hold, oldest first

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write the rows of all E drivers into `out` (arrays (E, ...) named as `stored_space`)."""
        ...

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Draw N rows into `out` (arrays (N, ...) named as `space`), N arbitrary."""
        ...

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Gather into a scratch of its own and paint: one observation of each driver."""
        ...


Tensors = Mapping[str, Tensor]


class DevicePainter(Protocol):
    """Draws observations from rows where both are: in tensors of a GPU."""

    def paint(self, rows: Tensors, out: Tensors) -> None:
        """Draw N rows (named as `stored_space`) into N observations (named as `space`).

        All are contiguous; the work is queued in torch's present stream.
        """
        ...


@runtime_checkable
class PaintsOnDevice(Protocol):
    """What an observer can also do if CUDA kernels draw what it sees."""

    def device_painter(self, maps: MapBank, device: torch.device) -> DevicePainter:
        """A painter of these maps.

        Raises:
            ValueError: something of it is CPU only, or there is no GPU.
        """
        ...


@runtime_checkable
class GathersSome(Protocol):
    """What an observer can also do if a row of one driver costs no more than its share."""

    def gather_some(
        self,
        drivers: NDArray[np.int64],
        scene: SceneBatch,
        memory: EpisodeMemory,
        maps: MapBank,
        out: Arrays,
    ) -> None:
        """`gather` of these drivers alone."""
        ...


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
