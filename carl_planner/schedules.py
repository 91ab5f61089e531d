"""Learning-rate schedules: factor on the initial learning rate before each update."""

from __future__ import annotations


def linear(update: float, num_updates: int) -> float:
    """Fall from 1 to almost 0 (CaRL's C++ trainer)."""
    return max(0.0, 1.0 - update / num_updates)


def linear_one_late(update: float, num_updates: int) -> float:
    """Fall linearly, one update late, from slightly above 1 (CaRL's Python trainer).

    Its released models were trained with 1 - (u - 1) / U for u = 0 .. U - 1.
    """
    return max(0.0, 1.0 - (update - 1.0) / num_updates)


def constant(update: float, num_updates: int) -> float:
    """Stay at 1."""
    return 1.0
