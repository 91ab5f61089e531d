"""How fast a device paints, acts, updates and trains, and the share of its memory's rate."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from carl_planner.distributed import ProcessGroup
from carl_planner.learner import Learner
from carl_planner.network_compute import set_compute
from carl_planner.policy import ActorCritic
from carl_planner.ppo import Ppo
from evaluation.gpu_check.agreement import FixedRollout
from evaluation.gpu_check.findings import Figure

AIM_PAINTING, AIM_TRAINING, AIM_SHARE = 150_000, 30_000, 0.6
# A backward pass reads activations and gradients and writes gradients: twice a forward pass
UPDATE_PASSES = 3


@dataclass(frozen=True)
class Setting:
    """Keys of `ppo` that are compared."""

    precision: str
    compile_mode: str | None

    @property
    def name(self) -> str:
        """For a table."""
        return self.precision if self.compile_mode is None else f"{self.precision}, compiled"


SETTINGS = (
    Setting("float32", None),
    Setting("tf32", None),
    Setting("bf16", None),
    Setting("bf16", "default"),
)


def rate_of(work: Callable[[], int], device: torch.device, seconds: float) -> float:
    """Units of work a second, after three calls that don't count.

    Args:
        work: Queues some work; returns how many units it is.
        device: Waited for at both ends.
        seconds: At least.
    """
    for _ in range(3):
        work()
    _wait(device)
    units, start = 0, time.perf_counter()
    while True:
        units += work()
        if time.perf_counter() - start >= seconds:
            _wait(device)
            return units / (time.perf_counter() - start)


def memory_rate(device: torch.device, seconds: float, size: int = 1 << 28) -> float:
    """Bytes a second that copying float32 within the device's memory reads and writes."""
    source = torch.zeros(size, device=device)
    target = torch.empty_like(source)

    def copy_all() -> int:
        target.copy_(source)
        return 2 * source.nbytes

    return rate_of(copy_all, device, seconds)


@torch.inference_mode()
def forward_bytes(policy: ActorCritic, observation: dict[str, Tensor]) -> float:
    """Bytes a sample that the network's layers read and write in a forward pass, weights apart.

    ReLUs count as layers, as they run; a compiler that fuses them does better than this.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += inputs[0].nbytes + output.nbytes

    leaves = [module for module in policy.modules() if not list(module.children())]
    hooks = [m.register_forward_hook(count) for m in leaves if not isinstance(m, nn.Flatten)]
    try:
        policy(observation)
    finally:
        for hook in hooks:
            hook.remove()
    return total / len(observation["value_measurements"])


def network_figures(
    learner: Learner, rollout: FixedRollout, setting: Setting, memory: float, seconds: float
) -> list[Figure]:
    """Acting and updating with pictures that are there, and the share of the memory's rate."""
    device = rollout.device
    policy = copy.deepcopy(learner.policy)
    set_compute(policy, setting.precision, None)
    observation, _ = rollout.fetch(torch.arange(rollout.num_samples))
    sample_bytes = forward_bytes(policy, observation)
    set_compute(policy, setting.precision, setting.compile_mode)
    ppo = Ppo(policy, learner.settings, ProcessGroup())
    indices = torch.arange(rollout.num_samples)

    @torch.inference_mode()
    def act() -> int:
        policy.act(observation)
        return rollout.num_samples

    def update() -> int:
        ppo.step(rollout, indices, 0.0, 1.0)  # pyright: ignore[reportArgumentType]
        return rollout.num_samples

    acting, updating = rate_of(act, device, seconds), rate_of(update, device, seconds)
    shares = (acting * sample_bytes / memory, UPDATE_PASSES * updating * sample_bytes / memory)
    note = f"{rollout.num_samples} at once, {sample_bytes / 1e6:.1f} MB a forward pass"
    name = setting.name
    return [
        Figure(f"acting, {name}", acting, "samples/s", note),
        Figure(f"updating, {name}", updating, "samples/s", note),
        Figure(f"acting, {name}: of the memory's rate", shares[0], "", aim=AIM_SHARE),
        Figure(f"updating, {name}: of the memory's rate", shares[1], "", aim=AIM_SHARE),
    ]


def painting_figure(learner: Learner, seconds: float) -> Figure:
    """Observations a second of minibatches that are fetched from the rollout."""
    size = learner.settings.micro_batch_size or learner.settings.minibatch_size
    size = min(size, learner.buffer.num_samples)
    indices = torch.randperm(learner.buffer.num_samples)[:size]

    def paint() -> int:
        learner.buffer.storage.fetch(indices)
        return size

    rate = rate_of(paint, learner.device, seconds)
    note = f"{size} at once, gathered from the rollout's rows"
    return Figure("painting", rate, "frames/s", note, aim=AIM_PAINTING)


def training_figures(learner: Learner, num_iterations: int) -> list[Figure]:
    """Whole iterations: collecting, the update's epochs, and the most memory that they took."""
    settings, device = learner.settings, learner.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    spent = {"collecting": 0.0, "policy": 0.0, "worlds": 0.0, "updating": 0.0}
    for iteration in range(num_iterations + 1):  # the first is not counted
        started = time.perf_counter()
        statistics = learner.collector.collect(lambda: False, lambda t: None)
        assert statistics is not None
        collected = time.perf_counter()
        learner.buffer.finish(gamma=settings.gamma, gae_lambda=settings.gae_lambda)
        learner.ppo.update(learner.buffer)
        _wait(device)
        if iteration:
            spent["collecting"] += collected - started
            spent["policy"] += statistics.policy_s
            spent["worlds"] += statistics.env_s
            spent["updating"] += time.perf_counter() - collected
    samples = num_iterations * learner.buffer.num_samples
    whole = spent["collecting"] + spent["updating"]
    name = f"{settings.num_envs} worlds x {settings.num_steps} steps, {settings.epochs} epochs"
    figures = [Figure("training, end to end", samples / whole, "samples/s", name, AIM_TRAINING)]
    for part in ("policy", "worlds", "updating"):
        note = {"policy": "painting included", "worlds": "waited for"}.get(part, "")
        figures.append(Figure(f"training: {part}", spent[part] / whole, "of the time", note))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 1e9
        figures.append(Figure("training: most memory", peak, "GB"))
    return figures


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
