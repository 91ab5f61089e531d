"""What stands on a widened line and is nearest to a shape, with the devkit's choice among equals.

The devkit asks shapely's STRtree, which among shapes that overlap the asking one (distance zero)
returns the first in the tree's order: for up to ten shapes the one whose bounds lie lowest in y.
Limit: among more than ten on one path the tree has two levels, and two of them overlapping the
asking shape at once may come in another order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.nuplan.idm.outline import WideLine, widened_line_hits
from sim_adapters.nuplan.idm.shapes import (
    MAX_X,
    MAX_Y,
    MIN_X,
    MIN_Y,
    Shapes,
    X,
    Y,
    squared_bounds_gap,
    squared_shape_distance,
)

TOUCHING_M2 = 1e-18  # a squared distance that only zero is below


class Candidates(NamedTuple):
    """Which shapes of a world count: agents that are alive, and all others."""

    alive: NDArray[np.bool_]  # (B, A)
    num_agents: int  # shapes 0 to this one count if alive
    first_other: int  # first of the shapes that always count
    end: int  # one beyond the last of them


@device_function
def nearest_on_line(
    world: int, own: int, candidates: Candidates, line: WideLine, with_own: bool, shapes: Shapes
) -> tuple[int, float]:
    """Shape that hits the line and is nearest to shape `own`, and its distance; -1 if none.

    Args:
        world: Row.
        own: Shape to which distances are taken; it is never the answer.
        candidates: Shapes that count.
        line: What they have to hit.
        with_own: What meets `own` itself counts as well, on the line or not.
        shapes: All shapes.
    """
    area = _line_bounds(world, line)
    best, smallest, low = -1, math.inf, math.inf
    shape, gap = -1, -1.0
    while True:
        # In the order of their bounds' distance: what comes later can't be nearer than that
        shape, gap = _next_shape(world, own, candidates, area, with_own, shape, gap, shapes)
        if shape < 0 or gap > smallest:
            return best, math.sqrt(smallest)
        cutoff = max(smallest, TOUCHING_M2)
        squared = squared_shape_distance(world, own, shape, cutoff, shapes)
        height = shapes.bounds[world, shape, MIN_Y] + shapes.bounds[world, shape, MAX_Y]
        if squared >= cutoff or (squared == 0.0 and smallest == 0.0 and height >= low):
            continue
        hits = with_own and squared == 0.0
        if not hits and _is_within(world, shape, area, shapes):
            hits = widened_line_hits(world, line, shape, shapes)
        if hits:
            best, smallest, low = shape, squared, height


@device_function
def _line_bounds(world: int, line: WideLine) -> tuple[float, float, float, float]:
    """Least and greatest x and y that a line comes near to."""
    min_x = min_y = math.inf
    max_x = max_y = -math.inf
    points, margin_m = line.points, line.half_width_m + line.end_extension_m
    for i in range(line.num_points):
        min_x, max_x = min(min_x, points[world, i, X]), max(max_x, points[world, i, X])
        min_y, max_y = min(min_y, points[world, i, Y]), max(max_y, points[world, i, Y])
    return min_x - margin_m, max_x + margin_m, min_y - margin_m, max_y + margin_m


@inlined_function
def _is_within(
    world: int, shape: int, area: tuple[float, float, float, float], shapes: Shapes
) -> bool:
    """Whether a shape's bounds touch an area (least and greatest x, least and greatest y)."""
    return (
        shapes.bounds[world, shape, MIN_X] <= area[1]
        and shapes.bounds[world, shape, MAX_X] >= area[0]
        and shapes.bounds[world, shape, MIN_Y] <= area[3]
        and shapes.bounds[world, shape, MAX_Y] >= area[2]
    )


@device_function
def _next_shape(
    world: int,
    own: int,
    candidates: Candidates,
    area: tuple[float, float, float, float],
    with_own: bool,
    after: int,
    after_gap: float,
    shapes: Shapes,
) -> tuple[int, float]:
    """The shape that follows in the order of bounds' distance from `own` (then of number).

    Only shapes in the area count and, `with_own`, those whose bounds meet `own`'s.
    """
    best, smallest = -1, math.inf
    for shape in range(candidates.end):
        if shape == own:
            continue
        if shape < candidates.first_other and (
            shape >= candidates.num_agents or not candidates.alive[world, shape]
        ):
            continue
        gap = squared_bounds_gap(world, own, shape, shapes)
        if (
            gap < smallest
            and (gap > after_gap or (gap == after_gap and shape > after))
            and (_is_within(world, shape, area, shapes) or (with_own and gap == 0.0))
        ):
            best, smallest = shape, gap
    return best, smallest
