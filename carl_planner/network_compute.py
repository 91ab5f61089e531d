"""How torch computes: a network's precision and compilation, the CPU's threads and memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from carl_planner.policy import ActorCritic

PRECISIONS = ("float32", "tf32", "bf16")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")


def check_compute(precision: str, compile_mode: str | None) -> None:
    """Refuse what `set_compute` does not know.

    Raises:
        ValueError: another word.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"ppo.precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if compile_mode is not None and compile_mode not in COMPILE_MODES:
        raise ValueError(
            f"ppo.compile_mode is {compile_mode!r}, expected null or one of "
            f"{', '.join(COMPILE_MODES)}"
        )


def set_compute(policy: ActorCritic, precision: str, compile_mode: str | None) -> None:
    """Let a policy compute so from now on; weights, gradients, heads and losses stay float32.

    Args:
        policy: Changed in place; its state dict keeps its names.
        precision: "float32" is exact, on GPUs too. "tf32" lets their convolutions and products
            round inputs to 10 bits of mantissa. "bf16" runs the features that both heads share in
            bfloat16 (8 bits), with float32 sums.
        compile_mode: Of `torch.compile`, None for none; "reduce-overhead" records CUDA graphs.

    Raises:
        ValueError: another word.
    """
    check_compute(precision, compile_mode)
    # Torch's own default lets cuDNN's convolutions round to TF32 and products not
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    policy.features_dtype = torch.bfloat16 if precision == "bf16" else None
    if compile_mode is not None:
        policy.compile(
            mode=compile_mode
        )  # whole: one CUDA graph must not overwrite another's output


# On the CPU: threads and memory

# Parameters of glibc's mallopt (malloc.h).
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


@contextmanager
def torch_threads(num_threads: int | None) -> Iterator[None]:
    """Compute with `num_threads` inside the block; None changes nothing.

    A forward pass of a small network for one observation a world takes microseconds: waking a
    second thread costs more than it saves, and on a busy machine far more.
    """
    before = torch.get_num_threads()
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> bool:
    """Reuse freed memory instead of returning it to the kernel; True where that is possible.

    glibc maps every block above 32 MB anew, and the kernel clears it page by page: for CaRL's
    network on 64 rasters of 256x256 that is a third of the time (measured on one core: forward
    236 -> 394 samples/s, with backward 108 -> 165). The price is that a process keeps its peak.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library, e.g. musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
