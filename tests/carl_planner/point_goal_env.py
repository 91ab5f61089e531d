"""A small vector environment that PPO solves in seconds: steer a point to a goal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

STEP = 0.1
GOAL_RADIUS = 0.15
TIME_LIMIT = 40


class TorchPainter:
    """What `redraw` does, on tensors."""

    def paint(self, rows: dict[str, torch.Tensor], out: dict[str, torch.Tensor]) -> None:
        state = rows["state"]
        out["vector"].copy_(state[:, 2:4] - state[:, :2])
        out["measurements"].copy_(state[:, :2])
        out["value_measurements"].copy_(state[:, 4:] / TIME_LIMIT)


class PointGoalEnv(VectorEnv):
    """Points in a 2 x 2 square move by at most 0.1 per axis and step towards their goals.

    The reward is the distance gained, so an episode's return is at most the initial distance.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self, num_envs: int, seed: int = 0, rank: int = 0, nan_at_step: int | None = None
    ) -> None:
        self.num_envs = num_envs
        self.seed = seed
        self.first_world = rank * num_envs
        self.nan_at_step = nan_at_step
        self.single_observation_space = spaces.Dict(
            {
                "vector": spaces.Box(-4, 4, (2,), np.float32),
                "measurements": spaces.Box(-2, 2, (2,), np.float32),
                "value_measurements": spaces.Box(0, 1, (1,), np.float32),
            }
        )
        self.single_action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.stored_space = spaces.Dict({"state": spaces.Box(-4, 4, (5,), np.float32)})
        self.state = np.zeros((num_envs, 5), np.float32)  # x, y, goal x, goal y, steps
        self.episode = np.zeros(num_envs, np.int64)
        self.total_return = np.zeros(num_envs, np.float32)
        self.num_steps = 0
        self.rows: dict[str, np.ndarray] = {}
        self.row = 0
        self.num_redrawn = 0
        self.paints = True  # else the learner does

    def bind(self, rows: dict[str, np.ndarray]) -> None:
        self.rows, self.row = rows, 0

    def rewind(self) -> None:
        for array in self.rows.values():
            array[0] = array[-1]
        self.row = 0

    def redraw(self, stored: dict[str, np.ndarray], out: dict[str, np.ndarray]) -> None:
        state = stored["state"]
        self.num_redrawn += len(state)
        out["vector"][:] = state[:, 2:4] - state[:, :2]
        out["measurements"][:] = state[:, :2]
        out["value_measurements"][:] = state[:, 4:] / TIME_LIMIT

    def hand_over_painting(self, device: torch.device) -> TorchPainter:
        self.paints = False
        return TorchPainter()

    def reset(
        self, *, seed: Any = None, options: Any = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self._restart(np.ones(self.num_envs, bool))
        self.row = 0
        return self._observe(), {}

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict]:
        state = self.state
        before = self._distance()
        state[:, :2] += STEP * actions
        state[:, 4] += 1
        after = self._distance()
        reward = before - after
        self.total_return += reward
        self.num_steps += 1
        if self.num_steps == self.nan_at_step:
            reward[0] = np.nan
        terminated = after < GOAL_RADIUS
        truncated = (state[:, 4] >= TIME_LIMIT) & ~terminated
        finished = terminated | truncated
        info: dict[str, Any] = {"reward_terms": {"progress": reward.copy()}}
        if finished.any():
            info["final_obs"] = self._empty()
            self.redraw({"state": state}, info["final_obs"])
            info["finished_episode"] = {
                "return": self.total_return.copy(),
                "length": state[:, 4].copy(),
            }
            info["_finished_episode"] = info["_final_obs"] = finished
            self._restart(finished)
        self.row += 1
        return self._observe(), reward, terminated, truncated, info

    def state_dict(self) -> dict[str, np.ndarray]:
        return {
            "state": self.state.copy(),
            "episode": self.episode.copy(),
            "total_return": self.total_return.copy(),
            "num_steps": np.array(self.num_steps),
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.state[:] = state["state"]
        self.episode[:] = state["episode"]
        self.total_return[:] = state["total_return"]
        self.num_steps = int(state["num_steps"])

    def _restart(self, worlds: np.ndarray) -> None:
        for world in np.flatnonzero(worlds):
            key = [self.seed, self.first_world + int(world), int(self.episode[world])]
            self.state[world, :4] = np.random.default_rng(key).uniform(-1, 1, 4)
        self.state[worlds, 4] = 0
        self.total_return[worlds] = 0
        self.episode[worlds] += 1

    def _distance(self) -> np.ndarray:
        return np.linalg.norm(self.state[:, 2:4] - self.state[:, :2], axis=1)

    def _empty(self) -> dict[str, np.ndarray]:
        spaces_by_name = self.single_observation_space.spaces
        return {k: np.zeros((self.num_envs, *s.shape), s.dtype) for k, s in spaces_by_name.items()}

    def _observe(self) -> dict[str, np.ndarray]:
        if not self.rows:
            drawn = self._empty()
        elif "state" in self.rows:
            self.rows["state"][self.row] = self.state
            if not self.paints:
                return {"state": self.rows["state"][self.row]}
            drawn = self._empty()
        else:
            drawn = {name: array[self.row] for name, array in self.rows.items()}
        self.redraw({"state": self.state}, drawn)
        self.num_redrawn -= self.num_envs
        return drawn
