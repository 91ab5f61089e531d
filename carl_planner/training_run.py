"""One training run: collect, update, log, save, until done or told to stop.

A run stops at the boundary of an iteration. A stop wished for during collection gives the
unfinished rollout up and saves the state before it, so that a resumed run repeats exactly what
an uninterrupted one would have done.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import hydra.utils
import numpy as np
import torch
from gymnasium import spaces
from omegaconf import DictConfig, OmegaConf

from carl_planner import checkpoint as checkpoints
from carl_planner.checkpoint import Checkpoint, CheckpointError
from carl_planner.collector import Collector, RolloutStatistics
from carl_planner.cpu_memory import keep_freed_memory
from carl_planner.distributed import ProcessGroup, choose_device
from carl_planner.metrics import MetricsWriter
from carl_planner.observation_storage import make_storage
from carl_planner.policy import ActorCritic, num_trainable_parameters
from carl_planner.ppo import NonFiniteLossError, Ppo, PpoSettings
from carl_planner.progress_display import ProgressDisplay
from carl_planner.rollout_buffer import RolloutBuffer
from carl_planner.rollout_env import as_rollout_env, can_be_saved
from carl_planner.stop_signal import StopSignal

log = logging.getLogger(__name__)

LATEST = "latest.pt"
BEST = "model_best.pt"
FINAL = "model_final.pt"
# CaRL's best model has the highest mean over this many iterations' mean returns.
BEST_WINDOW = 100


@dataclass
class Progress:
    """How far a run has come."""

    update: int = 0  # finished iterations
    samples: int = 0
    elapsed_s: float = 0.0
    best_return: float = -math.inf
    recent_returns: list[float] = field(default_factory=list)  # mean return of each iteration


class TrainingRun:
    """Builds everything a config names and trains.

    Args:
        config: As composed by hydra, see configs/train.yaml.
        choices: Chosen option of each config group, kept in checkpoints.
        folder: Of the run.
        group: Processes of the run.
        resumed: Checkpoint to go on from.
    """

    def __init__(
        self,
        config: DictConfig,
        choices: dict[str, str],
        folder: Path,
        group: ProcessGroup,
        resumed: Checkpoint | None,
    ) -> None:
        self.config = config
        self.choices = choices
        self.folder = folder
        device = choose_device(config.device, group)
        self.group = group.with_device(device)
        if device.type == "cpu":
            keep_freed_memory()
        if config.num_threads is not None:
            torch.set_num_threads(config.num_threads)
        torch.manual_seed(config.seed + group.rank)
        np.random.seed(config.seed + group.rank)
        self.settings: PpoSettings = hydra.utils.instantiate(config.ppo)
        self.settings.check_ranks(group.world_size)
        num_envs = self.settings.num_envs // group.world_size
        env = hydra.utils.instantiate(
            config.env, num_envs=num_envs, rank=group.rank, seed=config.seed
        )
        self.env = as_rollout_env(env)
        self.observation_space: spaces.Dict = self.env.single_observation_space
        self.policy: ActorCritic = hydra.utils.instantiate(
            config.policy,
            observation_space=self.observation_space,
            action_space=self.env.single_action_space,
        ).to(device)
        self.ppo = Ppo(self.policy, self.settings, self.group)
        num_steps = self.settings.num_steps
        self.buffer = RolloutBuffer(
            make_storage(
                self.settings.rollout_storage, self.env, num_steps=num_steps, device=device
            ),
            num_steps=num_steps,
            num_envs=num_envs,
            num_actions=self.env.single_action_space.shape[0],
            device=device,
        )
        self.collector = Collector(
            self.env,
            self.policy,
            self.buffer,
            bootstrap_on_truncation=self.settings.bootstrap_on_truncation,
        )
        self.progress = Progress()
        self._last_save = perf_counter()
        if resumed is not None:
            self._restore(resumed)
        else:
            self.collector.reset(config.seed + group.rank * num_envs)
        self.ppo.synchronize()

    def run(self) -> bool:
        """Train; True when the run is complete, False when it was stopped before."""
        if self.group.is_main:
            OmegaConf.save(self.config, self.folder / "config.yaml")
            log.info(
                "%s parameters, %s samples in %s iterations, in %s",
                f"{num_trainable_parameters(self.policy):,}",
                f"{self.settings.num_updates * self.settings.batch_size:,}",
                f"{self.settings.num_updates:,}",
                self.folder,
            )
        metrics = (
            MetricsWriter(self.folder, samples=self.progress.samples)
            if self.group.is_main
            else None
        )
        total = self.settings.num_updates * self.settings.batch_size
        with (
            StopSignal() as stop,
            ProgressDisplay(total, self.progress.samples, visible=self.group.is_main) as display,
        ):
            try:
                complete = self._loop(stop, display, metrics)
            except NonFiniteLossError as error:
                path = self.folder / f"nan_batch{self._rank_suffix()}.pt"
                error.save(path)
                raise RuntimeError(
                    f"{error}. The batch is in {path}; the last good state in "
                    f"{self.folder / LATEST}"
                ) from error
            finally:
                if metrics is not None:
                    metrics.close()
        if complete:
            self._save(self._rank_state(), LATEST, FINAL)
        return complete

    def _loop(
        self, stop: StopSignal, display: ProgressDisplay, metrics: MetricsWriter | None
    ) -> bool:
        started = perf_counter() - self.progress.elapsed_s
        while self.progress.update < self.settings.num_updates:
            self.progress.elapsed_s = perf_counter() - started
            if self.group.any(self._is_out_of_time()):
                log.info("time limit of %s minutes reached", self.config.max_minutes)
                return True
            state = self._rank_state()
            if self.group.any(self.group.is_main and self._is_save_due()):
                self._save(state, LATEST)
            began = perf_counter()
            statistics = self._collect(stop, display)
            if self.group.any(statistics is None or stop.requested):
                self._save(state, LATEST)
                return False
            assert statistics is not None
            collected = perf_counter()
            display.updating()
            values = self._learn(statistics)
            updated = perf_counter()
            self.progress.update += 1
            self.progress.samples += self.settings.batch_size
            values |= {
                "time/collect_s": collected - began,
                "time/policy_s": statistics.policy_s,
                "time/env_s": statistics.env_s,
                "time/update_s": updated - collected,
                "time/samples_per_s": self.settings.batch_size / (updated - began),
            }
            if metrics is not None:
                metrics.write(self.progress.samples, values)
            display.report(self.progress.samples, self._note(values))
        return True

    def _collect(self, stop: StopSignal, display: ProgressDisplay) -> RolloutStatistics | None:
        done, num_envs = self.progress.samples, self.settings.num_envs
        return self.collector.collect(
            stop.is_requested, lambda t: display.collected(done + (t + 1) * num_envs)
        )

    def _learn(self, statistics: RolloutStatistics) -> dict[str, float]:
        """Update the policy from the buffer; returns what to log."""
        settings = self.settings
        episodes = _merge_episodes(self.group.gather(statistics.episodes))
        terms = self.group.gather(statistics.reward_terms)
        self._keep_if_best(episodes)
        self.buffer.finish(gamma=settings.gamma, gae_lambda=settings.gae_lambda)
        lr = settings.lr * settings.lr_schedule(self._schedule_position(), settings.num_updates)
        self.ppo.set_learning_rate(lr)
        losses = self.ppo.update(self.buffer)
        losses |= {"learning_rate": lr, "explained_variance": self.buffer.explained_variance()}
        return (
            {f"losses/{name}": value for name, value in losses.items()}
            | {f"reward/{name}": sum(t[name] for t in terms) / len(terms) for name in terms[0]}
            | {f"episode/{name}": sum(v) / len(v) for name, v in episodes.items() if v}
            | {"episode/num_episodes": float(len(episodes.get("return", [])))}
        )

    def _schedule_position(self) -> float:
        """Updates done, or more if the time limit will end the run before the last one."""
        update = float(self.progress.update)
        if self.config.max_minutes is None or not self.config.schedule_by_time:
            return update
        share = self.progress.elapsed_s / (60.0 * self.config.max_minutes)
        position = torch.tensor(max(update, share * self.settings.num_updates))
        return float(self.group.broadcast_(position.to(self.buffer.device)))

    def _keep_if_best(self, episodes: dict[str, list[float]]) -> None:
        """Save the policy that collected, when its returns are the best so far."""
        returns = episodes.get("return", [])
        if not returns:
            return
        progress = self.progress
        recent = deque(progress.recent_returns, maxlen=BEST_WINDOW)
        recent.append(sum(returns) / len(returns))
        progress.recent_returns = list(recent)
        mean = sum(recent) / len(recent)
        if mean > progress.best_return:
            progress.best_return = mean
            if self.group.is_main:
                checkpoints.save_checkpoint(self.folder / BEST, self._policy_checkpoint())

    def _is_out_of_time(self) -> bool:
        limit = self.config.max_minutes
        return limit is not None and self.progress.elapsed_s >= 60.0 * limit

    def _is_save_due(self) -> bool:
        return perf_counter() - self._last_save >= self.config.save_interval_s

    def _policy_checkpoint(self) -> Checkpoint:
        config = OmegaConf.to_container(self.config, resolve=False)
        assert isinstance(config, dict)
        return Checkpoint(
            policy=self.policy.state_dict(),
            config={str(key): value for key, value in config.items()},
            choices=self.choices,
            observation_spec=checkpoints.describe_space(self.observation_space),
            action_spec={"shape": list(self.env.single_action_space.shape)},
        )

    def _rank_state(self) -> dict[str, Any]:
        """What this rank needs to repeat the next iteration."""
        state: dict[str, Any] = {
            "rng": checkpoints.rng_state(),
            "rows": self.collector.current_rows(),
        }
        if can_be_saved(self.env):
            state["env"] = self.env.state_dict()  # pyright: ignore[reportAttributeAccessIssue]
        return state

    def _save(self, rank_state: dict[str, Any], *names: str) -> None:
        """Write a resumable checkpoint; all ranks take part."""
        ranks = self.group.gather(rank_state)
        self._last_save = perf_counter()
        if not self.group.is_main:
            return
        saved = self._policy_checkpoint()
        saved.optimizer = self.ppo.optimizer.state_dict()
        saved.progress = asdict(self.progress)
        saved.ranks = ranks
        for name in names:
            checkpoints.save_checkpoint(self.folder / name, saved)

    def _restore(self, resumed: Checkpoint) -> None:
        if not resumed.is_resumable:
            raise CheckpointError(f"the checkpoint holds a policy only: resume from {LATEST}")
        if len(resumed.ranks) != self.group.world_size:
            raise CheckpointError(
                f"the checkpoint was written by {len(resumed.ranks)} processes, this run has "
                f"{self.group.world_size}: start as many"
            )
        checkpoints.check_observation(resumed, self.observation_space)
        self.policy.load_state_dict(resumed.policy)
        self.ppo.optimizer.load_state_dict(resumed.optimizer)
        self.progress = Progress(**resumed.progress)
        state = resumed.ranks[self.group.rank]
        if "env" in state:
            self.env.load_state_dict(state["env"])  # pyright: ignore[reportAttributeAccessIssue]
            self.collector.restore_rows(state["rows"])
        else:
            log.warning("the environment keeps no state: its episodes start anew")
            self.collector.reset(self.config.seed + self.progress.samples + self.group.rank)
        checkpoints.restore_rng_state(state["rng"])

    def _note(self, values: dict[str, float]) -> str:
        samples = self.settings.batch_size
        note = (
            f"{values['time/samples_per_s']:,.0f} samples/s "
            f"(collect {samples / values['time/collect_s']:,.0f}, "
            f"update {samples / values['time/update_s']:,.0f})"
        )
        if "episode/return" in values:
            note += f" | return {values['episode/return']:.2f}"
        if "episode/route_completion" in values:
            note += f" | route completion {values['episode/route_completion']:.1f}"
        return note

    def _rank_suffix(self) -> str:
        return f"_rank{self.group.rank}" if self.group.world_size > 1 else ""


def _merge_episodes(ranks: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    merged: dict[str, list[float]] = {}
    for episodes in ranks:
        for name, values in episodes.items():
            merged.setdefault(name, []).extend(values)
    return merged
