"""Whether a track lies ahead of the ego or behind it, to the devkit's last bit.

The devkit takes the arc cosine of a scalar product of two unit vectors. For a track straight
ahead that product may round to just above one, the angle is then not a number, and the track
counts neither as ahead nor as behind. Hence this file repeats the arithmetic of numpy's `dot`:
a product, then a fused multiply-add.
Source: nuPlan devkit, `simulation/observation/idm/utils.py`.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function

_AHEAD_RAD = math.radians(30.0)
_BEHIND_RAD = math.radians(150.0)
_SPLITTER = 2.0**27 + 1.0  # Veltkamp: halves the 53 bits of a float64


@device_function
def is_ahead(bearing_rad: float) -> bool:
    """Within 30 degrees of straight ahead; false for NaN."""
    return bearing_rad < _AHEAD_RAD


@device_function
def is_behind(bearing_rad: float) -> bool:
    """More than 150 degrees from straight ahead; false for NaN."""
    return bearing_rad > _BEHIND_RAD


@device_function
def bearing_rad(dx: float, dy: float, cos_yaw: float, sin_yaw: float) -> float:
    """Angle between the heading and an offset, in [0, pi], or NaN as described above."""
    distance = math.sqrt(_multiply_add(dy, dy, dx * dx))
    if distance == 0.0:
        return np.nan
    cosine = _multiply_add(sin_yaw, dy / distance, cos_yaw * (dx / distance))
    if abs(cosine) > 1.0:
        return np.nan
    return math.acos(cosine)


@device_function
def _multiply_add(a: float, b: float, c: float) -> float:
    """Gives a * b + c, rounded once (Dekker's exact product, Knuth's exact sum)."""
    product = a * b
    high_a = _SPLITTER * a - (_SPLITTER * a - a)
    high_b = _SPLITTER * b - (_SPLITTER * b - b)
    low_a, low_b = a - high_a, b - high_b
    product_error = low_a * low_b - (
        ((product - high_a * high_b) - low_a * high_b) - high_a * low_b
    )
    total = product + c
    part = total - product
    sum_error = (product - (total - part)) + (c - part)
    return total + (product_error + sum_error)
