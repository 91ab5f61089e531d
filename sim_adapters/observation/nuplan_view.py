"""NuplanView: where CaRL's nuPlan raster stands around the ego, and its gray value of a speed.

The picture is not ego-up: forward is +column and left is +row, which mirrors the scene about the
ego's heading. Places become pixels by truncation towards zero, as numpy's cast to integers does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import inlined_function


class NuplanView(NamedTuple):
    """Geometry of the picture, a square of `size_px`."""

    size_px: int
    pixels_per_meter: float
    forward_shift_m: float  # the picture's centre lies so far ahead of the ego's centre


class Origin(NamedTuple):
    """The picture's centre in the world, and its heading."""

    x: float
    y: float
    cos: float
    sin: float


@inlined_function
def origin_at(view: NuplanView, x: float, y: float, yaw_rad: float) -> Origin:
    """Origin of the picture of an ego whose centre stands at (x, y)."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return Origin(x + view.forward_shift_m * cos, y + view.forward_shift_m * sin, cos, sin)


@inlined_function
def to_picture(view: NuplanView, origin: Origin, x: float, y: float) -> tuple[float, float]:
    """(column, row) of a place of the world, before truncation."""
    dx, dy = x - origin.x, y - origin.y
    half = 0.5 * view.size_px
    column = (origin.cos * dx + origin.sin * dy) * view.pixels_per_meter + half
    row = (origin.cos * dy - origin.sin * dx) * view.pixels_per_meter + half
    return column, row


@inlined_function
def in_picture(view: NuplanView, column: float, row: float) -> bool:
    """Whether a place lies within the picture's square."""
    return 0.0 <= column <= view.size_px and 0.0 <= row <= view.size_px


@inlined_function
def speed_value(speed_mps: float, max_mps: float) -> int:
    """Gray value of a speed: 127 at rest, 255 from `max_mps` on and where it is unknown (NaN)."""
    if math.isnan(speed_mps):
        return 255
    return int(127.5 * min(max(speed_mps / max_mps, 0.0), 1.0) + 127.5)
