"""A path widened to both sides, as GEOS buffers a line: outline corners, and what it runs into.

The devkit compares such buffers with shapely, so joins have GEOS' corners: 16 to a quarter turn
on the outside of a bend, none for turns below half of that, and the offset segments' intersection
on the inside.

Source: nuplan-devkit buffers with shapely's defaults and flat (agents) or square (planner) ends;
the corners of a buffer are those of GEOS' OffsetSegmentGenerator.
Limit: GEOS also drops vertices of a path closer than half its width / 100; ours keeps them, which
moves the outline by less than that.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import device_function
from sim_adapters.nuplan.idm.shapes import (
    FIRST,
    MAX_X,
    MAX_Y,
    MIN_X,
    MIN_Y,
    FloatArray,
    Shapes,
    X,
    Y,
    segment_to_shape,
    shape_contains,
)

FILLET_STEP_RAD = 0.5 * math.pi / 16
SAME_CORNER_SHARE = 1e-3  # of the half width: offset ends this close make one corner
REDUNDANT_SHARE = 1e-4  # corners this close to the last are left out
CLOSING_SHARE = 80.0  # how near to the offset ends an inner corner is bridged


class WideLine(NamedTuple):
    """A line that is widened to both sides."""

    points: FloatArray  # (B, P, 2) x, y [m], no two in a row equal
    num_points: int
    half_width_m: float
    end_extension_m: float  # how far the ends reach beyond: 0 for flat, the half width for square


class _Bend(NamedTuple):
    """Three points of a line, and the offsets to the side of its two segments [m]."""

    x0: float
    y0: float
    x1: float
    y1: float
    x2: float
    y2: float
    nx: float  # offset of the first segment
    ny: float
    mx: float  # of the second
    my: float


@device_function
def _add_corner(
    world: int, first: int, end: int, x: float, y: float, redundant_m: float, shapes: Shapes
) -> int:
    """Append a corner unless it repeats the last; returns the new end (which may be the pool's)."""
    if end > first:
        dx, dy = x - shapes.corner[world, end - 1, X], y - shapes.corner[world, end - 1, Y]
        if dx * dx + dy * dy < redundant_m * redundant_m:
            return end
    if end < shapes.corner.shape[1]:
        shapes.corner[world, end, X], shapes.corner[world, end, Y] = x, y
    return end + 1


@device_function
def _add_left_side(
    world: int,
    first: int,
    end: int,
    line: FloatArray,
    begin: int,
    stop: int,
    step: int,
    half_width_m: float,
    shapes: Shapes,
) -> int:
    """Append the outline left of a line's points begin, begin + step, ..., stop."""
    redundant = REDUNDANT_SHARE * half_width_m
    same = SAME_CORNER_SHARE * half_width_m
    x0, y0 = line[world, begin, X], line[world, begin, Y]
    x1, y1 = line[world, begin + step, X], line[world, begin + step, Y]
    length = math.hypot(x1 - x0, y1 - y0)
    nx, ny = -half_width_m * (y1 - y0) / length, half_width_m * (x1 - x0) / length
    end = _add_corner(world, first, end, x0 + nx, y0 + ny, redundant, shapes)
    i = begin + step
    while i != stop:
        i += step
        x2, y2 = line[world, i, X], line[world, i, Y]
        length = math.hypot(x2 - x1, y2 - y1)
        mx, my = -half_width_m * (y2 - y1) / length, half_width_m * (x2 - x1) / length
        turn = (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1)
        close = math.hypot(mx - nx, my - ny) < same
        if turn < 0.0 and not close:  # a bend to the right: the left side is outside
            end = _add_corner(world, first, end, x1 + nx, y1 + ny, redundant, shapes)
            angle_0 = math.atan2(ny, nx)
            turn = (angle_0 - math.atan2(my, mx)) % (2.0 * math.pi)
            count = int(turn / FILLET_STEP_RAD + 0.5)
            for k in range(count):
                angle = angle_0 - k * turn / count
                x, y = x1 + half_width_m * math.cos(angle), y1 + half_width_m * math.sin(angle)
                end = _add_corner(world, first, end, x, y, redundant, shapes)
            end = _add_corner(world, first, end, x1 + mx, y1 + my, redundant, shapes)
        elif turn > 0.0:
            bend = _Bend(x0, y0, x1, y1, x2, y2, nx, ny, mx, my)
            end = _add_inner_corner(world, first, end, bend, close, shapes)
        elif turn < 0.0:
            end = _add_corner(world, first, end, x1 + nx, y1 + ny, redundant, shapes)
        x0, y0, x1, y1, nx, ny = x1, y1, x2, y2, mx, my
    return _add_corner(world, first, end, x1 + nx, y1 + ny, redundant, shapes)


@device_function
def _add_inner_corner(
    world: int,
    first: int,
    end: int,
    bend: _Bend,
    close: bool,
    shapes: Shapes,
) -> int:
    """Append the corner on the inside of a bend: where the offset segments meet, if they do.

    Short segments beside a wide path may not meet; then a bridge through the path's inside joins
    them, which is no part of the final outline.
    """
    x0, y0, x1, y1, x2, y2, nx, ny, mx, my = bend
    redundant = REDUNDANT_SHARE * math.hypot(nx, ny)
    ux, uy, vx, vy = x1 - x0, y1 - y0, x2 - x1, y2 - y1
    # p0 + s u = p1 + t v for the offset segments p0 = (x0, y0) + n and p1 = (x1, y1) + m
    cross = ux * vy - uy * vx
    gap_x, gap_y = x1 + mx - x0 - nx, y1 + my - y0 - ny
    s, t = (gap_x * vy - gap_y * vx) / cross, (gap_x * uy - gap_y * ux) / cross
    if 0.0 <= s <= 1.0 and 0.0 <= t <= 1.0:
        x, y = x0 + nx + s * ux, y0 + ny + s * uy
        return _add_corner(world, first, end, x, y, redundant, shapes)
    end = _add_corner(world, first, end, x1 + nx, y1 + ny, redundant, shapes)
    if close:
        return end
    share = CLOSING_SHARE / (CLOSING_SHARE + 1.0)
    end = _add_corner(world, first, end, x1 + share * nx, y1 + share * ny, redundant, shapes)
    end = _add_corner(world, first, end, x1 + share * mx, y1 + share * my, redundant, shapes)
    return _add_corner(world, first, end, x1 + mx, y1 + my, redundant, shapes)


@device_function
def write_outline(
    world: int,
    first: int,
    line: FloatArray,
    num_points: int,
    half_width_m: float,
    shapes: Shapes,
) -> int:
    """Write the ring of a line widened to both sides with flat ends; returns its end in the pool.

    An end beyond the pool's size means that the outline did not fit.

    Args:
        world: Row.
        first: Place in the pool of the first corner.
        line: (B, P, 2) points of the line, no two in a row equal.
        num_points: Of the line; below two there is no outline.
        half_width_m: Distance from the line.
        shapes: The pool.
    """
    if num_points < 2:
        return first
    end = _add_left_side(world, first, first, line, 0, num_points - 1, 1, half_width_m, shapes)
    return _add_left_side(world, first, end, line, num_points - 1, 0, -1, half_width_m, shapes)


@device_function
def widened_line_hits(world: int, line: WideLine, shape: int, shapes: Shapes) -> bool:
    """Whether a widened line intersects a shape.

    It is a rectangle a segment and a fan in the outer side of each bend; they are looked at one by
    one where their bounds come near the shape's.
    """
    points, half_width_m = line.points, line.half_width_m
    low_x, high_x = shapes.bounds[world, shape, MIN_X], shapes.bounds[world, shape, MAX_X]
    low_y, high_y = shapes.bounds[world, shape, MIN_Y], shapes.bounds[world, shape, MAX_Y]
    low_x, high_x = low_x - half_width_m, high_x + half_width_m
    low_y, high_y = low_y - half_width_m, high_y + half_width_m
    last = line.num_points - 2
    for i in range(line.num_points - 1):
        x0, y0 = points[world, i, X], points[world, i, Y]
        x1, y1 = points[world, i + 1, X], points[world, i + 1, Y]
        at_end = i == 0 or i == last
        reach = line.end_extension_m if at_end else 0.0
        if (
            max(x0, x1) + reach < low_x
            or min(x0, x1) - reach > high_x
            or max(y0, y1) + reach < low_y
            or min(y0, y1) - reach > high_y
        ):
            continue
        length = math.hypot(x1 - x0, y1 - y0)
        nx, ny = -half_width_m * (y1 - y0) / length, half_width_m * (x1 - x0) / length
        if i < last and _fan_hits(world, points, i, nx, ny, half_width_m, shape, shapes):
            return True
        if i == 0:
            x0 -= reach * (x1 - x0) / length
            y0 -= reach * (y1 - y0) / length
        if i == last:
            length = math.hypot(x1 - x0, y1 - y0)
            x1 += reach * (x1 - x0) / length
            y1 += reach * (y1 - y0) / length
        if _rectangle_hits(world, x0, y0, x1, y1, nx, ny, shape, shapes):
            return True
    return False


@device_function
def _rectangle_hits(
    world: int,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    nx: float,
    ny: float,
    shape: int,
    shapes: Shapes,
) -> bool:
    """Whether the rectangle around a segment with side offsets +-n intersects a shape."""
    nearest = segment_to_shape(world, x0 + nx, y0 + ny, x1 + nx, y1 + ny, shape, 1.0, shapes)
    nearest = segment_to_shape(world, x0 - nx, y0 - ny, x1 - nx, y1 - ny, shape, nearest, shapes)
    nearest = segment_to_shape(world, x0 - nx, y0 - ny, x0 + nx, y0 + ny, shape, nearest, shapes)
    nearest = segment_to_shape(world, x1 - nx, y1 - ny, x1 + nx, y1 + ny, shape, nearest, shapes)
    if nearest == 0.0 or shape_contains(world, shape, x0, y0, shapes):
        return True
    corner = shapes.ring[world, shape, FIRST]
    dx, dy = shapes.corner[world, corner, X] - x0, shapes.corner[world, corner, Y] - y0
    ux, uy = x1 - x0, y1 - y0
    along, across = dx * ux + dy * uy, dx * nx + dy * ny
    return 0.0 <= along <= ux * ux + uy * uy and abs(across) <= nx * nx + ny * ny


@device_function
def _fan_hits(
    world: int,
    line: FloatArray,
    i: int,
    nx: float,
    ny: float,
    half_width_m: float,
    shape: int,
    shapes: Shapes,
) -> bool:
    """Whether the outer rim of the bend after segment i intersects a shape.

    What lies wholly inside a fan would be smaller than any box: only its rim is looked at.
    """
    x0, y0 = line[world, i, X], line[world, i, Y]
    x1, y1 = line[world, i + 1, X], line[world, i + 1, Y]
    x2, y2 = line[world, i + 2, X], line[world, i + 2, Y]
    length = math.hypot(x2 - x1, y2 - y1)
    mx, my = -half_width_m * (y2 - y1) / length, half_width_m * (x2 - x1) / length
    turn = (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1)
    if turn > 0.0:  # the right side is outside: go round it from the next segment's offset
        nx, ny, mx, my = -mx, -my, -nx, -ny
    if math.hypot(mx - nx, my - ny) < SAME_CORNER_SHARE * half_width_m:
        return False
    angle_0 = math.atan2(ny, nx)
    turn = (angle_0 - math.atan2(my, mx)) % (2.0 * math.pi)
    count = max(int(turn / FILLET_STEP_RAD + 0.5), 1)
    ax, ay = x1 + nx, y1 + ny
    for k in range(1, count + 1):
        angle = angle_0 - k * turn / count
        bx, by = x1 + half_width_m * math.cos(angle), y1 + half_width_m * math.sin(angle)
        if segment_to_shape(world, ax, ay, bx, by, shape, 1.0, shapes) == 0.0:
            return True
        ax, ay = bx, by
    return False
