"""Proximal policy optimisation (Schulman et al. 2017) as CaRL runs it.

One global minibatch may be split over ranks and, within a rank, into micro-batches; the step
taken is the same up to rounding. Gradients live in one flat buffer, so that averaging them over
ranks is a single collective (at 2M parameters there is nothing to overlap it with).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.distributed import ProcessGroup
from carl_planner.exploration import Exploration, exploration_loss_sum
from carl_planner.network_compute import check_compute
from carl_planner.policy import ActionDistribution, ActorCritic
from carl_planner.rollout_buffer import RolloutBuffer, TensorDict


class FlatGradients:
    """Gives all trainable parameters gradients that are slices of `flat`.

    Zeroing, averaging over ranks and clipping then take one operation each.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        total = sum(parameter.numel() for parameter in trainable)
        self.flat = torch.zeros(total, device=trainable[0].device)
        offset = 0
        for parameter in trainable:
            # Same strides as the parameter: channels_last kernels keep their layout.
            parameter.grad = self.flat.as_strided(parameter.shape, parameter.stride(), offset)
            offset += parameter.numel()

    def zero(self) -> None:
        """Forget all gradients; the slices stay in place."""
        self.flat.zero_()

    def clip_norm(self, max_norm: float) -> float:
        """Scale down to a global L2 norm of at most `max_norm`; returns the norm before."""
        norm = float(torch.linalg.vector_norm(self.flat))
        if norm > max_norm:
            self.flat.mul_(max_norm / (norm + 1e-6))
        return norm


