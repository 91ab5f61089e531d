"""Begin by driving: `python -m evaluation.imitate experiment=driver` learns another driver's acts.

Reinforcement learning from scratch first learns to stand still where failures are dear; a policy
that starts as a copy of the rule-based driver already arrives, and improves on it. DAgger (Ross et
al. 2011): the pupil drives more and more of the worlds itself, the teacher says at every step what
it would have done, so the pupil also learns the way back from its own mistakes. The critic learns
the returns of what is driven. See configs/imitate.yaml.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from carl_planner import checkpoint as checkpoints
from carl_planner.collector import Collector
from carl_planner.distributed import ProcessGroup
from carl_planner.features import Observation
from carl_planner.grid_distribution import GridDistribution
from carl_planner.learner import Learner
from carl_planner.metrics import MetricsWriter
from carl_planner.policy import ActionDistribution, ActorCritic, SampledActions
from carl_planner.progress_display import ProgressDisplay
from carl_planner.run_folder import checkpoint_path, locked_folder
from carl_planner.training_run import FINAL, StopSignal
from evaluation.drivers.driver import Driver, driver_command
from sim_adapters.driving.env import DrivingVectorEnv

log = logging.getLogger(__name__)
LEAST_TEACHER_SHARE = 0.1  # of the worlds: what good driving meets is never forgotten


@dataclass(frozen=True, kw_only=True)
class ImitationSettings:
    """See configs/imitate.yaml."""

    num_iterations: int
    epochs: int
    minibatch_size: int
    lr: float
    alone_after: float
    edge: float
    most_concentration: float
    value_coef: float

    def teacher_share(self, iteration: int) -> float:
        """Share of the worlds that the teacher drives itself."""
        taught = self.alone_after * self.num_iterations
        return max(LEAST_TEACHER_SHARE, 1.0 - iteration / max(taught, 1.0))


class TaughtPolicy:
    """Stands in for the policy while collecting; notes what the teacher would do.

    Args:
        policy: The pupil.
        teacher: Knows the scene.
        env: The collector's.
        num_steps: Of a rollout.
    """

    def __init__(
        self, policy: ActorCritic, teacher: Driver, env: DrivingVectorEnv, num_steps: int
    ) -> None:
        self.policy, self.teacher, self.env = policy, teacher, env
        self.taught = np.zeros((num_steps, env.num_envs, 2), np.float32)
        self.teacher_drives: NDArray[np.bool_] = np.ones(env.num_envs, bool)
        self._step = 0

    def begin_rollout(self, teacher_share: float) -> None:
        """Draw anew who drives which world."""
        self._step = 0
        self.teacher_drives = np.random.random(self.env.num_envs) < teacher_share

    def act(self, observation: Observation) -> SampledActions:
        """Actions of both, each in its worlds."""
        sampled = self.policy.act(observation)
        begun = np.flatnonzero(self.env.episodes.length == 0)
        self.teacher.begin_episodes(begun, self.env.worlds)
        taught = np.asarray(self.teacher.act(self.env.worlds), np.float32)
        self.taught[self._step] = taught
        self._step += 1
        mask = torch.from_numpy(self.teacher_drives)[:, None].to(sampled.action.device)
        action = torch.where(mask, torch.from_numpy(taught).to(mask.device), sampled.action)
        return sampled._replace(action=action)

    def value(self, observation: Observation) -> Tensor:
        """The pupil's critic."""
        return self.policy.value(observation)


def imitation_loss(
    distribution: ActionDistribution, taught: Tensor, settings: ImitationSettings
) -> Tensor:
    """Mean negative log-likelihood of the teacher's actions, (N, actions), and the spread's bound.

    A teacher that always does the same would be learned with ever sharper Betas, which explore
    nothing afterwards: concentrations beyond the bound cost their square.
    """
    if isinstance(distribution, GridDistribution):
        return distribution.imitation_loss(taught).mean()
    inside = taught.clamp(-1.0 + settings.edge, 1.0 - settings.edge)
    total = distribution.alpha + distribution.beta
    beyond = (total / settings.most_concentration - 1.0).clamp_min(0.0)
    return -distribution.log_prob(inside).mean() + beyond.square().sum(-1).mean()


