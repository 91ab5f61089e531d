"""One training run: collect, update, log, save, until done or told to stop.

A run stops at the boundary of an iteration. A stop wished for during collection gives the
unfinished rollout up and saves the state before it, so that a resumed run repeats exactly what
an uninterrupted one would have done.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, perf_counter
from types import FrameType
from typing import Any, Self

import torch
from omegaconf import OmegaConf

from carl_planner import checkpoint as checkpoints
from carl_planner.collector import RolloutStatistics
from carl_planner.learner import Learner
from carl_planner.metrics import MetricsWriter, Tracker
from carl_planner.network_compute import torch_threads
from carl_planner.policy import num_trainable_parameters
from carl_planner.ppo import NonFiniteLossError
from carl_planner.progress_display import NOTE_SEPARATOR, ProgressDisplay

# torchrun repeats a terminal's Ctrl-C to its workers at once; a person needs longer.
SECOND_SIGNAL_S = 2.0


class StopSignal:
    """While entered, `requested` becomes True at the first SIGTERM or SIGINT.

    A second SIGINT a while later interrupts at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first_s = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def is_requested(self) -> bool:
        """Whether to stop."""
        return self.requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            self._first_s = monotonic()
            log.warning("%s: stopping and saving", signal.Signals(number).name)
        elif number == signal.SIGINT and monotonic() - self._first_s > SECOND_SIGNAL_S:
            raise KeyboardInterrupt


log = logging.getLogger(__name__)

LATEST = "latest.pt"
BEST = "model_best.pt"
FINAL = "model_final.pt"
# CaRL's best model has the highest mean over this many iterations' mean returns.
BEST_WINDOW = 100


@dataclass
class RunProgress:
    """How far a run has come."""

    update: int = 0  # finished iterations
    samples: int = 0
    elapsed_s: float = 0.0
    kl_stops: int = 0  # updates that ended early, see `PpoSettings.target_kl`
    best_return: float = -math.inf
    recent_returns: list[float] = field(default_factory=list)  # mean return of each iteration


