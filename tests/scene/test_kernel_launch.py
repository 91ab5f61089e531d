"""A range kernel covers every world exactly once, however many threads share it."""

import numpy as np
import pytest

from sim_adapters.scene.kernel_launch import launch_range


@pytest.mark.parametrize(("num_items", "num_threads"), [(0, 1), (7, 2), (16, 2), (37, 4), (64, 8)])
def test_ranges_cover_all_items_once(num_items: int, num_threads: int) -> None:
    visits = np.zeros(num_items, np.int64)

    def count(first: int, last: int, out: np.ndarray) -> None:
        out[first:last] += 1

    launch_range(count, num_items, visits, num_threads=num_threads)
    assert (visits == 1).all()


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail(first: int, last: int) -> None:
        if last == 32:
            raise RuntimeError("world 31")

    with pytest.raises(RuntimeError, match="world 31"):
        launch_range(fail, 32, num_threads=2)
