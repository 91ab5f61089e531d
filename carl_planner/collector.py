"""Collects rollouts: one forward pass a step for all environments, everything in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.exploration import Exploration
from carl_planner.policy import ActorCritic
from carl_planner.rollout_buffer import RolloutBuffer
from carl_planner.rollout_env import RolloutEnv, Rows, stacked_final


@dataclass
class RolloutStatistics:
    """What happened during a rollout, besides what the buffer holds."""

    episodes: dict[str, list[float]] = field(default_factory=dict)  # of episodes that ended
    reward_terms: dict[str, float] = field(default_factory=dict)  # mean over all samples
    policy_s: float = 0.0
    env_s: float = 0.0

    def add_episodes(self, info: Mapping[str, Any]) -> None:
        """Take the episodes that ended in this step."""
        for name, values in info.get("finished_episode", {}).items():
            if not name.startswith("_"):
                ended = np.asarray(values)[info["_finished_episode"]]
                self.episodes.setdefault(name, []).extend(ended.tolist())


class Collector:
    """Steps the environment with the policy and fills the buffer.

    Args:
        env: Draws into the buffer's rows.
        policy: Samples the actions.
        buffer: Receives the rollout.
        bootstrap_on_truncation: Ask the critic what a cut-off episode would still have earned.
        exploration: Writes suggestions before the ends of episodes.
    """

    def __init__(
        self,
        env: RolloutEnv,
        policy: ActorCritic,
        buffer: RolloutBuffer,
        *,
        bootstrap_on_truncation: bool,
        exploration: Exploration | None = None,
    ) -> None:
        self.env = env
        self.policy = policy
        self.buffer = buffer
        self.bootstrap_on_truncation = bootstrap_on_truncation
        self.exploration = exploration
        self._returned: Rows = {}
        self._at_start = True
        env.bind(buffer.storage.rows)

    def reset(self, seed: int) -> None:
        """Start the first episodes of `seed`; row 0 then holds their first observations."""
        self._returned, _ = self.env.reset(seed=seed)
        self._at_start = True

    def current_rows(self) -> dict[str, np.ndarray]:
        """Copy of the rows that the next rollout starts from."""
        row = 0 if self._at_start else -1
        return {name: array[row].copy() for name, array in self.buffer.storage.rows.items()}

    def restore_rows(self, rows: Rows) -> None:
        """Go on from rows of a checkpoint; the environment's own state is restored apart."""
        for name, array in self.buffer.storage.rows.items():
            array[-1] = rows[name]
        self.env.rewind()
        self._returned = self.buffer.storage.restore()
        self._at_start = True

    @torch.inference_mode()
    def collect(
        self, should_stop: Callable[[], bool], on_step: Callable[[int], None]
    ) -> RolloutStatistics | None:
        """Fill the buffer, or give up with None as soon as `should_stop`."""
        buffer, storage = self.buffer, self.buffer.storage
        statistics = RolloutStatistics()
        term_sums: dict[str, np.ndarray] = {}
        if not self._at_start:
            self.env.rewind()
        self._at_start = False
        buffer.suggestion[:] = 0
        returned = self._returned
        for t in range(buffer.num_steps):
            started = perf_counter()
            sampled = self.policy.act(storage.current(t, returned))
            action = sampled.action.cpu().numpy()
            buffer.action[t] = action
            if isinstance(sampled.distribution, BetaDistribution):
                buffer.alpha[t] = sampled.distribution.alpha.cpu().numpy()
                buffer.beta[t] = sampled.distribution.beta.cpu().numpy()
            buffer.log_prob[t] = sampled.log_prob.cpu().numpy()
            buffer.value[t] = sampled.value.cpu().numpy()
            acted = perf_counter()
            returned, reward, terminated, truncated, info = self.env.step(action)
            statistics.policy_s += acted - started
            statistics.env_s += perf_counter() - acted
            buffer.reward[t] = reward
            buffer.terminated[t] = terminated
            buffer.truncated[t] = truncated
            buffer.final_value[t] = 0.0
            if self.bootstrap_on_truncation and truncated.any():
                self._value_truncated(t, truncated & ~terminated, info)
            statistics.add_episodes(info)
            if self.exploration is not None:
                self.exploration.write(buffer.suggestion, t, info)
            for name, term in info.get("reward_terms", {}).items():
                if name.startswith("_"):  # gymnasium's own vectors mark who has a term
                    continue
                term_sums[name] = term_sums[name] + term if name in term_sums else term.copy()
            on_step(t)
            if should_stop():
                return None
        self._returned = returned
        last = self.policy.value(storage.current(buffer.num_steps, returned))
        buffer.value[buffer.num_steps] = last.cpu().numpy()
        statistics.reward_terms = {
            name: float(total.mean()) / buffer.num_steps for name, total in term_sums.items()
        }
        return statistics

    def _value_truncated(self, t: int, truncated: np.ndarray, info: Mapping[str, Any]) -> None:
        """Value the last observations of the episodes that were cut off in step t."""
        worlds = np.flatnonzero(truncated & info.get("_final_obs", False))
        if len(worlds) != truncated.sum():
            raise RuntimeError(
                f"{truncated.sum()} episodes were truncated but {len(worlds)} final observations "
                "came: an environment must give them when ppo.bootstrap_on_truncation is set"
            )
        final = {
            name: torch.from_numpy(array).to(self.buffer.device)
            for name, array in stacked_final(info["final_obs"], worlds).items()
        }
        self.buffer.final_value[t, worlds] = self.policy.value(final).cpu().numpy()
