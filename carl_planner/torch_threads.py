"""Another number of torch threads for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
