"""Drawing primitives on one uint8 plane: boxes, thick lines and discs.

They give what OpenCV's `fillConvexPoly` (of rounded corners), `line` and `circle` give, because
the released policies were trained on its pictures. Limit: a shape cut by the picture's edge may
differ along the cut, where OpenCV leaves single holes in boxes and bends thick lines.
Source: OpenCV's drawing conventions (16.16 fixed point, 8-connected lines).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.raster_lines import (
    Band,
    Plane,
    clip_line,
    divide,
    next_pixel,
    round_px,
    start_line,
)

_SHIFT = 16
_ONE = 1 << _SHIFT
_HALF = _ONE >> 1
_FAR = 1 << 30
_MAX_CORNERS = 73


class Brush(NamedTuple):
    """Scratch of one thread: column span of each row, and a polygon's corners in 16.16 pixels."""

    left: NDArray[np.int64]  # (rows of the band,)
    right: NDArray[np.int64]
    corner_x: NDArray[np.int64]  # (_MAX_CORNERS,); 4 are enough for all but `polygon_disc`
    corner_y: NDArray[np.int64]
    band: Band


def make_brush(size_px: int) -> Brush:
    """A brush for whole planes of `size_px` rows."""
    spans = np.zeros((2, size_px), np.int64)
    corners = np.zeros((2, _MAX_CORNERS), np.int64)
    return Brush(spans[0], spans[1], corners[0], corners[1], Band(0, size_px))


@inlined_function
def _widen(brush: Brush, row: int, column: int) -> None:
    if brush.band.top <= row < brush.band.bottom:
        line = row - brush.band.top
        brush.left[line] = min(brush.left[line], column)
        brush.right[line] = max(brush.right[line], column)


@device_function
def _widen_line(brush: Brush, width: int, height: int, x0: int, y0: int, x1: int, y1: int) -> None:
    """`draw_line` into the brush's row spans."""
    walk, x, y, error = start_line(x0, y0, x1, y1, width, height)
    for _ in range(walk.num_pixels):
        _widen(brush, y, x)
        x, y, error = next_pixel(walk, x, y, error)


@device_function
def _widen_fixed_line(
    brush: Brush, width: int, height: int, x0: int, y0: int, x1: int, y1: int
) -> None:
    """Line between 16.16 points into the brush's row spans; the end is rounded on its own."""
    right, bottom = (width << _SHIFT) - 1, (height << _SHIFT) - 1
    visible, x0, y0, x1, y1 = clip_line(x0, y0, x1, y1, right, bottom)
    if not visible:
        return
    dx, dy = x1 - x0, y1 - y0
    _widen(brush, (y1 + _HALF) >> _SHIFT, (x1 + _HALF) >> _SHIFT)
    if abs(dx) > abs(dy):
        if dx < 0:
            x0, y0, x1, dy = x1, y1, x0, -dy
        slope = divide((dy << _SHIFT), (abs(dx) | 1))
        x, y = (x0 + _HALF) >> _SHIFT, y0 + _HALF
        for _ in range(((x1 - x0) >> _SHIFT) + 1):
            _widen(brush, y >> _SHIFT, x)
            x += 1
            y += slope
    else:
        if dy < 0:
            x0, y0, y1, dx = x1, y1, y0, -dx
        slope = divide((dx << _SHIFT), (abs(dy) | 1))
        x, y = x0 + _HALF, (y0 + _HALF) >> _SHIFT
        for _ in range(((y1 - y0) >> _SHIFT) + 1):
            _widen(brush, y, x >> _SHIFT)
            x += slope
            y += 1


@device_function
def _widen_edges(brush: Brush, count: int, direction: int) -> None:
    """Scan down one side of the polygon from its top corner; a row's crossing widens its span."""
    top = 0
    for i in range(1, count):
        if brush.corner_y[i] < brush.corner_y[top]:
            top = i
    at = top
    y = (brush.corner_y[top] + _HALF) >> _SHIFT
    for _ in range(count):
        to = (at + direction) % count
        end = (brush.corner_y[to] + _HALF) >> _SHIFT
        if end < y:
            break
        if end > y:
            x, rows = brush.corner_x[at], end - y
            slope = divide((brush.corner_x[to] - x) * 2 + rows, 2 * rows)
            for _ in range(rows):
                _widen(brush, y, (x + _HALF) >> _SHIFT)
                x += slope
                y += 1
        at = to


@device_function
def _fill_convex(plane: Plane, brush: Brush, count: int, whole_px: bool, value: int) -> None:
    """Fill the convex polygon of the brush's first corners: its outline and all between its edges.

    OpenCV draws the outline of whole-pixel corners with another line than that of 16.16 ones.
    """
    lowest, highest = brush.corner_y[0], brush.corner_y[0]
    for i in range(1, count):
        lowest, highest = min(lowest, brush.corner_y[i]), max(highest, brush.corner_y[i])
    top, bottom = brush.band.top, brush.band.bottom
    first = max(top, (lowest + _HALF) >> _SHIFT)
    last = min(bottom - 1, (highest + _HALF) >> _SHIFT)
    if first > last:
        return
    for line in range(first - top, last + 1 - top):
        brush.left[line], brush.right[line] = _FAR, -1
    height, width = plane.shape
    for i in range(count):
        x0, y0 = brush.corner_x[i], brush.corner_y[i]
        x1, y1 = brush.corner_x[(i + 1) % count], brush.corner_y[(i + 1) % count]
        if whole_px:
            x0, y0, x1, y1 = x0 >> _SHIFT, y0 >> _SHIFT, x1 >> _SHIFT, y1 >> _SHIFT
            _widen_line(brush, width, height, x0, y0, x1, y1)
        else:
            _widen_fixed_line(brush, width, height, x0, y0, x1, y1)
    _widen_edges(brush, count, 1)
    _widen_edges(brush, count, -1)
    for row in range(first, last + 1):
        left, right = brush.left[row - top], brush.right[row - top]
        for column in range(max(left, 0), min(right, width - 1) + 1):
            plane[row, column] = value


