"""Runs a range kernel over all worlds, on several threads when that pays.

Range kernels are `kernel(first, last, *arrays)` with `nogil=True`: worlds are independent, so any
split gives the same result. A hand-off to a thread costs tens of microseconds; calls below a
millisecond are faster on one thread, hence the `min_items_per_thread`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="kernel")


def launch_range(
    kernel: Callable[..., None],
    num_items: int,
    *arguments: Any,
    num_threads: int = 1,
    min_items_per_thread: int = 8,
) -> None:
    """Call `kernel(first, last, *arguments)` so that the ranges cover [0, num_items) once."""
    num_threads = min(num_threads, num_items // min_items_per_thread)
    if num_threads <= 1:
        kernel(0, num_items, *arguments)
        return
    bounds = [num_items * i // num_threads for i in range(num_threads + 1)]
    futures = [
        _pool(num_threads - 1).submit(kernel, first, last, *arguments)
        for first, last in pairwise(bounds[1:])
    ]
    kernel(bounds[0], bounds[1], *arguments)
    for future in futures:
        future.result()
