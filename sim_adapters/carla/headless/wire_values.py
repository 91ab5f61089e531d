"""Checks values that a client sent before they reach the world.

Every function gives the plain value or raises `BadValueError`, whose text goes to the client.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MAX_MAGNITUDE = 1e8  # of any number: farther or faster than that nothing is meant
MAX_TEXT = 4096
MAX_ACTOR_ID = 2**32 - 1


class BadValueError(ValueError):
    """A client sent something that the call cannot mean."""


def number(value: Any) -> float:
    """A finite number of reasonable size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadValueError(f"expected a number, got {_shown(value)}")
    if not math.isfinite(value) or abs(value) > MAX_MAGNITUDE:
        raise BadValueError(f"expected a finite number below {MAX_MAGNITUDE:g}, got {value!r:.40}")
    return float(value)


def whole(value: Any, low: int = 0, high: int = MAX_ACTOR_ID) -> int:
    """An integer within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadValueError(f"expected an integer in [{low}, {high}], got {_shown(value)}")
    return value


def flag(value: Any) -> bool:
    """A Boolean."""
    if not isinstance(value, bool):
        raise BadValueError(f"expected a Boolean, got {_shown(value)}")
    return value


def text(value: Any, limit: int = MAX_TEXT) -> str:
    """A string of at most `limit` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise BadValueError(f"expected a text of up to {limit} characters, got {_shown(value)}")
    return value


def items(value: Any, at_least: int = 0) -> list[Any]:
    """A list with at least so many items."""
    if not isinstance(value, list) or len(value) < at_least:
        raise BadValueError(f"expected a list of {at_least} or more items, got {_shown(value)}")
    return value


def numbers(value: Any, count: int) -> list[float]:
    """Exactly `count` numbers."""
    if not isinstance(value, list) or len(value) != count:
        raise BadValueError(f"expected {count} numbers, got {_shown(value)}")
    return [number(item) for item in value]


def vector(value: Any) -> list[float]:
    """A location, velocity or direction."""
    return numbers(value, 3)


def transform(value: Any) -> list[list[float]]:
    """A location and a rotation in degrees."""
    location, rotation = items(value, 2)[:2]
    return [vector(location), vector(rotation)]


def optional(value: Any) -> Any | None:
    """What an optional holds ([false] or [true, value])."""
    fields = items(value, 1)
    if not fields[0]:
        return None
    return items(fields, 2)[1]


def num_items(value: Any) -> int:
    """Values and letters in nested lists, about what they take to keep."""
    count, waiting = 0, [value]  # no recursion: clients nest deeper than Python does
    while waiting:
        item = waiting.pop()
        count += len(item) if isinstance(item, (str, bytes, dict)) else 1
        if isinstance(item, list):
            waiting += item
    return count


def within(value: float, low: float, high: float) -> float:
    """The value, brought into [low, high] as CARLA does with controls."""
    return min(max(value, low), high)


def _shown(value: Any) -> str:
    if isinstance(value, (str, bytes, Sequence)):
        return f"{type(value).__name__} of length {len(value)}"
    return f"{value!r:.60}"
