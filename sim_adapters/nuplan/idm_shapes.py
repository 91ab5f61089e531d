"""Shapes that IDM drivers look at: rings of corners in one pool a world, and distances of them.

A shape is the union of one or two rings (a car's box, and its path stretched ahead). Shapes are
closed as in shapely: they intersect where they touch, and their distance is then zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
BOX_CORNERS = 4


class Shapes(NamedTuple):
    """S shapes a world, (B, S), and their corners, (B, V); rings are open (first is not repeated).

    Rings are first:split and split:end; the second may be empty. A shape with first == end is no
    shape.
    """

    first: IntArray
    split: IntArray
    end: IntArray
    min_x: FloatArray  # bounds [m]
    min_y: FloatArray
    max_x: FloatArray
    max_y: FloatArray
    x: FloatArray  # (B, V) [m]
    y: FloatArray


def empty_shapes(num_worlds: int, num_shapes: int, num_corners: int) -> Shapes:
    """Room for S shapes with V corners together in each world."""
    rows = (num_worlds, num_shapes)
    return Shapes(
        first=np.zeros(rows, np.int32),
        split=np.zeros(rows, np.int32),
        end=np.zeros(rows, np.int32),
        min_x=np.zeros(rows),
        min_y=np.zeros(rows),
        max_x=np.zeros(rows),
        max_y=np.zeros(rows),
        x=np.zeros((num_worlds, num_corners)),
        y=np.zeros((num_worlds, num_corners)),
    )


@device_function
def close_shape(world: int, shape: int, split: int, end: int, shapes: Shapes) -> None:
    """Finish a shape whose corners are in place from `first` on: its rings and its bounds."""
    first = shapes.first[world, shape]
    shapes.split[world, shape], shapes.end[world, shape] = split, end
    min_x = min_y = math.inf
    max_x = max_y = -math.inf
    for i in range(first, end):
        x, y = shapes.x[world, i], shapes.y[world, i]
        min_x, max_x = min(min_x, x), max(max_x, x)
        min_y, max_y = min(min_y, y), max(max_y, y)
    shapes.min_x[world, shape], shapes.max_x[world, shape] = min_x, max_x
    shapes.min_y[world, shape], shapes.max_y[world, shape] = min_y, max_y


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
        shapes.x[world, first + corner] = x + ahead * along_x + left * left_x
        shapes.y[world, first + corner] = y + ahead * along_y + left * left_y


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
        ax, ay = shapes.x[world, previous] - x, shapes.y[world, previous] - y
        bx, by = shapes.x[world, i] - x, shapes.y[world, i] - y
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
        x < shapes.min_x[world, shape]
        or x > shapes.max_x[world, shape]
        or y < shapes.min_y[world, shape]
        or y > shapes.max_y[world, shape]
    ):
        return False
    first, split = shapes.first[world, shape], shapes.split[world, shape]
    return ring_contains(world, first, split, x, y, shapes) or ring_contains(
        world, split, shapes.end[world, shape], x, y, shapes
    )


@inlined_function
def _axis_gap(min_a: float, max_a: float, min_b: float, max_b: float) -> float:
    return max(max(min_b - max_a, min_a - max_b), 0.0)


@device_function
def squared_bounds_gap(world: int, one: int, other: int, shapes: Shapes) -> float:
    """Squared distance of two shapes' bounds: never more than the shapes' own."""
    gap_x = _axis_gap(
        shapes.min_x[world, one],
        shapes.max_x[world, one],
        shapes.min_x[world, other],
        shapes.max_x[world, other],
    )
    gap_y = _axis_gap(
        shapes.min_y[world, one],
        shapes.max_y[world, one],
        shapes.min_y[world, other],
        shapes.max_y[world, other],
    )
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
    gap_x = _axis_gap(min_x, max_x, shapes.min_x[world, shape], shapes.max_x[world, shape])
    gap_y = _axis_gap(min_y, max_y, shapes.min_y[world, shape], shapes.max_y[world, shape])
    if gap_x * gap_x + gap_y * gap_y >= best:
        return best
    split, end = shapes.split[world, shape], shapes.end[world, shape]
    previous = split - 1
    for i in range(shapes.first[world, shape], end):
        if i == split:
            previous = end - 1
        cx, cy = shapes.x[world, previous], shapes.y[world, previous]
        dx, dy = shapes.x[world, i], shapes.y[world, i]
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
    split, end = shapes.split[world, one], shapes.end[world, one]
    previous = split - 1
    for i in range(shapes.first[world, one], end):
        if i == split:
            previous = end - 1
        ax, ay = shapes.x[world, previous], shapes.y[world, previous]
        bx, by = shapes.x[world, i], shapes.y[world, i]
        previous = i
        best = segment_to_shape(world, ax, ay, bx, by, other, best, shapes)
        if best == 0.0:
            return 0.0
    if _one_inside(world, one, other, shapes) or _one_inside(world, other, one, shapes):
        return 0.0
    return best


@device_function
def _one_inside(world: int, inner: int, outer: int, shapes: Shapes) -> bool:
    corner = shapes.first[world, inner]
    return shape_contains(world, outer, shapes.x[world, corner], shapes.y[world, corner], shapes)