class Imitation:
    """Trains a learner's policy to act as a teacher.

    Args:
        learner: Its environment shows its scene, as the embedded one does.
        teacher: Whose actions are learned.
        settings: See configs/imitate.yaml.

    Raises:
        ValueError: the environment's scene is not in this process.
    """

    def __init__(self, learner: Learner, teacher: Driver, settings: ImitationSettings) -> None:
        if not isinstance(learner.env, DrivingVectorEnv):
            raise ValueError(
                "imitation needs one environment, in this process: simulator=embedded, "
                "ppo.collect_parts=1"
            )
        self.learner, self.settings = learner, settings
        buffer = learner.buffer
        self.pupil = TaughtPolicy(learner.policy, teacher, learner.env, buffer.num_steps)
        self.collector = Collector(
            learner.env,
            self.pupil,  # pyright: ignore[reportArgumentType] acts and values as a policy does
            buffer,
            bootstrap_on_truncation=learner.settings.bootstrap_on_truncation,
        )
        self.optimizer = torch.optim.Adam(learner.policy.parameters(), lr=settings.lr)

    def run(
        self, stop: StopSignal, display: ProgressDisplay, metrics: MetricsWriter | None = None
    ) -> None:
        """All iterations, or those until the stop."""
        learner, num_samples = self.learner, self.learner.buffer.num_samples
        learner.start()
        self.collector.reset(learner.config.seed)
        for iteration in range(self.settings.num_iterations):
            done = iteration * num_samples
            self.pupil.begin_rollout(self.settings.teacher_share(iteration))
            statistics = self.collector.collect(
                lambda: stop.requested,
                lambda t, done=done: display.collected(done + (t + 1) * learner.num_envs),
            )
            if statistics is None:
                return
            display.updating()
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.lr * (1.0 - iteration / self.settings.num_iterations)
            loss, value_loss = self.learn()
            values = {"losses/imitation": loss, "losses/value": value_loss}
            values |= {
                f"episode/{name}": sum(each) / len(each)
                for name, each in statistics.episodes.items()
                if each
            }
            if metrics is not None:
                metrics.write(done + num_samples, values)
            note = f"imitation {loss:.3f} | critic {value_loss:.3f}"
            for name in ("return", "route_completion"):
                if (value := values.get(f"episode/{name}")) is not None:
                    note += f" | {name.replace('_', ' ')} {value:.1f}"
            display.report(done + num_samples, note)

    def learn(self) -> tuple[float, float]:
        """Epochs over the rollout; mean losses of imitation and critic in the last."""
        settings, buffer = self.settings, self.learner.buffer
        ppo = self.learner.settings
        buffer.finish(gamma=ppo.gamma, gae_lambda=ppo.gae_lambda)
        taught = torch.from_numpy(self.pupil.taught).view(buffer.num_samples, -1)
        losses = torch.zeros(2)
        for _ in range(settings.epochs):
            losses.zero_()
            batches = torch.randperm(buffer.num_samples).split(settings.minibatch_size)
            for indices in batches:
                observation, batch = buffer.fetch(indices)
                distribution, value = self.learner.policy(observation)
                labels = taught[indices].to(value.device)
                loss = imitation_loss(distribution, labels, settings)
                value_loss = (value - batch["return"]).square().mean()
                self.optimizer.zero_grad()
                (loss + settings.value_coef * value_loss).backward()
                torch.nn.utils.clip_grad_norm_(self.learner.policy.parameters(), 1.0)
                self.optimizer.step()
                losses += torch.stack((loss, value_loss)).detach().cpu() / len(batches)
        return float(losses[0]), float(losses[1])


def imitate(config: DictConfig) -> Path:
    """Run the composed config; the checkpoint for `init_from=`.

    Raises:
        ValueError: the folder holds a policy already, or another run writes into it.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    path = folder / FINAL
    if path.exists():
        raise ValueError(f"{path} is there already: choose another output=, or delete it")
    choices = {
        name: str(choice)
        for name, choice in HydraConfig.get().runtime.choices.items()
        if not name.startswith("hydra/")
    }
    teacher: Driver = instantiate(config.driver)
    learner = Learner(config, choices, ProcessGroup())
    if config.init_from is not None:
        learner.init_from(checkpoints.load_checkpoint(checkpoint_path(config.init_from)))
        log.info("beginning with the weights of %s", config.init_from)
    settings: ImitationSettings = instantiate(config.imitation)
    total = settings.num_iterations * learner.buffer.num_samples
    with locked_folder(folder):
        OmegaConf.save(config, folder / "config.yaml")
        metrics = MetricsWriter(folder, samples=0)
        try:
            with StopSignal() as stop, ProgressDisplay(total, 0, visible=True) as display:
                Imitation(learner, teacher, settings).run(stop, display, metrics)
        finally:
            metrics.close()
            learner.env.close()
    checkpoints.save_checkpoint(path, learner.policy_checkpoint())
    log.info("go on with: python -m carl_planner.train experiment=... init_from=%s", path)
    return path


@driver_command("imitate")
def main(config: DictConfig) -> None:
    """Command line."""
    imitate(config)


if __name__ == "__main__":
    main()
