"""Counter-based random numbers: pure functions of (seed, counters), the same alone or in a batch.

A world draws by naming the draw, `uniform(seed, tick, slot, purpose)`, so no generator state exists
that could depend on how many worlds run beside it.
Source: Steele et al. 2014, SplitMix64 finaliser (public domain constants).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


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
