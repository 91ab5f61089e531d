"""Counter-based random numbers: pure functions of (seed, counters), the same alone or in a batch.

A world draws by naming the draw, `uniform(seed, tick, slot, purpose)`, so no generator state exists
that could depend on how many worlds run beside it.
Source: Steele et al. 2014, SplitMix64 finaliser (public domain constants).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
Item = TypeVar("Item", bound=Hashable)


# One signature each: callers pass every mix of integer types, and each would compile anew.
@njit("uint64(uint64)", cache=True)
def mix(value: int | np.uint64) -> np.uint64:
    """SplitMix64's finaliser: 64 well-mixed bits of a uint64."""
    z = np.uint64(value) + _GOLDEN
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@njit("uint64(uint64, uint64, uint64, uint64)", cache=True)
def random_bits(seed: int | np.uint64, first: int, second: int, purpose: int) -> np.uint64:
    """64 random bits of one named draw; all arguments are non-negative integers."""
    bits = mix(np.uint64(seed) ^ mix(np.uint64(purpose)))
    bits = mix(bits ^ np.uint64(first))
    return mix(bits ^ (np.uint64(second) * _GOLDEN))


@njit("float64(uint64, uint64, uint64, uint64)", cache=True)
def uniform(seed: int | np.uint64, first: int, second: int, purpose: int) -> float:
    """One number in [0, 1) with 53 random bits."""
    return np.float64(random_bits(seed, first, second, purpose) >> _11) * (1.0 / 9007199254740992.0)


class Draws:
    """A sequence of such numbers for code that draws until it is content.

    They are `uniform(seed, stream, 0..., purpose)`; the same arguments give the same sequence.

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
