"""Shapes that IDM drivers look at: rings of corners in one pool a world, and distances of them.

A shape is the union of one or two rings (a car's box, and its path stretched ahead). Shapes are
closed as in shapely: they intersect where they touch, and their distance is then zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function, inlined_function

BOX_CORNERS = 4
FIRST, SPLIT, END = 0, 1, 2
MIN_X, MIN_Y, MAX_X, MAX_Y = 0, 1, 2, 3
X, Y = 0, 1


class Shapes(NamedTuple):
    """S shapes a world and their V corners; rings are open (the first corner is not repeated).

    Rings are first:split and split:end; the second may be empty. A shape with first == end is no
    shape. (Few arrays: every one of them costs compilation in each function that takes it.)
    """

    ring: IntArray  # (B, S, 3) FIRST, SPLIT, END: places in `corner`
    bounds: FloatArray  # (B, S, 4) MIN_X, MIN_Y, MAX_X, MAX_Y [m]
    corner: FloatArray  # (B, V, 2) X, Y [m]


def empty_shapes(num_worlds: int, num_shapes: int, num_corners: int) -> Shapes:
    """Room for S shapes with V corners together in each world."""
    return Shapes(
        ring=np.zeros((num_worlds, num_shapes, 3), np.int32),
        bounds=np.zeros((num_worlds, num_shapes, 4)),
        corner=np.zeros((num_worlds, num_corners, 2)),
    )


@device_function
def close_shape(world: int, shape: int, split: int, end: int, shapes: Shapes) -> None:
    """Finish a shape whose corners are in place from `first` on: its rings and its bounds."""
    first = shapes.ring[world, shape, FIRST]
    shapes.ring[world, shape, SPLIT], shapes.ring[world, shape, END] = split, end
    min_x = min_y = math.inf
    max_x = max_y = -math.inf
    for i in range(first, end):
        x, y = shapes.corner[world, i, X], shapes.corner[world, i, Y]
        min_x, max_x = min(min_x, x), max(max_x, x)
        min_y, max_y = min(min_y, y), max(max_y, y)
    shapes.bounds[world, shape, MIN_X], shapes.bounds[world, shape, MAX_X] = min_x, max_x
    shapes.bounds[world, shape, MIN_Y], shapes.bounds[world, shape, MAX_Y] = min_y, max_y


@device_function
def write_box(
    world: int,
    first: int,
    x: float,
    y: float,
    yaw_rad: float,
    length_m: float,
    width_m: float,
    shapes: Shapes,
) -> None:
    """Write the four corners of a box from place `first` of the pool on (FL, RL, RR, FR)."""
    along_x, along_y = 0.5 * length_m * math.cos(yaw_rad), 0.5 * length_m * math.sin(yaw_rad)
    left_x, left_y = -0.5 * width_m * math.sin(yaw_rad), 0.5 * width_m * math.cos(yaw_rad)
    for corner in range(BOX_CORNERS):
        ahead = 1.0 if corner == 0 or corner == 3 else -1.0
        left = 1.0 if corner < 2 else -1.0
        shapes.corner[world, first + corner, X] = x + ahead * along_x + left * left_x
        shapes.corner[world, first + corner, Y] = y + ahead * along_y + left * left_y


@inlined_function
def squared_point_distance(
    px: float, py: float, ax: float, ay: float, bx: float, by: float
) -> float:
    """Squared distance of point p from segment a-b."""
    ux, uy = bx - ax, by - ay
    squared = ux * ux + uy * uy
    fraction = 0.0
    if squared > 0.0:
        fraction = min(max(((px - ax) * ux + (py - ay) * uy) / squared, 0.0), 1.0)
    dx, dy = ax + fraction * ux - px, ay + fraction * uy - py
    return dx * dx + dy * dy


@device_function
def squared_segment_distance(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> float:
    """Squared distance of segments a-b and c-d, zero where they meet."""
    ux, uy, vx, vy = bx - ax, by - ay, dx - cx, dy - cy
    c_side = ux * (cy - ay) - uy * (cx - ax)
    d_side = ux * (dy - ay) - uy * (dx - ax)
    a_side = vx * (ay - cy) - vy * (ax - cx)
    b_side = vx * (by - cy) - vy * (bx - cx)
    if c_side * d_side < 0.0 and a_side * b_side < 0.0:
        return 0.0
    return min(
        min(
            squared_point_distance(ax, ay, cx, cy, dx, dy),
            squared_point_distance(bx, by, cx, cy, dx, dy),
        ),
        min(
            squared_point_distance(cx, cy, ax, ay, bx, by),
            squared_point_distance(dx, dy, ax, ay, bx, by),
        ),
    )


@device_function
def ring_contains(world: int, first: int, end: int, x: float, y: float, shapes: Shapes) -> bool:
    """Whether a ring winds around a point."""
    winding = 0
    previous = end - 1
    for i in range(first, end):
        ax, ay = shapes.corner[world, previous, X] - x, shapes.corner[world, previous, Y] - y
        bx, by = shapes.corner[world, i, X] - x, shapes.corner[world, i, Y] - y
        if ay <= 0.0:
            if by > 0.0 and ax * by - bx * ay > 0.0:
                winding += 1
        elif by <= 0.0 and ax * by - bx * ay < 0.0:
            winding -= 1
        previous = i
    return winding != 0


@device_function
def shape_contains(world: int, shape: int, x: float, y: float, shapes: Shapes) -> bool:
    """Whether a point lies in one of the shape's rings."""
    if (
        x < shapes.bounds[world, shape, MIN_X]
        or x > shapes.bounds[world, shape, MAX_X]
        or y < shapes.bounds[world, shape, MIN_Y]
        or y > shapes.bounds[world, shape, MAX_Y]
    ):
        return False
    first, split = shapes.ring[world, shape, FIRST], shapes.ring[world, shape, SPLIT]
    return ring_contains(world, first, split, x, y, shapes) or ring_contains(
        world, split, shapes.ring[world, shape, END], x, y, shapes
    )


