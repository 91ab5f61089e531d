"""ObservationRows: where observations are drawn, so that none is ever copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sim_adapters.observation.observer import DevicePainter, GathersSome, Observer, PaintsOnDevice
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch

Observation = dict[str, np.ndarray]


def allocate(space: Mapping, *leading: int) -> Observation:
    """Zero arrays (*leading, ...) for every entry of a Dict space."""
    return {name: np.zeros((*leading, *box.shape), box.dtype) for name, box in space.items()}


class ObservationRows:
    """The learner's (T + 1, E, ...) rows, or two rows of its own while none are bound.

    Its own rows hold finished observations, so that the last one outlives a step: users of
    gymnasium keep (s, s'). Bound rows hold the observer's compact form with "scene" storage, and
    the drawn observation lives in a scratch that the next step overwrites.
    """

    def __init__(
        self, observer: Observer, num_envs: int, storage: Literal["pixels", "scene"]
    ) -> None:
        if storage not in ("pixels", "scene"):
            raise ValueError(f"rollout_storage is {storage!r}, expected 'pixels' or 'scene'")
        self.observer, self.num_envs, self.storage = observer, num_envs, storage
        self.space = observer.space if storage == "pixels" else observer.stored_space
        self.rows: Mapping[str, np.ndarray] = allocate(observer.space, 2, num_envs)
        self._scratch: Observation = {}
        self.num_rows, self.row, self.bound = 2, 0, False
        self._paints = True  # else whoever bound the rows paints them

    def bind(self, rows: Mapping[str, np.ndarray]) -> None:
        """Use the learner's arrays.

        Raises:
            ValueError: a name, shape or dtype differs from the space.
        """
        for name, box in self.space.items():
            expected = (self.num_envs, *(box.shape or ()))
            array = rows.get(name)
            if array is None or array.shape[1:] != expected or array.dtype != box.dtype:
                found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise ValueError(
                    f"bind({name!r}) found {found}, expected {box.dtype} (T + 1, *{expected}): "
                    f"allocate the rows from the env's space for rollout_storage={self.storage}"
                )
        self.rows = {name: rows[name] for name in self.space}
        self.num_rows = len(next(iter(self.rows.values())))
        self.row, self.bound = 0, True
        if self.storage == "scene":
            self._scratch = allocate(self.observer.space, self.num_envs)

    def hand_over_painting(self, maps: MapBank, device: torch.device) -> DevicePainter:
        """Let the learner paint bound rows on a GPU; `draw` then returns the rows.

        Raises:
            ValueError: rows are not stored, or the observer or a painter of it is CPU only.
            RuntimeError: there is no GPU.
        """
        if self.storage != "scene":
            raise ValueError("ppo.paint_on=gpu paints stored rows: use ppo.rollout_storage=scene")
        if not isinstance(self.observer, PaintsOnDevice):
            raise ValueError(
                f"{type(self.observer).__name__} is CPU only, no CUDA kernel draws what it sees: "
                "use ppo.paint_on=cpu"
            )
        painter = self.observer.device_painter(maps, device)
        self._paints = False
        return painter

    def restart(self) -> None:
        """Draw row 0 next."""
        self.row = 0

    def advance(self) -> None:
        """Draw the following row next.

        Raises:
            IndexError: bound rows are full; `rewind` starts the next rollout.
        """
        self.row += 1
        if self.row == self.num_rows:
            if self.bound:
                raise IndexError(f"all {self.num_rows} bound rows are drawn: call rewind() first")
            self.row = 0

    def rewind(self) -> None:
        """Copy the last row to row 0 and go on from there."""
        for array in self.rows.values():
            array[0] = array[-1]
        self.row = 0

    def draw(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank) -> Observation:
        """Draw the present into the current row; returns the observation (views)."""
        current = {name: array[self.row] for name, array in self.rows.items()}
        if self.storage == "pixels" or not self.bound:
            self.observer.observe(scene, memory, maps, current)
            return current
        self.observer.gather(scene, memory, maps, current)
        if not self._paints:
            return current
        self.observer.paint(current, maps, self._scratch)
        return self._scratch

    def draw_final(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, finished: NDArray[np.bool_]
    ) -> NDArray[np.object_]:
        """The present of `finished` worlds as gymnasium's `final_obs`: (E,), None elsewhere."""
        rows = allocate(self.observer.stored_space, self.num_envs)
        if isinstance(self.observer, GathersSome):
            self.observer.gather_some(np.flatnonzero(finished), scene, memory, maps, rows)
        else:
            self.observer.gather(scene, memory, maps, rows)
        chosen = {name: array[finished] for name, array in rows.items()}
        drawn = allocate(self.observer.space, int(finished.sum()))
        self.observer.paint(chosen, maps, drawn)
        final = np.full(self.num_envs, None, object)
        for row, world in enumerate(np.flatnonzero(finished)):
            final[world] = {name: array[row] for name, array in drawn.items()}
        return final