class TrainingRun:
    """Trains a learner.

    Args:
        learner: What is trained, new or restored.
        folder: Of the run.
        progress: How far the run has come.
    """

    def __init__(self, learner: Learner, folder: Path, progress: RunProgress) -> None:
        self.learner = learner
        self.config = learner.config
        self.settings = learner.settings
        self.group = learner.group
        self.folder = folder
        self.progress = progress
        self._last_save = perf_counter()

    def run(self) -> bool:
        """Train; True when the run is complete, False when it was stopped before."""
        if self.group.is_main:
            OmegaConf.save(self.config, self.folder / "config.yaml")
            log.info(
                "%s parameters, %s%s samples in %s iterations, in %s",
                f"{num_trainable_parameters(self.learner.policy):,}",
                "" if self.config.max_minutes is None else "at most ",
                f"{self.settings.num_updates * self.settings.batch_size:,}",
                f"{self.settings.num_updates:,}",
                self.folder,
            )
        metrics = self._metrics_writer() if self.group.is_main else None
        with StopSignal() as stop, self._display() as display:
            try:
                complete = self._loop(stop, display, metrics)
            except NonFiniteLossError as error:
                path = self.folder / f"nan_batch{self._rank_suffix()}.pt"
                error.save(path)
                raise NonFiniteLossError(error.batch, f"; the batch is in {path}") from error
            finally:
                if metrics is not None:
                    metrics.close()
        if complete:
            self._save(self.learner.rank_state(), LATEST, FINAL)
        return complete

    def _display(self) -> ProgressDisplay:
        limit = self.config.max_minutes
        return ProgressDisplay(
            self.settings.num_updates * self.settings.batch_size,
            self.progress.samples,
            visible=self.group.is_main,
            time_limit_s=None if limit is None else 60.0 * limit,
            elapsed_s=self.progress.elapsed_s,
        )

    def _metrics_writer(self) -> MetricsWriter:
        tracker = None
        if self.config.get("tracker") is not None:  # runs of before have no such key
            config = OmegaConf.to_container(self.config, resolve=False)
            assert isinstance(config, dict)
            named = {str(key): value for key, value in config.items()}
            tracker = Tracker(self.config.tracker, self.config.tracker_project, self.folder, named)
        return MetricsWriter(self.folder, samples=self.progress.samples, tracker=tracker)

    def _loop(
        self, stop: StopSignal, display: ProgressDisplay, metrics: MetricsWriter | None
    ) -> bool:
        started = perf_counter() - self.progress.elapsed_s
        while self.progress.update < self.settings.num_updates:
            self.progress.elapsed_s = perf_counter() - started
            if self.group.any(self._is_out_of_time()):
                log.info("time limit of %s minutes reached", self.config.max_minutes)
                return True
            state = self.learner.rank_state()
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
        with torch_threads(self.config.num_collect_threads):
            return self.learner.collector.collect(
                stop.is_requested, lambda t: display.collected(done + (t + 1) * num_envs)
            )

    def _learn(self, statistics: RolloutStatistics) -> dict[str, float]:
        """Update the policy from the buffer; returns what to log."""
        settings = self.settings
        episodes = _merge_episodes(self.group.gather(statistics.episodes))
        terms = self.group.gather(statistics.reward_terms)
        self._keep_if_best(episodes)
        self.learner.buffer.finish(gamma=settings.gamma, gae_lambda=settings.gae_lambda)
        position = self._schedule_position()
        lr = settings.lr * settings.lr_schedule(position, settings.num_updates)
        lr *= 0.5 ** (self.progress.kl_stops // settings.kl_stops_per_halving)
        self.learner.ppo.set_learning_rate(lr)
        self.learner.ppo.entropy_coef = settings.entropy_coef_at(position / settings.num_updates)
        losses = self.learner.ppo.update(self.learner.buffer)
        self.progress.kl_stops += int(losses["kl_stop"])
        losses |= {
            "learning_rate": lr,
            "explained_variance": self.learner.buffer.explained_variance(),
        }
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
        return float(self.group.broadcast_(position.to(self.learner.buffer.device)))

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
                checkpoints.save_checkpoint(self.folder / BEST, self.learner.policy_checkpoint())

    def _is_out_of_time(self) -> bool:
        limit = self.config.max_minutes
        return limit is not None and self.progress.elapsed_s >= 60.0 * limit

    def _is_save_due(self) -> bool:
        return perf_counter() - self._last_save >= self.config.save_interval_s

    def _save(self, rank_state: dict[str, Any], *names: str) -> None:
        """Write a resumable checkpoint; all ranks take part."""
        ranks = self.group.gather(rank_state)
        self._last_save = perf_counter()
        if not self.group.is_main:
            return
        saved = self.learner.full_checkpoint(ranks, asdict(self.progress))
        for name in names:
            checkpoints.save_checkpoint(self.folder / name, saved)

    def _note(self, values: dict[str, float]) -> str:
        samples = self.settings.batch_size
        parts = [f"{values['time/samples_per_s']:,.0f} samples/s"]
        if "episode/return" in values:
            parts.append(f"return {values['episode/return']:.2f}")
        if "episode/route_completion" in values:
            parts.append(f"route {values['episode/route_completion']:.1f} %")
        parts.append(f"collect {samples / values['time/collect_s']:,.0f}/s")
        parts.append(f"update {samples / values['time/update_s']:,.0f}/s")
        return NOTE_SEPARATOR.join(parts)

    def _rank_suffix(self) -> str:
        return f"_rank{self.group.rank}" if self.group.world_size > 1 else ""


def _merge_episodes(ranks: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    merged: dict[str, list[float]] = {}
    for episodes in ranks:
        for name, values in episodes.items():
            merged.setdefault(name, []).extend(values)
    return merged
