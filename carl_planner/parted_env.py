"""An environment in parts, each stepped by a thread of its own while the policy acts for others.

Kernels and GPUs run without the GIL, so the steps of some parts and the forward pass of another
take the time of the longer one. Worlds, routes and rows are those of one environment of them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from carl_planner.rollout_env import RolloutEnv, Rows, StepResult, can_be_saved, prepare


class EnvPart:
    """Some worlds of an environment: an environment of their own, stepped at once or by a thread.

    Args:
        env: Of these worlds.
        worlds: Their place among all.
        threaded: Step by a thread.
    """

    def __init__(self, env: RolloutEnv, worlds: slice, *, threaded: bool) -> None:
        self.env, self.worlds = env, worlds
        self._thread = ThreadPoolExecutor(1, "env-step") if threaded else None
        self._result: StepResult | Future[StepResult] | None = None

    def start(self, actions: np.ndarray) -> None:
        """Begin a step, or do it where there is no thread."""
        if self._thread is None:
            self._result = self.env.step(actions)
        else:
            self._result = self._thread.submit(self.env.step, actions)

    def wait(self) -> StepResult:
        """What the step that was begun last has brought; its errors are raised here."""
        result, self._result = self._result, None
        assert result is not None
        return result.result() if isinstance(result, Future) else result

    def close(self) -> None:
        """End the thread and the environment."""
        if self._thread is not None:
            self._thread.shutdown()
        self.env.close()


class PartedEnv:
    """A `RolloutEnv` of parts that are stepped apart, by whoever collects.

    Args:
        envs: Environments of as many worlds each, in the order of their worlds.
    """

    def __init__(self, envs: Sequence[RolloutEnv]) -> None:
        size = envs[0].num_envs
        self.parts = [
            EnvPart(env, slice(i * size, (i + 1) * size), threaded=True)
            for i, env in enumerate(envs)
        ]
        self._envs: list[Any] = list(envs)  # with what not every `RolloutEnv` has
        self.num_envs = size * len(envs)
        self.single_observation_space = envs[0].single_observation_space
        self.single_action_space = envs[0].single_action_space
        for name in ("stored_space", "redraw"):  # where the parts have them
            if hasattr(envs[0], name):
                setattr(self, name, getattr(envs[0], name))
        if hasattr(envs[0], "hand_over_painting"):
            self.hand_over_painting = self._hand_over_painting
        if all(can_be_saved(env) for env in envs):
            self.state_dict, self.load_state_dict = self._state_dict, self._load_state_dict

    def bind(self, rows: Rows) -> None:
        """Give each part the columns of its worlds."""
        for part in self.parts:
            part.env.bind({name: array[:, part.worlds] for name, array in rows.items()})

    def rewind(self) -> None:
        """Copy row T to row 0 and go on from there."""
        for env in self._envs:
            env.rewind()

    def reset(self, *, seed: int | None = None) -> tuple[Rows, dict[str, Any]]:
        """Start all episodes."""
        observations: list[Rows] = [env.reset(seed=seed)[0] for env in self._envs]
        names = observations[0]
        return {n: np.concatenate([each[n] for each in observations]) for n in names}, {}

    def step(self, actions: np.ndarray, /) -> StepResult:
        """Not asked of it: a collector steps the parts."""
        raise NotImplementedError("step the parts of a PartedEnv")

    def prepare(self) -> None:
        """Let the parts compile, one after the other: the first compiles for all."""
        for env in self._envs:
            prepare(env)

    def close(self) -> None:
        """Release everything."""
        for part in self.parts:
            part.close()

    def _hand_over_painting(self, device: Any) -> Any:
        """The painter of the first part; all of them stop painting."""
        painters = [env.hand_over_painting(device) for env in self._envs]
        return painters[0]

    def _state_dict(self) -> dict[str, Any]:
        return {f"part{i}": env.state_dict() for i, env in enumerate(self._envs)}

    def _load_state_dict(self, state: Mapping[str, Any]) -> None:
        for i, env in enumerate(self._envs):
            env.load_state_dict(state[f"part{i}"])


def num_saved_parts(state: Mapping[str, Any]) -> int:
    """How many parts the environment had that a state was saved of."""
    return max(1, sum(name.startswith("part") for name in state))


def parts_of(env: RolloutEnv) -> list[EnvPart]:
    """What a collector steps: the parts of an environment, or all of it at once."""
    if isinstance(env, PartedEnv):
        return env.parts
    return [EnvPart(env, slice(0, env.num_envs), threaded=False)]


def make_parts(
    make_env: Callable[[int, int], RolloutEnv], num_envs: int, rank: int, num_parts: int
) -> RolloutEnv:
    """A rank's worlds in parts, or in one environment.

    Args:
        make_env: Called with a number of worlds and a rank, of which a process has one a part.
        num_envs: Worlds of this process.
        rank: Of this process.
        num_parts: 1 is an environment without threads.

    Raises:
        ValueError: the worlds do not split evenly.
    """
    if num_parts == 1:
        return make_env(num_envs, rank)
    if num_parts < 1 or num_envs % num_parts:
        raise ValueError(
            f"ppo.collect_parts is {num_parts}, and the {num_envs} worlds of a process do not "
            "split into so many parts"
        )
    first = rank * num_parts
    return PartedEnv([make_env(num_envs // num_parts, first + i) for i in range(num_parts)])