@inlined_function
def _axis_gap(min_a: float, max_a: float, min_b: float, max_b: float) -> float:
    return max(max(min_b - max_a, min_a - max_b), 0.0)


@device_function
def squared_bounds_gap(world: int, one: int, other: int, shapes: Shapes) -> float:
    """Squared distance of two shapes' bounds: never more than the shapes' own."""
    bounds = shapes.bounds
    return squared_gap_to_bounds(
        bounds[world, one, MIN_X],
        bounds[world, one, MAX_X],
        bounds[world, one, MIN_Y],
        bounds[world, one, MAX_Y],
        world,
        other,
        shapes,
    )


@inlined_function
def squared_gap_to_bounds(
    min_x: float,
    max_x: float,
    min_y: float,
    max_y: float,
    world: int,
    shape: int,
    shapes: Shapes,
) -> float:
    """Squared distance of a rectangle along the axes from a shape's bounds."""
    bounds = shapes.bounds
    gap_x = _axis_gap(min_x, max_x, bounds[world, shape, MIN_X], bounds[world, shape, MAX_X])
    gap_y = _axis_gap(min_y, max_y, bounds[world, shape, MIN_Y], bounds[world, shape, MAX_Y])
    return gap_x * gap_x + gap_y * gap_y


@device_function
def segment_to_shape(
    world: int,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    shape: int,
    best: float,
    shapes: Shapes,
) -> float:
    """Smaller of `best` and the squared distance of segment a-b from a shape's outline."""
    min_x, max_x = min(ax, bx), max(ax, bx)
    min_y, max_y = min(ay, by), max(ay, by)
    gap_x = _axis_gap(
        min_x, max_x, shapes.bounds[world, shape, MIN_X], shapes.bounds[world, shape, MAX_X]
    )
    gap_y = _axis_gap(
        min_y, max_y, shapes.bounds[world, shape, MIN_Y], shapes.bounds[world, shape, MAX_Y]
    )
    if gap_x * gap_x + gap_y * gap_y >= best:
        return best
    split, end = shapes.ring[world, shape, SPLIT], shapes.ring[world, shape, END]
    previous = split - 1
    for i in range(shapes.ring[world, shape, FIRST], end):
        if i == split:
            previous = end - 1
        cx, cy = shapes.corner[world, previous, X], shapes.corner[world, previous, Y]
        dx, dy = shapes.corner[world, i, X], shapes.corner[world, i, Y]
        previous = i
        gap_x = _axis_gap(min_x, max_x, min(cx, dx), max(cx, dx))
        gap_y = _axis_gap(min_y, max_y, min(cy, dy), max(cy, dy))
        if gap_x * gap_x + gap_y * gap_y < best:
            best = min(best, squared_segment_distance(ax, ay, bx, by, cx, cy, dx, dy))
    return best


@device_function
def squared_shape_distance(world: int, one: int, other: int, best: float, shapes: Shapes) -> float:
    """Smaller of `best` and the squared distance of two shapes, zero where they intersect.

    Outlines of overlapping rings run through the shape's inside, which changes no distance.
    """
    if squared_bounds_gap(world, one, other, shapes) >= best:
        return best
    split, end = shapes.ring[world, one, SPLIT], shapes.ring[world, one, END]
    previous = split - 1
    for i in range(shapes.ring[world, one, FIRST], end):
        if i == split:
            previous = end - 1
        ax, ay = shapes.corner[world, previous, X], shapes.corner[world, previous, Y]
        bx, by = shapes.corner[world, i, X], shapes.corner[world, i, Y]
        previous = i
        best = segment_to_shape(world, ax, ay, bx, by, other, best, shapes)
        if best == 0.0:
            return 0.0
    if _one_inside(world, one, other, shapes) or _one_inside(world, other, one, shapes):
        return 0.0
    return best


@device_function
def _one_inside(world: int, inner: int, outer: int, shapes: Shapes) -> bool:
    corner = shapes.ring[world, inner, FIRST]
    return shape_contains(
        world, outer, shapes.corner[world, corner, X], shapes.corner[world, corner, Y], shapes
    )
