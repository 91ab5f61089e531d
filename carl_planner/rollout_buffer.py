"""One rollout: T steps of E environments, with what PPO learns from.

Its observations are kept as the policy sees them, or as rows to redraw from: a CaRL batch of 65,536
rasters takes 43 GB, the rows they are drawn from take 0.35 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

TensorDict = dict[str, Tensor]
ALL = slice(None)  # worlds


class ObservationStorage(Protocol):
    """Keeps T + 1 rows of E observations."""

    rows: dict[str, np.ndarray]  # (T + 1, E, ...), bound to the environment

    def current(
        self, t: int, returned: Mapping[str, np.ndarray], worlds: slice = ALL
    ) -> TensorDict:
        """Observation of these worlds at step t, on the policy's device.

        `returned` is what the environment gave for them.
        """
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
        self._tensors = allocate(space, (num_steps + 1, num_envs), pinned=device.type == "cuda")
        self.rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        self._flat = {name: tensor.flatten(0, 1) for name, tensor in self._tensors.items()}
        self._steps = [
            {name: tensor[t] for name, tensor in self._tensors.items()}
            for t in range(num_steps + 1)
        ]

    def current(
        self, t: int, returned: Mapping[str, np.ndarray], worlds: slice = ALL
    ) -> TensorDict:
        """Row t."""
        row = {name: tensor[worlds] for name, tensor in self._steps[t].items()}
        return _to_device(row, self._device)

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
        self._tensors = allocate(env.stored_space, (num_steps + 1, env.num_envs), pinned=False)
        self.rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        self._flat = {name: tensor.flatten(0, 1) for name, tensor in self._tensors.items()}
        self._canvas: TensorDict = {}

    def current(
        self, t: int, returned: Mapping[str, np.ndarray], worlds: slice = ALL
    ) -> TensorDict:
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
            self._canvas = allocate(self._space, (num_observations,), pinned=pinned)
        canvas = {name: tensor[:num_observations] for name, tensor in self._canvas.items()}
        self._env.redraw(stored, {name: tensor.numpy() for name, tensor in canvas.items()})
        return _to_device(canvas, self._device)

    def restore(self) -> Mapping[str, np.ndarray]:
        """Row 0, drawn into arrays of its own."""
        num_envs = next(iter(self.rows.values())).shape[1]
        drawn = self.fetch(torch.arange(num_envs))
        return {name: tensor.cpu().clone().numpy() for name, tensor in drawn.items()}


class DeviceSceneStorage:
    """Keeps compact rows and paints observations where the policy is, for acting and learning.

    Rows are pinned; those of a step go to the device once, when the policy acts on them. All
    pictures are painted in one canvas, so each lasts until the next is asked for.

    Args:
        env: Has `stored_space` and `hand_over_painting(device)`.
        num_steps: T.
        device: The policy's.

    Raises:
        ValueError: the environment has no painter for a GPU, or there is no GPU.
    """

    def __init__(self, env: Any, *, num_steps: int, device: torch.device) -> None:
        self._device = device
        self._painter = env.hand_over_painting(device)
        self._space: spaces.Dict = env.single_observation_space
        leading, pinned = (num_steps + 1, env.num_envs), device.type == "cuda"
        self._tensors = allocate(env.stored_space, leading, pinned=pinned)
        self.rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        self._uploaded = {n: t.to(device, copy=True) for n, t in self._tensors.items()}
        self._flat = {name: tensor.flatten(0, 1) for name, tensor in self._uploaded.items()}
        self._canvas: TensorDict = {}

    def current(
        self, t: int, returned: Mapping[str, np.ndarray], worlds: slice = ALL
    ) -> TensorDict:
        """Upload row t and paint it; `returned` is the same row."""
        rows = {name: tensor[t, worlds] for name, tensor in self._uploaded.items()}
        for name, tensor in self._tensors.items():
            rows[name].copy_(tensor[t, worlds], non_blocking=True)
        return self._paint(rows)

    def fetch(self, indices: Tensor) -> TensorDict:
        """Paint rows that have been acted on; the result is overwritten by the next call."""
        at = indices.to(self._device)
        return self._paint({n: tensor.index_select(0, at) for n, tensor in self._flat.items()})

    def restore(self) -> Mapping[str, np.ndarray]:
        """Row 0 itself."""
        return {name: array[0] for name, array in self.rows.items()}

    def _paint(self, rows: TensorDict) -> TensorDict:
        number = len(next(iter(rows.values())))
        if not self._canvas or len(next(iter(self._canvas.values()))) < number:
            blank = allocate(self._space, (number,), pinned=False)
            self._canvas = {name: tensor.to(self._device) for name, tensor in blank.items()}
        canvas = {name: tensor[:number] for name, tensor in self._canvas.items()}
        self._painter.paint(rows, canvas)
        return canvas


def make_storage(
    kind: str, env: Any, *, num_steps: int, device: torch.device, paint_on: str = "cpu"
) -> PixelStorage | SceneStorage | DeviceSceneStorage:
    """Storage of the given kind, "pixels" or "scene", the latter painted on "cpu" or "gpu".

    Raises:
        ValueError: no such kind, the environment can't do it, or there is no GPU to paint on.
    """
    if paint_on not in ("cpu", "gpu"):
        raise ValueError(f"ppo.paint_on is {paint_on!r}, expected 'cpu' or 'gpu'")
    if paint_on == "gpu":
        if kind != "scene":
            raise ValueError("ppo.paint_on=gpu paints stored rows: use ppo.rollout_storage=scene")
        if not hasattr(env, "hand_over_painting"):
            raise ValueError(f"{type(env).__name__} has no painter for a GPU: use ppo.paint_on=cpu")
        return DeviceSceneStorage(env, num_steps=num_steps, device=device)
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


def allocate(space: spaces.Dict, leading: tuple[int, ...], *, pinned: bool) -> TensorDict:
    """Zeros for every entry of a space."""
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


def generalized_advantages(
    reward: np.ndarray,
    value: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    final_value: np.ndarray,
    *,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Advantage of each step, with terminated and truncated episodes apart.

        delta_t = r_t + gamma * V'_{t+1} - V_t
        A_t = delta_t + gamma * lambda * (1 - ended_t) * A_{t+1}

    V' is V within an episode, 0 after a termination, `final_value_t` after a truncation.

    Args:
        reward: (T, E).
        value: (T + 1, E), the last row is the value of the observation after the rollout.
        terminated: (T, E), the step ended its episode by the episode's own rules.
        truncated: (T, E), the step's episode was cut off.
        final_value: (T, E), where truncated the value of the last observation of the episode;
            zero to treat the cut as an end, as CaRL does.
        gamma: Discount per step.
        gae_lambda: Weight of longer horizons, 0 to 1.

    Returns:
        Advantages, (T, E); adding `value[:-1]` gives the targets of the critic.

    Source: Schulman et al. 2016 (arXiv 1506.02438), equations 11 to 16.
    """
    num_steps = len(reward)
    ended = terminated | truncated
    next_value = np.where(ended, 0.0, value[1:])
    next_value[truncated & ~terminated] = final_value[truncated & ~terminated]
    delta = reward + gamma * next_value - value[:-1]
    decay = gamma * gae_lambda * ~ended
    advantage = np.empty_like(reward)
    running = np.zeros_like(reward[0])
    for t in range(num_steps - 1, -1, -1):
        running = delta[t] + decay[t] * running
        advantage[t] = running
    return advantage