@device_function
def fill_box(
    plane: Plane,
    brush: Brush,
    row: float,
    column: float,
    forward_row: float,
    forward_column: float,
    right_row: float,
    right_column: float,
    value: int,
) -> None:
    """Fill a rotated rectangle.

    Args:
        plane: Image to draw on.
        brush: Scratch.
        row: Centre [px].
        column: Centre [px].
        forward_row: Half of the box towards its front, as a pixel vector.
        forward_column: The same.
        right_row: Half of the box towards its right, as a pixel vector.
        right_column: The same.
        value: Gray value.
    """
    reach = abs(forward_row) + abs(right_row)
    if row + reach < -0.5 or row - reach > plane.shape[0] - 0.5:
        return
    reach = abs(forward_column) + abs(right_column)
    if column + reach < -0.5 or column - reach > plane.shape[1] - 0.5:
        return
    for i in range(4):
        forward = 1.0 if i < 2 else -1.0
        right = 1.0 if i in (1, 2) else -1.0
        x = round_px(column + forward * forward_column + right * right_column)
        y = round_px(row + forward * forward_row + right * right_row)
        brush.corner_x[i], brush.corner_y[i] = x << _SHIFT, y << _SHIFT
    _fill_convex(plane, brush, 4, True, value)


@device_function
def fill_disc(plane: Plane, band: Band, row: int, column: int, radius: int, value: int) -> None:
    """Filled circle, by the midpoint algorithm."""
    size_x = plane.shape[1]
    if row + radius < band.top or row - radius >= band.bottom:
        return
    if column + radius < 0 or column - radius >= size_x:
        return
    error, dx, dy, plus, minus = 0, radius, 0, 1, 2 * radius - 1
    while dx >= dy:
        for line, half in ((dy, dx), (dx, dy)):
            left, right = max(column - half, 0), min(column + half, size_x - 1)
            for sign in (-1, 1):
                y = row + sign * line
                if band.top <= y < band.bottom:
                    for x in range(left, right + 1):
                        plane[y, x] = value
        dy += 1
        error += plus
        plus += 2
        if error > 0:
            error -= minus
            dx -= 1
            minus -= 2


def polygon_disc(radius: int) -> NDArray[np.int64]:
    """First and last column of each row of a disc around a pixel, (2 radius + 1, 2).

    OpenCV's `circle` goes through its ellipse polygon if the line type is not LINE_8. CaRL passes
    FILLED (-1) there, so its discs are polygons whose corners are rounded to one side.
    """
    step = 90 if radius < 3 else 30 if radius < 10 else 18 if radius < 15 else 5  # [degree]
    size = 2 * radius + 1
    brush, plane = make_brush(size), np.zeros((size, size), np.uint8)
    angles = np.radians(np.arange(0, 361, step))
    count = len(angles)
    brush.corner_x[:count] = np.rint((radius + radius * np.cos(angles)) * _ONE)
    brush.corner_y[:count] = np.rint((radius + radius * np.sin(angles)) * _ONE)
    _fill_convex(plane, brush, count, False, 1)
    spans = np.tile(np.array([0, -1]), (size, 1))
    for row in np.flatnonzero(plane.any(axis=1)):
        spans[row] = np.flatnonzero(plane[row])[[0, -1]] - radius
    return spans


@device_function
def stamp_disc(
    plane: Plane, band: Band, row: int, column: int, spans: NDArray[np.int64], value: int
) -> None:
    """Draw a `polygon_disc` around a pixel."""
    radius = spans.shape[0] // 2
    if column + radius < 0 or column - radius >= plane.shape[1]:
        return
    for line in range(max(band.top, row - radius), min(band.bottom, row + radius + 1)):
        left, right = spans[line - row + radius, 0], spans[line - row + radius, 1]
        for x in range(max(0, column + left), min(plane.shape[1] - 1, column + right) + 1):
            plane[line, x] = value


@device_function
def draw_thick_line(
    plane: Plane, brush: Brush, x0: int, y0: int, x1: int, y1: int, thickness: int, value: int
) -> None:
    """Line with round ends; an odd thickness t is t + 2 pixels wide, an even one t + 1.

    That is what OpenCV's `line` draws, and so what CaRL's stop lines (3) and Roach's route (16)
    look like.
    """
    half = (thickness + (thickness & 1)) * 0.5 * _ONE
    dx, dy = float(x0 - x1), float(y1 - y0)
    length = math.sqrt(dx * dx + dy * dy)
    if length > 0.0:
        across_x, across_y = round(dy * half / length), round(dx * half / length)
        start_x, start_y, end_x, end_y = x0 << _SHIFT, y0 << _SHIFT, x1 << _SHIFT, y1 << _SHIFT
        brush.corner_x[0], brush.corner_y[0] = start_x + across_x, start_y + across_y
        brush.corner_x[1], brush.corner_y[1] = start_x - across_x, start_y - across_y
        brush.corner_x[2], brush.corner_y[2] = end_x - across_x, end_y - across_y
        brush.corner_x[3], brush.corner_y[3] = end_x + across_x, end_y + across_y
        _fill_convex(plane, brush, 4, False, value)
    radius = (thickness + 1) >> 1
    fill_disc(plane, brush.band, y0, x0, radius, value)
    fill_disc(plane, brush.band, y1, x1, radius, value)
