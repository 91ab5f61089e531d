"""Fills polygons and draws lines into a byte plane, with the pixel rules of OpenCV's fillPoly.

CaRL bakes its maps with OpenCV; a policy trained on those sees polygons that include every pixel
their outline passes. Vertices are whole pixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

BytePlane = NDArray[np.uint8]
PixelArray = NDArray[np.int64]
_MAX_CROSSINGS = 64  # of one pixel row with one polygon's outline


@njit(cache=True)
def draw_line(plane: BytePlane, x0: int, y0: int, x1: int, y1: int, bits: int) -> None:
    """Set `bits` along a line one pixel thick, both ends included.

    Bresenham's line (1965), drawn to the right and with ties as OpenCV breaks them.
    """
    rows, columns = plane.shape
    if x1 < x0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    dx, dy = x1 - x0, abs(y1 - y0)
    step_y = 1 if y1 > y0 else -1
    is_steep = dy > dx
    major, minor = (dy, dx) if is_steep else (dx, dy)
    error = major - 2 * minor
    for _ in range(major + 1):
        if 0 <= x0 < columns and 0 <= y0 < rows:
            plane[y0, x0] |= bits
        crosses = error < 0
        error += 2 * major * crosses - 2 * minor
        x0 += crosses if is_steep else 1
        y0 += step_y * (1 if is_steep else crosses)


@njit(cache=True)
def draw_polyline(plane: BytePlane, x: PixelArray, y: PixelArray, bits: int) -> None:
    """Set `bits` along an open polyline one pixel thick."""
    for corner in range(len(x) - 1):
        draw_line(plane, x[corner], y[corner], x[corner + 1], y[corner + 1], bits)


@njit(cache=True)
def fill_polygon(plane: BytePlane, x: PixelArray, y: PixelArray, bits: int) -> None:
    """Set `bits` inside a closed polygon (even-odd rule) and on its outline."""
    rows, columns = plane.shape
    count = len(x)
    for corner in range(count):
        after = (corner + 1) % count
        draw_line(plane, x[corner], y[corner], x[after], y[after], bits)
    crossings = np.empty(_MAX_CROSSINGS)
    for row in range(max(0, y.min()), min(rows, y.max() + 1)):
        found = 0
        for corner in range(count):
            after = (corner + 1) % count
            low, high = y[corner], y[after]
            # Half-open in y: an outline's corner counts once
            if (low <= row) != (high <= row) and found < _MAX_CROSSINGS:
                share = (row - low) / (high - low)
                crossings[found] = x[corner] + share * (x[after] - x[corner])
                found += 1
        crossings[:found].sort()
        for pair in range(0, found - 1, 2):
            first = max(0, int(np.ceil(crossings[pair])))
            last = min(columns - 1, int(np.floor(crossings[pair + 1])))
            for column in range(first, last + 1):
                plane[row, column] |= bits


@njit(cache=True)
def fill_strip(
    plane: BytePlane,
    left_x: PixelArray,
    left_y: PixelArray,
    right_x: PixelArray,
    right_y: PixelArray,
    bits: int,
) -> None:
    """Set `bits` between two edges that run side by side, shape (K,) each.

    Filling the quadrilaterals one by one leaves no hole where a tight curve folds an edge over
    itself, as the even-odd rule would.
    """
    x, y = np.empty(4, np.int64), np.empty(4, np.int64)
    for step in range(len(left_x) - 1):
        x[0], y[0] = left_x[step], left_y[step]
        x[1], y[1] = left_x[step + 1], left_y[step + 1]
        x[2], y[2] = right_x[step + 1], right_y[step + 1]
        x[3], y[3] = right_x[step], right_y[step]
        fill_polygon(plane, x, y, bits)
