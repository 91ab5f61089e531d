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
from carl_planner.parted_env import parts_of
from carl_planner.policy import ActorCritic
from carl_planner.rollout_buffer import RolloutBuffer
from carl_planner.rollout_env import RolloutEnv, Rows, stacked_final


@dataclass
class RolloutStatistics:
    """What happened during a rollout, besides what the buffer holds."""

    episodes: dict[str, list[float]] = field(default_factory=dict)  # of episodes that ended
    reward_terms: dict[str, float] = field(default_factory=dict)  # mean over all samples
    term_sums: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)  # by part, name
    policy_s: float = 0.0
    env_s: float = 0.0  # waited for steps

    def add_episodes(self, info: Mapping[str, Any]) -> None:
        """Take the episodes that ended in this step."""
        for name, values in info.get("finished_episode", {}).items():
            if not name.startswith("_"):
                ended = np.asarray(values)[info["_finished_episode"]]
                self.episodes.setdefault(name, []).extend(ended.tolist())

    def add_terms(self, part: int, info: Mapping[str, Any]) -> None:
        """Add the reward terms of a part's step, (worlds of the part,) each."""
        sums = self.term_sums.setdefault(part, {})
        for name, term in info.get("reward_terms", {}).items():
            if name.startswith("_"):  # gymnasium's own vectors mark who has a term
                continue
            sums[name] = sums[name] + term if name in sums else term.copy()

    def finish(self, num_steps: int) -> None:
        """Make means over all samples of the sums of the reward terms."""
        parts = list(self.term_sums.values())
        for name in parts[0]:
            total = np.concatenate([sums[name] for sums in parts])
            self.reward_terms[name] = float(total.mean()) / num_steps


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
        self._parts = parts_of(env)
        self._returned: list[Rows] = [{} for _ in self._parts]  # of each part, its last observation
        self._at_start = True
        env.bind(buffer.storage.rows)

    def reset(self, seed: int) -> None:
        """Start the first episodes of `seed`; row 0 then holds their first observations."""
        self._hand_out(self.env.reset(seed=seed)[0])
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
        self._hand_out(self.buffer.storage.restore())
        self._at_start = True

    def _hand_out(self, observation: Rows) -> None:
        """Give each part the observation of its worlds."""
        self._returned = [
            {name: array[part.worlds] for name, array in observation.items()}
            for part in self._parts
        ]

    @torch.inference_mode()
    def collect(
        self, should_stop: Callable[[], bool], on_step: Callable[[int], None]
    ) -> RolloutStatistics | None:
        """Fill the buffer, or give up with None as soon as `should_stop`.

        Of an environment in parts, the policy acts for one while others are on their way.
        """
        buffer = self.buffer
        statistics = RolloutStatistics()
        if not self._at_start:
            self.env.rewind()
        self._at_start = False
        buffer.suggestion[:] = 0
        for t in range(buffer.num_steps):
            for index in range(len(self._parts)):
                if t:
                    self._take(t - 1, index, statistics)
                self._act(t, index, statistics)
            on_step(t)
            if should_stop():
                for part in self._parts:
                    part.wait()
                return None
        for index, part in enumerate(self._parts):
            self._take(buffer.num_steps - 1, index, statistics)
            last = buffer.storage.current(buffer.num_steps, self._returned[index], part.worlds)
            buffer.value[buffer.num_steps, part.worlds] = self.policy.value(last).cpu().numpy()
        statistics.finish(buffer.num_steps)
        return statistics

    def _act(self, t: int, index: int, statistics: RolloutStatistics) -> None:
        """Decide for a part and begin its step."""
        buffer, part = self.buffer, self._parts[index]
        started, at = perf_counter(), (t, part.worlds)
        sampled = self.policy.act(buffer.storage.current(t, self._returned[index], part.worlds))
        action = sampled.action.cpu().numpy()
        buffer.action[at] = action
        if isinstance(sampled.distribution, BetaDistribution):
            buffer.alpha[at] = sampled.distribution.alpha.cpu().numpy()
            buffer.beta[at] = sampled.distribution.beta.cpu().numpy()
        buffer.log_prob[at] = sampled.log_prob.cpu().numpy()
        buffer.value[at] = sampled.value.cpu().numpy()
        acted = perf_counter()
        part.start(action)
        statistics.policy_s += acted - started
        statistics.env_s += perf_counter() - acted

    def _take(self, t: int, index: int, statistics: RolloutStatistics) -> None:
        """Wait for a part's step t and keep what it has brought."""
        buffer, part = self.buffer, self._parts[index]
        started, at = perf_counter(), (t, part.worlds)
        self._returned[index], reward, terminated, truncated, info = part.wait()
        statistics.env_s += perf_counter() - started
        buffer.reward[at] = reward
        buffer.terminated[at] = terminated
        buffer.truncated[at] = truncated
        buffer.final_value[at] = 0.0
        if self.bootstrap_on_truncation and truncated.any():
            self._value_truncated(buffer.final_value[at], truncated & ~terminated, info)
        statistics.add_episodes(info)
        statistics.add_terms(index, info)
        if self.exploration is not None:
            self.exploration.write(buffer.suggestion[:, part.worlds], t, info)

    def _value_truncated(
        self, final_value: np.ndarray, truncated: np.ndarray, info: Mapping[str, Any]
    ) -> None:
        """Value the last observations of the episodes that a step has cut off."""
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
        final_value[worlds] = self.policy.value(final).cpu().numpy()
