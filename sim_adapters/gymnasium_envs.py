"""Gymnasium environments for people who bring their own learner.

    >>> import gymnasium, sim_adapters  # the import makes the id known
    >>> envs = gymnasium.make_vec("CarlPlanner/Embedded-v0", num_envs=8)  # doctest: +SKIP
    >>> env = gymnasium.make("CarlPlanner/Embedded-v0")  # doctest: +SKIP

Keywords are hydra overrides of the packaged configuration, e.g.
`overrides=["observation=carl_bev", "simulator.towns=[Town03]"]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from sim_adapters.driving_env import DrivingVectorEnv, Observation


def make_embedded_vec(
    num_envs: int = 1, overrides: Sequence[str] = (), seed: int = 0
) -> DrivingVectorEnv:
    """The embedded world as a vector environment, from the packaged configuration.

    Args:
        num_envs: Number of worlds.
        overrides: Hydra overrides, as on the command line of `carl-train`.
        seed: Seed of the routes and everything that happens on them.
    """
    config = compose_training_config(overrides)
    return instantiate(config.env, num_envs=num_envs, seed=seed)


def compose_training_config(overrides: Sequence[str]) -> DictConfig:
    """The packaged configuration with overrides; a caller's own running hydra stays as it is."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("configs", version_base="1.3"):
            return compose("train", overrides=list(overrides))
    finally:
        GlobalHydra.instance().hydra = outer


class DrivingEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One world as a plain gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, overrides: Sequence[str] = (), seed: int = 0) -> None:
        # The last observation of an episode is what `step` must return here.
        self.vector = make_embedded_vec(1, (*overrides, "++env.final_observations=true"), seed)
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self._next_has_begun = False  # the vector environment resets in the step that ends

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next route; with a seed, whatever its value, the first one.

        Which routes there are is up to the `seed` that the environment was made with.
        """
        super().reset(seed=seed)
        has_begun, self._next_has_begun = self._next_has_begun, False
        if has_begun and seed is None:
            return self._first(self.vector.observe()), {}
        observation, info = self.vector.reset(seed=seed, options=options)
        return self._first(observation), info

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Drive one step; `info["reward_terms"]` holds every term by name."""
        actions = np.asarray(action, np.float32)[None]
        observation, reward, terminated, truncated, info = self.vector.step(actions)
        self._next_has_begun = bool(terminated[0] or truncated[0])
        terms = {name: float(value[0]) for name, value in info["reward_terms"].items()}
        flat: dict[str, Any] = {"reward_terms": terms}
        if "episode" in info:
            flat["episode"] = {name: float(value[0]) for name, value in info["episode"].items()}
            observation = info["final_obs"]
        return (
            self._first(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            flat,
        )

    def close(self) -> None:
        """Release the simulator."""
        self.vector.close()

    def _first(self, observation: Observation) -> Observation:
        return {name: array[0].copy() for name, array in observation.items()}
