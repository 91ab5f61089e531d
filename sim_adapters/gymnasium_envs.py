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
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from sim_adapters.driving.env import DrivingVectorEnv, Observation
from sim_adapters.driving.world_scenarios import checked_seed

RENDER_MODES = ("rgb_array",)


def make_embedded_vec(
    num_envs: int = 1,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    render_mode: str | None = None,
) -> DrivingVectorEnv:
    """The embedded world as a vector environment, from the packaged configuration.

    Args:
        num_envs: Number of worlds.
        overrides: Hydra overrides, as on the command line of `carl-train`.
        seed: Of the routes and everything that happens on them, until `reset` gets another; drawn
            at random if not given.
        render_mode: "rgb_array" lets `render` draw.
    """
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"render_mode={render_mode!r}: expected None or one of {RENDER_MODES}")
    seed = checked_seed(np_random()[1] if seed is None else seed)
    config = compose_training_config(("++env.final_observations=true", *overrides))
    env: DrivingVectorEnv = instantiate(config.env, num_envs=num_envs, seed=seed)
    env.render_mode = render_mode
    return env


def compose_training_config(overrides: Sequence[str]) -> DictConfig:
    """The packaged configuration of a training with overrides."""
    return compose_config("train", overrides)


def compose_config(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """A command's packaged configuration; a caller's own running hydra stays as it is."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("configs", version_base="1.3"):
            return compose(name, overrides=list(overrides))
    finally:
        GlobalHydra.instance().hydra = outer


class DrivingEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One world as a plain gymnasium environment; arguments as `make_embedded_vec`."""

    metadata = {"render_modes": list(RENDER_MODES)}  # noqa: RUF012

    def __init__(
        self,
        overrides: Sequence[str] = (),
        seed: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.vector = make_embedded_vec(1, overrides, seed, render_mode)
        self.vector.autoreset = False  # a caller of one world resets it himself
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self.vector.metadata["render_fps"]}
        self._is_running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next route; with a seed, the first one of that seed."""
        super().reset(seed=seed)
        observation, info = self.vector.reset(seed=seed, options=options)
        self._is_running = True
        return self._first(observation), info

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Drive one step; `info["reward_terms"]` holds every term by name.

        Raises:
            ResetNeeded: no episode is running.
            ValueError: the action is not two finite numbers.
        """
        if not self._is_running:
            raise ResetNeeded("no episode is running, the last one has ended: call reset()")
        observation, reward, terminated, truncated, info = self.vector.step(_batch_of_one(action))
        self._is_running = not (terminated[0] or truncated[0])
        groups = ("reward_terms", "finished_episode")
        flat = {
            group: {name: float(value[0]) for name, value in info[group].items()}
            for group in groups
            if group in info
        }
        return (
            self._first(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            flat,
        )

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A bird's-eye picture, (H, W, 3), heading up; None without a `render_mode`."""
        pictures = self.vector.render()
        return None if pictures is None else pictures[0]

    def close(self) -> None:
        """Release the simulator."""
        self.vector.close()

    def _first(self, observation: Observation) -> Observation:
        return {name: array[0].copy() for name, array in observation.items()}


def _batch_of_one(action: Any) -> NDArray[Any]:
    array = np.asarray(action)
    if array.shape != (2,):
        raise ValueError(
            f"the action is {array.dtype} {array.shape}, expected float32 (2,): numbers in [-1, 1]"
        )
    return array[None]
