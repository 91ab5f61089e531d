"""Thin lines on one uint8 plane, as OpenCV draws them, and the arithmetic that shapes share.

Source: OpenCV's drawing conventions (8-connected lines).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function

Plane = NDArray[np.uint8]


class Band(NamedTuple):
    """Rows of a plane that a thread draws; shapes look there as if the whole plane was drawn."""

    top: int  # first row
    bottom: int  # row after the last


@inlined_function
def round_px(value: float) -> int:
    """Nearest whole pixel."""
    return int(math.floor(value + 0.5))  # noqa: RUF046 -- CUDA's floor is a float


@inlined_function
def divide(numerator: int, denominator: int) -> int:
    """Integer division towards zero, as in C."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator >= 0) == (denominator > 0) else -quotient


@inlined_function
def _put(plane: Plane, band: Band, row: int, column: int, value: int) -> None:
    if band.top <= row < band.bottom and 0 <= column < plane.shape[1]:
        plane[row, column] = value


@device_function
def clip_line(
    x0: int, y0: int, x1: int, y1: int, right: int, bottom: int
) -> tuple[bool, int, int, int, int]:
    """Cut a line to [0, right] x [0, bottom]; False if nothing is left (Cohen-Sutherland)."""
    if max(x0, x1) < 0 or max(y0, y1) < 0 or min(x0, x1) > right or min(y0, y1) > bottom:
        return False, x0, y0, x1, y1
    if y0 < 0 or y0 > bottom:
        edge = 0 if y0 < 0 else bottom
        x0, y0 = x0 + int(float(edge - y0) * (x1 - x0) / (y1 - y0)), edge
    if y1 < 0 or y1 > bottom:
        edge = 0 if y1 < 0 else bottom
        x1, y1 = x1 + int(float(edge - y1) * (x1 - x0) / (y1 - y0)), edge
    if max(x0, x1) < 0 or min(x0, x1) > right:
        return False, x0, y0, x1, y1
    if x0 < 0 or x0 > right:
        edge = 0 if x0 < 0 else right
        x0, y0 = edge, y0 + int(float(edge - x0) * (y1 - y0) / (x1 - x0))
    if x1 < 0 or x1 > right:
        edge = 0 if x1 < 0 else right
        x1, y1 = edge, y1 + int(float(edge - x1) * (y1 - y0) / (x1 - x0))
    return True, x0, y0, x1, y1


class LineWalk(NamedTuple):
    """8-connected Bresenham line: its visible part, walked from left to right."""

    num_pixels: int  # both ends included; 0 if nothing is visible
    dx: int
    dy: int  # without its sign
    row_step: int  # rows down at a turn: 1 or -1


@device_function
def start_line(
    x0: int, y0: int, x1: int, y1: int, width: int, height: int
) -> tuple[LineWalk, int, int, int]:
    """The walk in a picture of that size, its first pixel (x, y), and the error to begin with."""
    visible, x0, y0, x1, y1 = clip_line(x0, y0, x1, y1, width - 1, height - 1)
    if x1 < x0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    dx, dy = x1 - x0, abs(y1 - y0)
    major, minor = max(dx, dy), min(dx, dy)
    num_pixels = major + 1 if visible else 0
    return LineWalk(num_pixels, dx, dy, 1 if y1 >= y0 else -1), x0, y0, major - 2 * minor


@inlined_function
def next_pixel(walk: LineWalk, x: int, y: int, error: int) -> tuple[int, int, int]:
    """Pixel and error after these."""
    dx, dy = walk.dx, walk.dy
    turn = error < 0
    error += 2 * max(dx, dy) * turn - 2 * min(dx, dy)
    x += 1 if dx >= dy else int(turn)
    y += walk.row_step if dy > dx else walk.row_step * turn
    return x, y, error


@device_function
def draw_line(plane: Plane, x0: int, y0: int, x1: int, y1: int, value: int) -> None:
    """One-pixel line, both ends included."""
    draw_line_in(plane, Band(0, plane.shape[0]), x0, y0, x1, y1, value)


@device_function
def draw_line_in(plane: Plane, band: Band, x0: int, y0: int, x1: int, y1: int, value: int) -> None:
    """The pixels of `draw_line` in a band."""
    walk, x, y, error = start_line(x0, y0, x1, y1, plane.shape[1], plane.shape[0])
    for _ in range(walk.num_pixels):
        _put(plane, band, y, x, value)
        x, y, error = next_pixel(walk, x, y, error)