@dataclass(frozen=True, kw_only=True)
class PpoSettings:
    """Hyper-parameters; sizes are global, over all ranks."""

    total_samples: int  # environment steps of the whole run
    num_envs: int
    num_steps: int  # per environment and iteration
    minibatch_size: int
    epochs: int
    micro_batch_size: int | None  # per rank, to fit memory; None takes a minibatch whole
    lr: float
    lr_schedule: Callable[[float, int], float]
    adam_eps: float
    gamma: float
    gae_lambda: float
    bootstrap_on_truncation: bool
    clip_range: float
    value_clip_range: float | None
    normalize_advantage: bool
    entropy_coef: float
    value_coef: float
    max_grad_norm: float
    target_kl: float | None  # stop an update's epochs when KL(old || new) exceeds it
    kl_stops_per_halving: int  # so many such stops halve the learning rate
    exploration: Exploration | None  # Roach's additional loss
    rollout_storage: str  # "pixels" or "scene"
    paint_on: str = "cpu"  # or "gpu": stored scenes become pictures where they are learned from
    final_entropy_coef: float | None = None  # reached linearly at the run's end; None: constant
    collect_parts: int = 1  # of a process's worlds: threads step some while the policy acts for one
    precision: str = "float32"  # of the shared features, see `network_compute.set_compute`
    compile_mode: str | None = None  # of torch.compile, likewise

    def __post_init__(self) -> None:
        for name in ("total_samples", "num_envs", "num_steps", "minibatch_size", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"ppo.{name} is {getattr(self, name)}, expected 1 or more")
        check_compute(self.precision, self.compile_mode)
        if self.batch_size % self.minibatch_size:
            raise ValueError(
                f"a batch of {self.num_envs} envs x {self.num_steps} steps = {self.batch_size} "
                f"does not divide into minibatches of {self.minibatch_size}: "
                "change ppo.minibatch_size"
            )

    @property
    def batch_size(self) -> int:
        """Samples of one iteration."""
        return self.num_envs * self.num_steps

    @property
    def num_updates(self) -> int:
        """Iterations of the run; CaRL drops the incomplete last one."""
        return max(1, self.total_samples // self.batch_size)

    def entropy_coef_at(self, share: float) -> float:
        """Weight of the entropy after a share of the run in [0, 1]."""
        if self.final_entropy_coef is None:
            return self.entropy_coef
        share = min(max(share, 0.0), 1.0)
        return (1.0 - share) * self.entropy_coef + share * self.final_entropy_coef

    def check_ranks(self, world_size: int) -> None:
        """Refuse sizes that do not split evenly over ranks."""
        for name in ("num_envs", "minibatch_size"):
            size = getattr(self, name)
            if size % world_size:
                raise ValueError(
                    f"ppo.{name} is {size} and does not split over {world_size} processes"
                )


class LossSums(NamedTuple):
    """Sums over samples, to be divided by their number."""

    policy: Tensor
    value: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor
    kl: Tensor  # exact KL(old || new), zero without a `target_kl`
    exploration: Tensor  # zero without `exploration`


class NonFiniteLossError(RuntimeError):
    """A loss or its gradient is not a finite number.

    Args:
        batch: The minibatch that caused it.
        where: What to add to the message, such as the file that holds the batch.
    """

    def __init__(self, batch: TensorDict, where: str = "") -> None:
        broken = [k for k, v in batch.items() if v.is_floating_point() and not v.isfinite().all()]
        cause = (
            f"{', '.join(broken)} of its minibatch is not"
            if broken
            else "its whole minibatch is, so the network diverged: lower ppo.lr"
        )
        super().__init__(f"the loss or its gradient is not finite; {cause}{where}")
        self.batch = batch

    def save(self, path: Path) -> None:
        """Write the batch for inspection with torch.load."""
        torch.save({name: tensor.cpu() for name, tensor in self.batch.items()}, path)


class Ppo:
    """Improves a policy from rollouts.

    Args:
        policy: Trained in place.
        settings: Hyper-parameters.
        group: Ranks that share each minibatch.
    """

    def __init__(self, policy: ActorCritic, settings: PpoSettings, group: ProcessGroup) -> None:
        settings.check_ranks(group.world_size)
        if policy.num_levels and (settings.target_kl is not None or settings.exploration):
            raise ValueError(
                "ppo.target_kl and ppo.exploration compare Betas, this policy has action_levels: "
                "set both to null"
            )
        self.policy = policy
        self.settings = settings
        self.group = group
        # Adam sees the frozen parameters too: released optimiser states count them.
        self.optimizer = torch.optim.Adam(
            policy.parameters(), lr=settings.lr, eps=settings.adam_eps, fused=True
        )
        self.gradients = FlatGradients(policy.parameters())
        self.entropy_coef = settings.entropy_coef  # of the next update

    def synchronize(self) -> None:
        """Give every rank the parameters of rank 0."""
        for parameter in self.policy.parameters():
            self.group.broadcast_(parameter.data)

    def set_learning_rate(self, lr: float) -> None:
        """Use `lr` from the next step on."""
        for param_group in self.optimizer.param_groups:
            param_group["lr"] = lr

    def update(self, rollout: RolloutBuffer) -> dict[str, float]:
        """Several epochs of minibatch steps over the rollout.

        Returns:
            Mean losses over all samples seen, by name, equal on all ranks.
        """
        local_size = self.settings.minibatch_size // self.group.world_size
        totals = torch.zeros(len(LossSums._fields), device=rollout.device)
        grad_norm = 0.0
        num_steps = 0
        kl_stop = False
        for _ in range(self.settings.epochs):
            before_epoch = totals.clone()
            minibatches = torch.randperm(rollout.num_samples).view(-1, local_size)
            moments = self.advantage_moments(rollout.flat("advantage"), minibatches)
            for indices, (mean, std) in zip(minibatches, moments, strict=True):
                sums, norm = self.step(rollout, indices, mean, std)
                totals += sums
                grad_norm += norm
                num_steps += 1
            if self.settings.target_kl is not None:
                epoch = LossSums(*self.group.sum_(totals - before_epoch))
                epoch_size = len(minibatches) * self.settings.minibatch_size
                kl_stop = float(epoch.kl) / epoch_size > self.settings.target_kl
                if kl_stop:
                    break
        self.group.sum_(totals)
        means = (totals / (num_steps * self.settings.minibatch_size)).tolist()
        losses = dict(zip(LossSums._fields, means, strict=True))
        return losses | {"grad_norm": grad_norm / num_steps, "kl_stop": float(kl_stop)}

    def advantage_moments(self, advantage: Tensor, minibatches: Tensor) -> list[list[float]]:
        """Mean and Bessel-corrected standard deviation of each whole global minibatch.

        Args:
            advantage: Flat, of this rank.
            minibatches: (minibatches, local size) indices into it.

        Returns:
            (mean, std) of each minibatch; one collective serves all of an epoch.
        """
        if not self.settings.normalize_advantage:
            return [[0.0, 1.0]] * len(minibatches)
        rows = advantage.double()[minibatches.to(advantage.device)]
        # Deviations from a common shift keep the sum of squares well conditioned.
        shift = self.group.broadcast_(rows.mean().clone())
        rows = rows - shift
        sums = self.group.sum_(torch.stack((rows.sum(1), rows.square().sum(1)), dim=1))
        count = self.settings.minibatch_size
        mean = sums[:, 0] / count
        variance = (sums[:, 1] - count * mean.square()).clamp_min(0.0) / max(count - 1, 1)
        return torch.stack((mean + shift, variance.sqrt() + 1e-8), dim=1).tolist()

    def step(
        self, rollout: RolloutBuffer, indices: Tensor, advantage_mean: float, advantage_std: float
    ) -> tuple[Tensor, float]:
        """One optimiser step on this rank's share of a global minibatch.

        Returns:
            `LossSums` as one tensor, of this rank, and the norm of the gradient before clipping.
        """
        self.gradients.zero()
        totals = torch.zeros(len(LossSums._fields), device=rollout.device)
        for part in indices.split(self.settings.micro_batch_size or len(indices)):
            observation, batch = rollout.fetch(part)
            batch["advantage"] = (batch["advantage"] - advantage_mean) / advantage_std
            sums = self.loss_sums(observation, batch)
            exploration = self.settings.exploration
            total_loss = (
                sums.policy
                - self.entropy_coef * sums.entropy
                + self.settings.value_coef * sums.value
                + (exploration.coef if exploration else 0.0) * sums.exploration
            )
            (total_loss / self.settings.minibatch_size).backward()
            totals += torch.stack(sums).detach()
        self.group.sum_(self.gradients.flat)
        norm = self.gradients.clip_norm(self.settings.max_grad_norm)
        if not math.isfinite(norm):
            observation, batch = rollout.fetch(indices)
            raise NonFiniteLossError(observation | batch)
        self.optimizer.step()
        return totals, norm

    def loss_sums(self, observation: TensorDict, batch: TensorDict) -> LossSums:
        """PPO's losses, summed over the samples of a (micro-)batch.

            ratio_t = pi(a_t | s_t) / pi_old(a_t | s_t)
            policy = sum_t max(-A_t ratio_t, -A_t clip(ratio_t, 1 - eps, 1 + eps))
            value = sum_t (V(s_t) - (A_t + V_old(s_t)))^2 / 2

        with normalised advantages A. With a `value_clip_range` c the value loss is the larger of
        this and the same with V clipped to V_old +- c.

        Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7; the clipped value of its code.
        """
        settings = self.settings
        distribution, value = self.policy(observation)
        log_ratio = distribution.log_prob(batch["action"]) - batch["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - settings.clip_range, 1.0 + settings.clip_range)
        advantage = batch["advantage"]
        policy_loss = torch.maximum(-advantage * ratio, -advantage * clipped)
        value_loss = (value - batch["return"]).square()
        if settings.value_clip_range is not None:
            change = (value - batch["value"]).clamp(
                -settings.value_clip_range, settings.value_clip_range
            )
            clipped_loss = (batch["value"] + change - batch["return"]).square()
            value_loss = torch.maximum(value_loss, clipped_loss)
        with torch.no_grad():
            approx_kl = (ratio - 1.0) - log_ratio  # Schulman's low-variance estimator
            clip_fraction = ((ratio - 1.0).abs() > settings.clip_range).float()
        return LossSums(
            policy=policy_loss.sum(),
            value=0.5 * value_loss.sum(),
            entropy=distribution.entropy().sum(),
            approx_kl=approx_kl.sum(),
            clip_fraction=clip_fraction.sum(),
            kl=self._kl_sum(distribution, batch),
            exploration=self._exploration_loss_sum(distribution, batch),
        )

    @torch.no_grad()
    def _kl_sum(self, distribution: ActionDistribution, batch: TensorDict) -> Tensor:
        if self.settings.target_kl is None:  # costs too much to be only looked at
            return batch["advantage"].new_zeros(())
        assert isinstance(distribution, BetaDistribution)
        old = BetaDistribution(batch["alpha"], batch["beta"])
        return old.kl_divergence(distribution).sum()

    def _exploration_loss_sum(self, distribution: ActionDistribution, batch: TensorDict) -> Tensor:
        if self.settings.exploration is None:
            return batch["advantage"].new_zeros(())
        assert isinstance(distribution, BetaDistribution)
        return exploration_loss_sum(distribution, batch["suggestion"], self.policy.action_dist)
