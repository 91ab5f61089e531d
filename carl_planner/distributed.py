"""Data-parallel training under torchrun: one process per device, a few collective operations.

Two process groups: gloo for small control messages, and the one of the device (nccl or gloo) for
gradients. Without torchrun every operation is the identity.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

# CaRL's limit: a slow simulator on one rank must not be mistaken for a dead one.
COLLECTIVE_TIMEOUT = timedelta(minutes=45)


@dataclass(frozen=True)
class ProcessGroup:
    """Place of this process among all processes of the run."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    gradient_group: Any = None  # None is the gloo group of all ranks

    @property
    def is_main(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum `tensor` over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.gradient_group)
        return tensor

    def broadcast_(self, tensor: Tensor) -> Tensor:
        """Overwrite `tensor` with rank 0's."""
        if self.world_size > 1:
            dist.broadcast(tensor, src=0, group=self.gradient_group)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank; a meeting point of all ranks."""
        if self.world_size == 1:
            return flag
        tensor = torch.tensor(int(flag))
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return bool(tensor)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.world_size > 1:
            dist.barrier()

    def gather(self, item: Any) -> list[Any]:
        """Items of all ranks by rank, on every rank; for plain objects, not for gradients."""
        if self.world_size == 1:
            return [item]
        items: list[Any] = [None] * self.world_size
        dist.all_gather_object(items, item)
        return items

    def with_device(self, device: torch.device) -> ProcessGroup:
        """The same process with a gradient group fit for the device."""
        if self.world_size == 1 or device.type != "cuda":
            return self
        group = dist.new_group(backend="nccl", timeout=COLLECTIVE_TIMEOUT)
        return ProcessGroup(self.rank, self.world_size, self.local_rank, group)


def join_process_group(environment: Mapping[str, str] = os.environ) -> ProcessGroup:
    """Join the processes that torchrun started, or stand alone without it."""
    world_size = int(environment.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return ProcessGroup()
    if not dist.is_initialized():
        dist.init_process_group("gloo", timeout=COLLECTIVE_TIMEOUT)
    return ProcessGroup(
        rank=int(environment["RANK"]),
        world_size=world_size,
        local_rank=int(environment.get("LOCAL_RANK", "0")),
    )


def leave_process_group() -> None:
    """Leave the process group, if any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def end_rank() -> NoReturn:
    """End this process of a finished run at once, with status 0.

    An ordinary end takes torch's threads down one by one. Once in some hundred runs that aborts
    ("terminate called without an active exception"), and torchrun takes the run for failed.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def choose_device(name: str, group: ProcessGroup) -> torch.device:
    """Device for "auto", "cpu", "cuda" or "cuda:N"; ranks of one machine get different GPUs."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device is {name}, but torch finds no GPU: use device=cpu")
        if device.index is None:
            device = torch.device("cuda", group.local_rank)
        torch.cuda.set_device(device)
    return device
