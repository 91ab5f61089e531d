"""Train another library's PPO on our environment.

    pip install stable-baselines3
    python docs/examples/stable_baselines3_ppo.py

Stable-Baselines3 has its own vector interface (`VecEnv`); the adapter below is all it takes. The
batched environment stays one object: no process per world, no copy on the way in.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecEnv, VecMonitor
except ModuleNotFoundError:
    raise SystemExit("error: run pip install stable-baselines3 first") from None

import sim_adapters  # noqa: F401  (makes the id known to gymnasium)


class Sb3VecEnv(VecEnv):
    """A gymnasium vector environment with SAME_STEP autoreset as an SB3 `VecEnv`."""

    def __init__(self, envs: gymnasium.vector.VectorEnv) -> None:
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.envs = envs
        self._actions: np.ndarray | None = None

    def reset(self) -> dict[str, np.ndarray]:
        return self._copy(self.envs.reset()[0])

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict]]:
        observation, reward, terminated, truncated, info = self.envs.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for world in np.flatnonzero(done):
            infos[world]["terminal_observation"] = info["final_obs"][world]
            infos[world]["TimeLimit.truncated"] = bool(truncated[world] and not terminated[world])
            completion = info["finished_episode"]["route_completion"][world]
            infos[world]["route_completion"] = float(completion)
        return self._copy(observation), reward, done, infos

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        return [getattr(self.envs, method_name)(*args, **kwargs)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    @staticmethod
    def _copy(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # SB3 keeps the last observation while the environment draws the next one in place.
        return {name: array.copy() for name, array in observation.items()}


def main() -> None:
    """PPO on 64 worlds for a few minutes."""
    envs = gymnasium.make_vec(
        "CarlPlanner/Embedded-v0",
        num_envs=64,
        overrides=["experiment=demo"],
    )
    learner = PPO(
        "MultiInputPolicy",
        VecMonitor(Sb3VecEnv(envs), info_keywords=("route_completion",)),
        n_steps=64,
        batch_size=1024,
        n_epochs=3,
        learning_rate=2.5e-4,
        verbose=1,
        device="cpu",
    )
    learner.learn(total_timesteps=500_000)


if __name__ == "__main__":
    main()
