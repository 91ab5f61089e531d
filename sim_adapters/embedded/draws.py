"""A sequence of counter-based random numbers for code that draws until it is content."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from sim_adapters.scene.counter_rng import uniform

Item = TypeVar("Item", bound=Hashable)


class Draws:
    """Numbers `uniform(seed, stream, 0..., purpose)`; the same arguments give the same sequence.

    Args:
        seed: Non-negative.
        stream: Which of many sequences of that seed and purpose.
        purpose: Integer constant of the code that draws.
    """

    def __init__(self, seed: int, stream: int, purpose: int) -> None:
        self._key = (seed, stream, purpose)
        self._count = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        seed, stream, purpose = self._key
        value = uniform(seed, stream, self._count, purpose)
        self._count += 1
        return low + (high - low) * value

    def integer(self, count: int) -> int:
        """One of 0 ... count - 1."""
        return int(self.uniform() * count)

    def choose(self, items: Sequence[Item], weights: Sequence[float] | None = None) -> Item:
        """One of `items`, each as likely as its weight (all alike without weights)."""
        if weights is None:
            return items[self.integer(len(items))]
        mark = self.uniform(0.0, math.fsum(weights))
        for item, weight in zip(items, weights, strict=True):
            mark -= weight
            if mark < 0.0:
                return item
        return items[-1]

    def geometric(self, probability: float) -> int:
        """Number of failures before the first success."""
        return int(math.log1p(-self.uniform()) / math.log1p(-probability))

    def order(self, weights: Mapping[Item, float]) -> list[Item]:
        """Items of positive weight in random order, heavier ones rather first.

        Each next item is drawn from those left with a chance proportional to its weight
        (exponential keys, Efraimidis and Spirakis 2006); equal weights give a uniform shuffle.
        """
        keys = {
            item: -math.log1p(-self.uniform()) / weight
            for item, weight in weights.items()
            if weight > 0.0
        }
        return sorted(keys, key=lambda item: keys[item])
