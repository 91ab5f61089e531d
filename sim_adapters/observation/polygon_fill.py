"""Filling any polygon and polyline on a uint8 plane, pixel by pixel as OpenCV's functions do.

`fill_polygon` gives `fillPoly`, `draw_polyline` gives `polylines` and `fill_corners` gives
`fillConvexPoly`, each with its quirks where the picture's edge cuts a shape, because released
policies were trained on such pictures. Interiors are gathered as bits, one a pixel, over all
polygons of a plane and turned into bytes once. Source: OpenCV's drawing conventions (edges in
16.16 fixed point, even-odd rule, both ends of a span inside, outlines 8-connected).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.raster_lines import clip_line, divide, draw_line

_SHIFT = 16
_HALF = 1 << (_SHIFT - 1)
_FRACTION = (1 << _SHIFT) - 1
WORD_BITS = 64

Plane = NDArray[np.uint8]
Pixels = NDArray[np.int64]
Words = NDArray[np.int64]


class FillBits(NamedTuple):
    """Scratch of one thread, (rows, words): bit b of word w is column 64 w + b."""

    crossings: Words  # whole columns on which an edge of the current polygon crosses a row
    toggles: Words  # columns from which on the inside and the outside change places
    filled: Words  # interiors of all polygons since the last `flush_fill`


def make_fill_bits(size_px: int) -> FillBits:
    """Scratch for planes of `size_px` rows and columns, a multiple of 64."""
    shape = (size_px, size_px // WORD_BITS)
    return FillBits(*(np.zeros(shape, np.int64) for _ in FillBits._fields))


@device_function
def draw_segment(plane: Plane, x0: int, y0: int, x1: int, y1: int, value: int) -> None:
    """`draw_line`, faster between neighbouring pixels inside the picture."""
    height, width = plane.shape
    if max(x0, x1) < 0 or max(y0, y1) < 0 or min(x0, x1) >= width or min(y0, y1) >= height:
        return
    if (
        abs(x1 - x0) <= 1
        and abs(y1 - y0) <= 1
        and min(x0, x1) >= 0
        and max(x0, x1) < width
        and min(y0, y1) >= 0
        and max(y0, y1) < height
    ):
        plane[y0, x0] = value
        plane[y1, x1] = value
    else:
        draw_line(plane, x0, y0, x1, y1, value)


@device_function
def draw_polyline(plane: Plane, x: Pixels, y: Pixels, num_points: int, value: int) -> None:
    """Lines of one pixel between the points, which are (column, row) pairs."""
    for i in range(num_points - 1):
        draw_segment(plane, x[i], y[i], x[i + 1], y[i + 1], value)


@device_function
def _edge_line(
    x0: int, y0: int, x1: int, y1: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """Ends (x in 16.16, y) of the line on which an edge's crossings are found.

    An edge that leaves the picture is replaced by its visible part; one whose visible part is level
    or empty keeps its rows. That is OpenCV's way to keep slopes accurate.
    """
    inside = min(x0, x1) >= 0 and max(x0, x1) < width and min(y0, y1) >= 0 and max(y0, y1) < height
    if inside:
        return x0 << _SHIFT, y0, x1 << _SHIFT, y1
    _, cut_x0, cut_y0, cut_x1, cut_y1 = clip_line(x0, y0, x1, y1, width - 1, height - 1)
    if cut_y0 == cut_y1:
        return cut_x0 << _SHIFT, y0, cut_x1 << _SHIFT, y1
    return cut_x0 << _SHIFT, cut_y0, cut_x1 << _SHIFT, cut_y1


@device_function
def _cross_rows(bits: FillBits, width: int, x0: int, y0: int, x1: int, y1: int) -> None:
    """Note where an edge crosses the rows from its upper end down to above its lower end."""
    height = bits.crossings.shape[0]
    first, last = (y0, y1) if y0 < y1 else (y1, y0)
    if last <= 0 or first >= height or min(x0, x1) >= width:
        return
    if last - first == 1 and 0 <= first < height - 1 and min(x0, x1) >= 0 and max(x0, x1) < width:
        # The only row is that of its upper end, which the outline draws
        after = (x0 if y0 < y1 else x1) + 1
        if after < width:
            bits.toggles[first, after >> 6] ^= 1 << (after & 63)
        return
    line_x0, line_y0, line_x1, line_y1 = _edge_line(x0, y0, x1, y1, width, height)
    slope = divide(line_x1 - line_x0, line_y1 - line_y0)
    anchor_x, anchor_y = (line_x0, line_y0) if y0 < y1 else (line_x1, line_y1)
    first = max(first, 0)
    x = anchor_x + (first - anchor_y) * slope
    for row in range(first, min(last, height)):
        column = x >> _SHIFT
        if 0 <= column < width and (x & _FRACTION) == 0:
            bits.crossings[row, column >> 6] |= 1 << (column & 63)
        after = max(column + 1, 0)
        if after < width:
            bits.toggles[row, after >> 6] ^= 1 << (after & 63)
        x += slope


@inlined_function
def _prefix_parity(word: int) -> int:
    """Bit b of the result is the parity of bits 0 to b."""
    word ^= word << 1
    word ^= word << 2
    word ^= word << 4
    word ^= word << 8
    word ^= word << 16
    return word ^ (word << 32)


@device_function
def _collect_interior(
    bits: FillBits, first_row: int, last_row: int, first_word: int, last_word: int
) -> None:
    """Add the current polygon's pixels in these rows and words to `filled`, clear its crossings.

    A pixel is inside if an odd number of crossings lie left of it, or if one lies on it.
    """
    for row in range(first_row, last_row + 1):
        outside_in = 0  # all ones while the column before this word was inside
        for word in range(first_word, last_word + 1):
            inside = bits.toggles[row, word]
            if inside == 0:  # most words: all of them inside or all outside
                inside = outside_in
            else:
                inside = _prefix_parity(inside) ^ outside_in
                outside_in = inside >> 63
                bits.toggles[row, word] = 0
            inside |= bits.crossings[row, word]
            if inside != 0:
                bits.filled[row, word] |= inside
                bits.crossings[row, word] = 0


@device_function
def fill_polygon(
    plane: Plane, bits: FillBits, x: Pixels, y: Pixels, num_points: int, value: int
) -> None:
    """Draw a polygon's outline on the plane and add its interior to `bits.filled`.

    Args:
        plane: Image to draw on, of the size `bits` was made for.
        bits: Scratch.
        x: Columns of the corners.
        y: Rows of the corners.
        num_points: Corners; the last one is joined to the first.
        value: Gray value of the outline; `flush_fill` must be called with the same.
    """
    height, width = plane.shape
    lowest, highest, num_sloped = y[0], y[0], 0
    leftmost, rightmost = x[0], x[0]
    for i in range(num_points):
        lowest, highest = min(lowest, y[i]), max(highest, y[i])
        leftmost, rightmost = min(leftmost, x[i]), max(rightmost, x[i])
    before = num_points - 1
    for i in range(num_points):
        draw_segment(plane, x[before], y[before], x[i], y[i], value)
        if y[before] != y[i]:
            num_sloped += 1
            _cross_rows(bits, width, x[before], y[before], x[i], y[i])
        before = i
    if num_sloped > 0:
        # A crossing turns the pixel after it, which may be the first of the next word
        words = max(leftmost, 0) >> 6, min(rightmost + 1, width - 1) >> 6
        _collect_interior(bits, max(lowest, 0), min(highest, height - 1), *words)


@device_function
def flush_fill(plane: Plane, bits: FillBits, value: int) -> None:
    """Write the gathered interiors onto the plane and forget them."""
    for row in range(bits.filled.shape[0]):
        for word in range(bits.filled.shape[1]):
            pattern = bits.filled[row, word]
            if pattern == 0:
                continue
            first = word * WORD_BITS
            bits.filled[row, word] = 0
            if pattern == -1:
                plane[row, first : first + WORD_BITS] = value
                continue
            for byte in range(0, WORD_BITS, 8):
                eight = (pattern >> byte) & 255
                if eight == 255:
                    plane[row, first + byte : first + byte + 8] = value
                elif eight != 0:
                    for bit in range(8):
                        if (eight >> bit) & 1:
                            plane[row, first + byte + bit] = value


@device_function
def _next_side(
    corner_x: Pixels, corner_y: Pixels, at: int, direction: int, row: int, sides_left: int
) -> tuple[int, int, int, int, int]:
    """The side that goes on below `row`: (corner, end row, x, slope, sides left; -1: none)."""
    while sides_left > 0:
        sides_left -= 1
        to = (at + direction) & 3
        rows = corner_y[to] - row
        if rows > 0:
            start, end = corner_x[at] << _SHIFT, corner_x[to] << _SHIFT
            slope = divide((end - start) * 2 + rows, 2 * rows)
            return to, corner_y[to], start, slope, sides_left
        at = to
    return at, row, 0, 0, -1


@device_function
def fill_corners(plane: Plane, corner_x: Pixels, corner_y: Pixels, value: int) -> None:
    """Fill a box of four corners given in whole pixels, at once.

    Both chains of sides are followed down from the top corner; they share a count of four sides,
    which matters for boxes of a pixel or two whose corners fall on one another.
    """
    height, width = plane.shape
    top, lowest, leftmost, rightmost = 0, corner_y[0], corner_x[0], corner_x[0]
    for i in range(4):
        j = (i + 3) & 3
        draw_segment(plane, corner_x[j], corner_y[j], corner_x[i], corner_y[i], value)
        top = i if corner_y[i] < corner_y[top] else top
        lowest = max(lowest, corner_y[i])
        leftmost, rightmost = min(leftmost, corner_x[i]), max(rightmost, corner_x[i])
    if rightmost < 0 or leftmost >= width or lowest < 0 or corner_y[top] >= height:
        return
    sides_left, at_a, at_b = 4, top, top
    end_a, end_b = corner_y[top], corner_y[top]
    x_a, slope_a, x_b, slope_b = 0, 0, 0, 0
    for row in range(corner_y[top], min(lowest, height - 1) + 1):
        if row >= end_a:
            at_a, end_a, x_a, slope_a, sides_left = _next_side(
                corner_x, corner_y, at_a, 1, row, sides_left
            )
            if sides_left < 0:
                return
        if row >= end_b:
            at_b, end_b, x_b, slope_b, sides_left = _next_side(
                corner_x, corner_y, at_b, 3, row, sides_left
            )
            if sides_left < 0:
                return
        if row >= 0:
            left = max((min(x_a, x_b) + _HALF) >> _SHIFT, 0)
            right = min((max(x_a, x_b) + _HALF) >> _SHIFT, width - 1)
            for column in range(left, right + 1):
                plane[row, column] = value
        x_a += slope_a
        x_b += slope_b
