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

    `info` may hold `finished_episode` (dict of (E,) arrays, valid where `_finished_episode`),
    `reward_terms` (dict of (E,) arrays) and gymnasium's `final_obs` (an observation for every world
    of `_final_obs`).
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
        """Start all episodes; with a seed, the first ones of a run with that seed.

        Ranks pass the same seed: an environment knows its own worlds by the `rank` it was made
        with.
        """
        ...

    def step(self, actions: np.ndarray, /) -> StepResult:
        """Advance all worlds by one decision."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


def as_rollout_env(env: VectorEnv | RolloutEnv, rank: int = 0) -> RolloutEnv:
    """The environment itself if it draws in place, else a wrapper that copies."""
    if isinstance(env, RolloutEnv):
        return env
    return CopyingRolloutEnv(env, rank)


def stacked_final(final: Rows | np.ndarray, worlds: np.ndarray) -> dict[str, np.ndarray]:
    """Last observations of these worlds, (N, ...) by name.

    Args:
        final: (E,) array of observations, as gymnasium gives them, or (E, ...) arrays by name.
        worlds: (N,) indices of worlds that have one.
    """
    if isinstance(final, Mapping):
        return {name: np.ascontiguousarray(array[worlds]) for name, array in final.items()}
    return {name: np.stack([final[w][name] for w in worlds]) for name in final[worlds[0]]}


def prepare(env: RolloutEnv) -> None:
    """Let the environment do what its first step would cost (compile kernels), if it can."""
    if hasattr(env, "prepare"):
        env.prepare()  # pyright: ignore[reportAttributeAccessIssue]


def can_be_saved(env: RolloutEnv) -> bool:
    """Whether the environment's state can go into a checkpoint."""
    return hasattr(env, "state_dict")


class CopyingRolloutEnv:
    """Makes a plain VectorEnv a `RolloutEnv` by copying each observation into its row.

    Args:
        env: Seeds its worlds one by one, as gymnasium's vector environments do.
        rank: Of this process; its worlds' seeds follow those of the ranks before.
    """

    def __init__(self, env: VectorEnv, rank: int = 0) -> None:
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
        self._first_world = rank * env.num_envs
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
        own = None if seed is None else seed + self._first_world
        observation, info = self.env.reset(seed=own)
        self._t = 0
        return self._keep(observation), info

    def step(self, actions: np.ndarray, /) -> StepResult:
        """Step the environment; the observation goes to the next row."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        self._t += 1
        return self._keep(observation), reward, terminated, truncated, info | _finished(info)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _keep(self, observation: Rows) -> Rows:
        for name, array in self._rows.items():
            array[self._t] = observation[name]
        return {name: array[self._t] for name, array in self._rows.items()}


def _finished(info: Mapping[str, Any]) -> dict[str, Any]:
    """Accounts of finished episodes, wherever gymnasium's wrappers and vectors have put them."""
    for place in (info, info.get("final_info", {})):
        if "finished_episode" in place:
            names = ("finished_episode", "_finished_episode")
            return {name: place[name] for name in names}
        if "episode" in place:  # RecordEpisodeStatistics
            accounts = {"return": place["episode"]["r"], "length": place["episode"]["l"]}
            return {"finished_episode": accounts, "_finished_episode": place["_episode"]}
    return {}
