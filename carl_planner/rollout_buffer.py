"""One rollout: T steps of E environments, with what PPO learns from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from carl_planner.advantages import generalized_advantages
from carl_planner.observation_storage import ObservationStorage, TensorDict


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
