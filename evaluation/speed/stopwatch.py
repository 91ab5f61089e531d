"""Rates over several windows, so that one busy moment of a shared machine decides nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Args:
        key: Name in the table and the JSON, e.g. "env_vector".
        value: Median over the windows.
        unit: What is counted, e.g. "steps/s/core".
        low: Smallest window.
        high: Largest window.
        floor: What the project asks for at least; None without a demand.
        note: Sizes that the figure holds for.
        ceiling: What the project asks for at most; None without a demand.
    """

    key: str
    value: float
    unit: str
    low: float
    high: float
    floor: float | None = None
    note: str = ""
    ceiling: float | None = None

    @property
    def demand(self) -> str:
        """What the project asks for, as text."""
        if self.floor is not None:
            return f">= {self.floor:,.6g}"
        return "" if self.ceiling is None else f"<= {self.ceiling:,.6g}"

    @property
    def meets_demand(self) -> bool:
        """Whether the figure is what the project asks for."""
        above = self.floor is None or self.value >= self.floor
        return above and (self.ceiling is None or self.value <= self.ceiling)


def measure_rate(
    work: Callable[[], int],
    *,
    window_s: float = 1.0,
    num_windows: int = 7,
    warm_up_s: float = 0.5,
    clock: Callable[[], float] = time.process_time,
) -> tuple[float, float, float]:
    """Units of work per second of `clock`: median, lowest and highest window.

    Args:
        work: Does some work and returns how many units it was.
        window_s: Length of a window on the wall.
        num_windows: Number of windows.
        warm_up_s: Time before the first window.
        clock: CPU time of the process by default, which other processes on the machine do not
            stretch; single-threaded work then reads as units per second and core.
    """
    _run_for(work, warm_up_s, clock)
    rates = [_run_for(work, window_s, clock) for _ in range(num_windows)]
    return statistics.median(rates), min(rates), max(rates)


def _run_for(work: Callable[[], int], seconds: float, clock: Callable[[], float]) -> float:
    units, start, end = 0, clock(), time.perf_counter() + seconds
    while True:
        units += work()
        if time.perf_counter() >= end:
            return units / max(clock() - start, 1e-9)
