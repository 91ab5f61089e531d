"""Where a rollout keeps its observations: as the policy sees them, or as rows to redraw from.

A CaRL batch of 65,536 rasters takes 43 GB; the rows they are drawn from take well under 2 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

TensorDict = dict[str, Tensor]


class ObservationStorage(Protocol):
    """Keeps T + 1 rows of E observations."""

    rows: dict[str, np.ndarray]  # (T + 1, E, ...), bound to the environment

    def current(self, t: int, returned: Mapping[str, np.ndarray]) -> TensorDict:
        """Observation at step t, on the policy's device; `returned` is the environment's."""
        ...

    def fetch(self, indices: Tensor) -> TensorDict:
        """Observations of flat indices t * E + e, on the policy's device."""
        ...

    def restore(self) -> Mapping[str, np.ndarray]:
        """Observation of row 0 when it came from a checkpoint, for `current`."""
        ...


class PixelStorage:
    """Keeps the observations themselves; the environment draws straight into them."""

    def __init__(
        self, space: spaces.Dict, *, num_steps: int, num_envs: int, device: torch.device
    ) -> None:
        self._device = device
        self._tensors = _allocate(space, (num_steps + 1, num_envs), pinned=device.type == "cuda")
        self.rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        self._flat = {name: tensor.flatten(0, 1) for name, tensor in self._tensors.items()}
        self._steps = [
            {name: tensor[t] for name, tensor in self._tensors.items()}
            for t in range(num_steps + 1)
        ]

    def current(self, t: int, returned: Mapping[str, np.ndarray]) -> TensorDict:
        """Row t."""
        return _to_device(self._steps[t], self._device)

    def fetch(self, indices: Tensor) -> TensorDict:
        """Gather rows."""
        batch = {name: tensor.index_select(0, indices) for name, tensor in self._flat.items()}
        return _to_device(batch, self._device)

    def restore(self) -> Mapping[str, np.ndarray]:
        """Row 0 as it is."""
        return {name: array[0] for name, array in self.rows.items()}


class SceneStorage:
    """Keeps compact rows and lets the environment redraw the observations of a minibatch.

    Args:
        env: Has `stored_space` and `redraw(rows, out)`.
        num_steps: T.
        device: The policy's.
    """

    def __init__(self, env: Any, *, num_steps: int, device: torch.device) -> None:
        self._device = device
        self._env = env
        self._space: spaces.Dict = env.single_observation_space
        self._tensors = _allocate(env.stored_space, (num_steps + 1, env.num_envs), pinned=False)
        self.rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        self._flat = {name: tensor.flatten(0, 1) for name, tensor in self._tensors.items()}
        self._canvas: TensorDict = {}

    def current(self, t: int, returned: Mapping[str, np.ndarray]) -> TensorDict:
        """The observation that the environment returned; it isn't kept."""
        return _to_device({k: torch.from_numpy(v) for k, v in returned.items()}, self._device)

    def fetch(self, indices: Tensor) -> TensorDict:
        """Redraw; the result is overwritten by the next call."""
        stored = {
            name: tensor.index_select(0, indices).numpy() for name, tensor in self._flat.items()
        }
        num_observations = len(indices)
        if any(len(tensor) < num_observations for tensor in self._canvas.values()) or (
            not self._canvas
        ):
            pinned = self._device.type == "cuda"
            self._canvas = _allocate(self._space, (num_observations,), pinned=pinned)
        canvas = {name: tensor[:num_observations] for name, tensor in self._canvas.items()}
        self._env.redraw(stored, {name: tensor.numpy() for name, tensor in canvas.items()})
        return _to_device(canvas, self._device)

    def restore(self) -> Mapping[str, np.ndarray]:
        """Row 0, drawn into arrays of its own."""
        num_envs = next(iter(self.rows.values())).shape[1]
        drawn = self.fetch(torch.arange(num_envs))
        return {name: tensor.cpu().clone().numpy() for name, tensor in drawn.items()}


def make_storage(
    kind: str, env: Any, *, num_steps: int, device: torch.device
) -> PixelStorage | SceneStorage:
    """Storage of the given kind, "pixels" or "scene"."""
    if kind == "scene":
        if not hasattr(env, "redraw"):
            raise ValueError(
                f"rollout_storage is 'scene', but {type(env).__name__} cannot redraw "
                "observations: use ppo.rollout_storage=pixels"
            )
        return SceneStorage(env, num_steps=num_steps, device=device)
    if kind == "pixels":
        space = env.single_observation_space
        return PixelStorage(space, num_steps=num_steps, num_envs=env.num_envs, device=device)
    raise ValueError(f"rollout_storage is {kind!r}, expected 'pixels' or 'scene'")


def _allocate(space: spaces.Dict, leading: tuple[int, ...], *, pinned: bool) -> TensorDict:
    tensors: TensorDict = {}
    for name, box in space.spaces.items():
        assert box.shape is not None
        dtype = torch.from_numpy(np.empty(0, box.dtype)).dtype
        tensors[name] = torch.zeros(*leading, *box.shape, dtype=dtype, pin_memory=pinned)
    return tensors


def _to_device(tensors: TensorDict, device: torch.device) -> TensorDict:
    if device.type == "cpu":
        return tensors
    return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}
