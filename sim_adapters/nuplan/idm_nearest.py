"""What stands on a widened line and is nearest to a shape, with the devkit's choice among equals.

The devkit asks shapely's STRtree, which among shapes that overlap the asking one (distance zero)
returns the first in the tree's order: for up to ten shapes the one whose bounds lie lowest in y.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.nuplan.idm_outline import widened_line_hits
from sim_adapters.nuplan.idm_shapes import (
    FloatArray,
    Shapes,
    squared_bounds_gap,
    squared_shape_distance,
)

TOUCHING_M2 = 1e-18  # a squared distance that only zero is below


@device_function
def nearest_on_line(
    world: int,
    own: int,
    num_agents: int,
    alive: NDArray[np.bool_],
    first_other: int,
    end_shape: int,
    num_points: int,
    half_width_m: float,
    end_extension_m: float,
    with_own: bool,
    shapes: Shapes,
    line_x: FloatArray,
    line_y: FloatArray,
) -> tuple[int, float]:
    """Shape that hits the line and is nearest to shape `own`, and its distance; -1 if none.

    Args:
        world: Row.
        own: Shape to which distances are taken; it is never the answer.
        num_agents: Shapes 0 to this one count if alive.
        alive: (B, A).
        first_other: First of the shapes that always count.
        end_shape: One beyond the last of them.
        num_points: Of the line in `line_x` and `line_y`.
        half_width_m: Of the widened line.
        end_extension_m: See `widened_line_hits`.
        with_own: What meets `own` itself counts as well, on the line or not.
        shapes: All shapes.
        line_x: (B, P).
        line_y: (B, P).
    """
    margin = half_width_m + end_extension_m
    min_x = min_y = math.inf
    max_x = max_y = -math.inf
    for i in range(num_points):
        min_x, max_x = min(min_x, line_x[world, i]), max(max_x, line_x[world, i])
        min_y, max_y = min(min_y, line_y[world, i]), max(max_y, line_y[world, i])
    best, smallest, low = -1, math.inf, math.inf
    for shape in range(end_shape):
        if shape == own or (
            shape < first_other and (shape >= num_agents or not alive[world, shape])
        ):
            continue
        gap = squared_bounds_gap(world, own, shape, shapes)
        if gap > smallest:
            continue
        near_line = (
            shapes.min_x[world, shape] <= max_x + margin
            and shapes.max_x[world, shape] >= min_x - margin
            and shapes.min_y[world, shape] <= max_y + margin
            and shapes.max_y[world, shape] >= min_y - margin
        )
        if not near_line and not (with_own and gap == 0.0):
            continue
        cutoff = max(smallest, TOUCHING_M2)
        squared = squared_shape_distance(world, own, shape, cutoff, shapes)
        height = shapes.min_y[world, shape] + shapes.max_y[world, shape]
        if squared >= cutoff or (squared == 0.0 and smallest == 0.0 and height >= low):
            continue
        hits = with_own and squared == 0.0
        if not hits and near_line:
            hits = widened_line_hits(
                world, line_x, line_y, num_points, half_width_m, end_extension_m, shape, shapes
            )
        if hits:
            best, smallest, low = shape, squared, height
    return best, math.sqrt(smallest)
