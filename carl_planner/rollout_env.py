"""What the learner asks of an environment: a gymnasium VectorEnv that writes into bound arrays.

The environments of this project fulfil `RolloutEnv` themselves. `as_rollout_env` gives any other
`gymnasium.vector.VectorEnv` with a Dict observation the same face by copying.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

Rows = Mapping[str, np.ndarray]
StepResult = tuple[Rows, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


@runtime_checkable
class RolloutEnv(Protocol):
    """Vector environment with same-step autoreset that draws observations in place.

    `info` may hold `episode` (dict of (E,) arrays, valid where `_episode`), `reward_terms` (dict
    of (E,) arrays) and `final_obs` (dict of (E, ...) arrays, valid where `_final_obs`).
    """

    num_envs: int
    single_observation_space: Any
    single_action_space: Any

    def bind(self, rows: Rows) -> None:
        """Receive arrays (T + 1, E, ...); reset draws row 0, each step the next row."""
        ...

    def rewind(self) -> None:
        """Copy row T to row 0 and go on from there."""
        ...

    def reset(self, *, seed: int | None = None) -> tuple[Rows, dict[str, Any]]:
        """Start all episodes."""
        ...

    def step(self, actions: np.ndarray, /) -> StepResult:
        """Advance all worlds by one decision."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


def as_rollout_env(env: VectorEnv | RolloutEnv) -> RolloutEnv:
    """The environment itself if it draws in place, else a wrapper that copies."""
    if isinstance(env, RolloutEnv):
        return env
    return CopyingRolloutEnv(env)


def prepare(env: RolloutEnv) -> None:
    """Let the environment do what its first step would cost (compile kernels), if it can."""
    if hasattr(env, "prepare"):
        env.prepare()  # pyright: ignore[reportAttributeAccessIssue]


def can_be_saved(env: RolloutEnv) -> bool:
    """Whether the environment's state can go into a checkpoint."""
    return hasattr(env, "state_dict")


class CopyingRolloutEnv:
    """Makes a plain VectorEnv a `RolloutEnv` by copying each observation into its row."""

    def __init__(self, env: VectorEnv) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"the environment resets in mode {mode}, the learner needs "
                "AutoresetMode.SAME_STEP: pass autoreset_mode when making the vector environment"
            )
        if not isinstance(env.single_observation_space, spaces.Dict):
            raise ValueError(
                f"the observation is a {type(env.single_observation_space).__name__}, the learner "
                "needs a Dict with `bev` or `vector`, `measurements` and `value_measurements`"
            )
        self.env = env
        self.num_envs = env.num_envs
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        self._rows: Rows = {}
        self._t = 0

    def bind(self, rows: Rows) -> None:
        """Receive arrays (T + 1, E, ...)."""
        self._rows = rows
        self._t = 0

    def rewind(self) -> None:
        """Copy row T to row 0."""
        for array in self._rows.values():
            array[0] = array[-1]
        self._t = 0

    def reset(self, *, seed: int | None = None) -> tuple[Rows, dict[str, Any]]:
        """Start all episodes; the observation goes to row 0."""
        observation, info = self.env.reset(seed=seed)
        self._t = 0
        return self._keep(observation), info

    def step(self, actions: np.ndarray, /) -> StepResult:
        """Step the environment; the observation goes to the next row."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        self._t += 1
        if "final_obs" in info:
            final = self._stack_final(info["final_obs"], info["_final_obs"])
            info = info | {"final_obs": final}
        return self._keep(observation), reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _keep(self, observation: Rows) -> Rows:
        for name, array in self._rows.items():
            array[self._t] = observation[name]
        return {name: array[self._t] for name, array in self._rows.items()}

    def _stack_final(self, final: Rows | np.ndarray, given: np.ndarray) -> Rows:
        """Arrays (E, ...) by name from gymnasium's array of dicts, None where no episode ended."""
        if isinstance(final, Mapping):
            return final
        stacked = {
            name: np.zeros((self.num_envs, *(box.shape or ())), box.dtype)
            for name, box in self.single_observation_space.spaces.items()
        }
        for env in np.flatnonzero(given):
            for name, array in stacked.items():
                array[env] = final[env][name]
        return stacked
