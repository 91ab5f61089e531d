"""How torch uses the CPU: its threads, and the memory it has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
