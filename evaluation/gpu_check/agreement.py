"""Whether a GPU paints and learns what a CPU does."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from carl_planner.distributed import ProcessGroup
from carl_planner.network_compute import set_compute
from carl_planner.policy import ActorCritic
from carl_planner.ppo import LossSums, Ppo, PpoSettings
from carl_planner.rollout_buffer import RolloutBuffer, TensorDict
from evaluation.gpu_check.findings import Check
from sim_adapters.driving.worlds import allocate
from sim_adapters.gymnasium_envs import make_embedded_vec
from sim_adapters.observation.observer import PaintsOnDevice

MAX_SHARE_OF_PIXELS = 1e-4  # that may differ: what a sine's last bit turns over
MAX_CPU_DIFFERENCE = 1e-3  # of a loss, in float32, over the first updates
# Of bfloat16 to float32 over 200 updates; the critic's as a share of its first loss
MAX_DRIFT = {"policy": 0.02, "value": 0.05, "entropy": 0.03}


def compare_pictures(what: str, ours: np.ndarray, theirs: np.ndarray) -> Check:
    """Share of bytes that differ, and by how much."""
    difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    share = float((difference > 0).mean())
    note = f"of {difference.size:,} pixels, by {int(difference.max())} gray values at most"
    return Check(f"{what}: share of pixels that differ", share, MAX_SHARE_OF_PIXELS, note)


def compare_painters(
    observation: str, device: torch.device, *, num_worlds: int = 8, num_steps: int = 40
) -> Check:
    """Rows of driven worlds painted by the CPU and by the device."""
    overrides = [f"observation={observation}", "ppo.rollout_storage=scene"]
    env = make_embedded_vec(num_worlds, [*overrides, "simulator.towns=[Town01]"])
    rows = allocate(env.stored_space.spaces, num_steps + 1, num_worlds)
    env.bind(rows)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(num_steps):
        env.step(rng.uniform(-0.3, 1.0, (num_worlds, 2)).astype(np.float32))
    flat = {name: array.reshape(-1, *array.shape[2:]) for name, array in rows.items()}
    number = (num_steps + 1) * num_worlds
    by_cpu = allocate(env.observer.space.spaces, number)
    env.redraw(flat, by_cpu)
    assert isinstance(env.observer, PaintsOnDevice)
    painter = env.observer.device_painter(env.maps, device)
    on_device = {name: torch.from_numpy(array).to(device) for name, array in flat.items()}
    out = {name: torch.zeros_like(torch.from_numpy(a)).to(device) for name, a in by_cpu.items()}
    painter.paint(on_device, out)
    env.close()
    return compare_pictures(observation, out["bev"].cpu().numpy(), by_cpu["bev"])


class FixedRollout:
    """Samples that stay, on any device: what `Ppo.step` asks of a `RolloutBuffer`.

    Args:
        observation: (N, ...) by name.
        batch: The other tensors of N samples.
        device: Where minibatches are taken.
    """

    def __init__(self, observation: TensorDict, batch: TensorDict, device: torch.device) -> None:
        self.device = device
        self._observation = {name: tensor.to(device) for name, tensor in observation.items()}
        self._batch = {name: tensor.to(device) for name, tensor in batch.items()}
        self.num_samples = len(batch["advantage"])

    @classmethod
    def of(cls, buffer: RolloutBuffer, num_samples: int) -> FixedRollout:
        """The first samples of a finished rollout, copied."""
        observation, batch = buffer.fetch(torch.arange(num_samples))
        kept = [{n: t.clone() for n, t in each.items()} for each in (observation, batch)]
        return cls(kept[0], kept[1], buffer.device)

    def on(self, device: torch.device) -> FixedRollout:
        """The same on another device."""
        return FixedRollout(self._observation, self._batch, device)

    def flat(self, name: str) -> Tensor:
        """All samples' entry."""
        return self._batch[name]

    def fetch(self, indices: Tensor) -> tuple[TensorDict, TensorDict]:
        """Observations and other tensors of some samples."""
        at = indices.to(self.device)
        return (
            {name: tensor.index_select(0, at) for name, tensor in self._observation.items()},
            {name: tensor.index_select(0, at) for name, tensor in self._batch.items()},
        )


def losses_of(
    policy: ActorCritic,
    settings: PpoSettings,
    rollout: FixedRollout,
    precision: str,
    num_updates: int,
    minibatch: int = 64,
) -> np.ndarray:
    """Mean losses of updates of a copy of the policy, (updates, losses); the same draws always."""
    learned = copy.deepcopy(policy).to(rollout.device)
    set_compute(learned, precision, None)
    ppo = Ppo(learned, settings, ProcessGroup())
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(num_updates):
        indices = torch.randperm(rollout.num_samples, generator=generator)[:minibatch]
        ((mean, std),) = ppo.advantage_moments(rollout.flat("advantage"), indices[None])
        sums, _ = ppo.step(rollout, indices, mean, std)  # pyright: ignore[reportArgumentType]
        losses.append((sums / minibatch).tolist())
    return np.array(losses)


def compare_losses(
    what: str, ours: np.ndarray, exact: np.ndarray, limits: dict[str, float]
) -> list[Check]:
    """Largest difference of each loss over the updates; the critic's over its first exact loss."""
    checks = []
    for name, limit in limits.items():
        column = LossSums._fields.index(name)
        scale = max(1.0, abs(float(exact[0, column]))) if name == "value" else 1.0
        found = float(np.abs(ours[:, column] - exact[:, column]).max()) / scale
        note = f"over {len(exact)} updates"
        checks.append(Check(f"{what}: {name} loss, largest difference", found, limit, note))
    return checks


def learning_checks(
    policy: ActorCritic,
    settings: PpoSettings,
    rollout: FixedRollout,
    *,
    on_cpu: int = 5,
    drifting: int = 200,
) -> Sequence[Check]:
    """Float32 on the device against the CPU, then bfloat16 against float32 on the device."""
    cpu = losses_of(policy, settings, rollout.on(torch.device("cpu")), "float32", on_cpu)
    exact = losses_of(policy, settings, rollout, "float32", drifting)
    rounded = losses_of(policy, settings, rollout, "bf16", drifting)
    limits = dict.fromkeys(MAX_DRIFT, MAX_CPU_DIFFERENCE)
    return [
        *compare_losses("float32, device and CPU", exact[:on_cpu], cpu, limits),
        *compare_losses("bf16 and float32", rounded, exact, MAX_DRIFT),
    ]