class RolloutBuffer:
    """Preallocated arrays of a rollout, (T, E) unless said otherwise.

    Args:
        storage: Keeps the observations.
        num_steps: T.
        num_envs: E of this process.
        num_actions: Action dimensions.
        device: Where minibatches go.
    """

    def __init__(
        self,
        storage: ObservationStorage,
        *,
        num_steps: int,
        num_envs: int,
        num_actions: int,
        device: torch.device,
    ) -> None:
        self.storage = storage
        self.num_steps = num_steps
        self.num_envs = num_envs
        self.device = device
        shape = (num_steps, num_envs)
        self.action = np.zeros((*shape, num_actions), np.float32)
        self.alpha = np.ones((*shape, num_actions), np.float32)  # of the policy that acted
        self.beta = np.ones((*shape, num_actions), np.float32)
        self.suggestion = np.zeros((*shape, num_actions), np.int64)  # codes of exploration.py
        self.log_prob = np.zeros(shape, np.float32)
        self.value = np.zeros((num_steps + 1, num_envs), np.float32)
        self.reward = np.zeros(shape, np.float32)
        self.terminated = np.zeros(shape, bool)
        self.truncated = np.zeros(shape, bool)
        self.final_value = np.zeros(shape, np.float32)  # of truncated episodes' last observation
        self.advantage = np.zeros(shape, np.float32)
        self._flat: TensorDict = {}

    @property
    def num_samples(self) -> int:
        """T * E."""
        return self.num_steps * self.num_envs

    def finish(self, *, gamma: float, gae_lambda: float) -> None:
        """Compute advantages and make everything ready for `fetch`."""
        self.advantage[:] = generalized_advantages(
            self.reward,
            self.value,
            self.terminated,
            self.truncated,
            self.final_value,
            gamma=gamma,
            gae_lambda=gae_lambda,
        )
        value = self.value[:-1]
        arrays = {
            **{
                name: getattr(self, name).reshape(self.num_samples, -1)
                for name in ("action", "alpha", "beta", "suggestion")
            },
            "log_prob": self.log_prob.reshape(-1),
            "value": value.reshape(-1),
            "advantage": self.advantage.reshape(-1),
            "return": (self.advantage + value).reshape(-1),
        }
        self._flat = {name: torch.from_numpy(a).to(self.device) for name, a in arrays.items()}

    def flat(self, name: str) -> Tensor:
        """One of the entries that `fetch` gives, with T and E flattened."""
        return self._flat[name]

    def fetch(self, indices: Tensor) -> tuple[TensorDict, TensorDict]:
        """Observations and the other tensors of flat indices t * E + e."""
        on_device = indices.to(self.device)
        rest = {name: tensor.index_select(0, on_device) for name, tensor in self._flat.items()}
        return self.storage.fetch(indices), rest

    def explained_variance(self) -> float:
        """Share of the returns' variance that the critic foresaw; 1 is perfect."""
        returns = self.advantage + self.value[:-1]
        variance = float(returns.var())
        return 1.0 - float(self.advantage.var()) / variance if variance > 0.0 else 0.0
