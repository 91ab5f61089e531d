"""Reading the maps' layers into the ego's picture: a rotated window, bilinear or nearest.

One read of the packed layers (`warp_planes`) serves all of them. Words are zero wherever nothing is
drawn, and blocks of the picture with nothing near are skipped whole.

Positions and rounding are those of OpenCV's fixed-point `warpAffine` (1/1024 pixel steps, 1/32
pixel weights), on which the released policies were trained.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.spec import BevView, pixel_scale
from sim_adapters.observation.warp_planes import CELL_PX, WEIGHT_BITS, LayerTargets, WarpPlanes
from sim_adapters.scene.map_layers import MapLayers

_STEP_BITS = 10  # positions in 1/1024 pixel
_ALL_NEAREST = 0x1111  # the bit of the pixel itself in each layer's four


class Window(NamedTuple):
    """Map position [1/1024 px] of picture pixel (row, column): row part + column part."""

    row_x: NDArray[np.int64]  # (H,)
    row_y: NDArray[np.int64]
    column_x: NDArray[np.int64]  # (W,)
    column_y: NDArray[np.int64]


def make_window(size_px: int) -> Window:
    """Scratch of one thread."""
    return Window(*np.zeros((4, size_px), np.int64))


@inlined_function
def _fixed(value: float) -> int:
    return int(math.floor(value * (1 << _STEP_BITS) + 0.5))  # noqa: RUF046 -- a float on CUDA


@device_function
def place_window(
    view: BevView, layers: MapLayers, map_index: int, x: float, y: float, yaw: float, window: Window
) -> None:
    """Fill `window` for an ego at a world pose."""
    ppm = layers.pixels_per_meter[map_index]
    cos, sin = math.cos(yaw), math.sin(yaw)
    step = ppm / (view.pixels_per_meter * pixel_scale(view))  # map pixels per picture pixel
    ahead = (view.size_px - view.ego_px_from_bottom) / view.pixels_per_meter
    left = 0.5 * view.size_px / view.pixels_per_meter
    # Picture pixel (0, 0) is `ahead` before and `left` beside the ego; rows go back, columns right
    corner_x = ppm * (x + cos * ahead - sin * left - layers.origin_x[map_index])
    corner_y = ppm * (y + sin * ahead + cos * left - layers.origin_y[map_index])
    for i in range(view.size_px):
        window.row_x[i] = _fixed(corner_x - step * cos * i)
        window.row_y[i] = _fixed(corner_y - step * sin * i)
        window.column_x[i] = _fixed(step * sin * i)
        window.column_y[i] = _fixed(-step * cos * i)


def block_size_px(view: BevView, layers: MapLayers) -> int:
    """Side of the picture's blocks: so small that a block's corners are within one cell."""
    return max(1, CELL_PX // math.ceil(layers.pixels_per_meter[0] / view.pixels_per_meter))


@device_function
def _is_inside(planes: WarpPlanes, map_index: int, window: Window) -> bool:
    """Whether the whole picture lies on the canvas: then no pixel has to ask."""
    last = window.row_x.shape[0] - 1
    width, height = planes.width[map_index], planes.height[map_index]
    for row in (0, last):
        for column in (0, last):
            x = (window.row_x[row] + window.column_x[column]) >> _STEP_BITS
            y = (window.row_y[row] + window.column_y[column]) >> _STEP_BITS
            if x < 1 or y < 1 or x >= width - 2 or y >= height - 2:
                return False
    return True


@inlined_function
def _block_is_empty(
    planes: WarpPlanes, map_index: int, window: Window, row: int, column: int, block: int
) -> bool:
    """Whether nothing is near a block's middle: its corners are less than a cell away."""
    last = window.row_x.shape[0] - 1
    row, column = min(row + block // 2, last), min(column + block // 2, last)
    x = (window.row_x[row] + window.column_x[column]) >> (_STEP_BITS + 3)
    y = (window.row_y[row] + window.column_y[column]) >> (_STEP_BITS + 3)
    width, height = planes.width[map_index] >> 3, planes.height[map_index] >> 3
    if x < -1 or y < -1 or x > width or y > height:
        return True
    # Just outside the canvas the neighbour's flag at the edge still covers what is drawn there
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    return not planes.occupied[planes.first_cell[map_index] + y * width + x]


@inlined_function
def _put_bilinear(
    frame: NDArray[np.uint8],
    at: int,
    word: int,
    part: int,
    table: NDArray[np.uint8],
    targets: LayerTargets,
) -> None:
    """Draw what a word shows at a pixel of a frame (C, H * W); `part` is the table's."""
    layer = 0
    while word != 0:
        value = table[part + (word & 15)]
        if value != 0:
            fixed = targets.value[layer]
            frame[targets.channel[layer], at] = fixed if fixed else value
        word >>= 4
        layer += 1


@inlined_function
def _put_nearest(frame: NDArray[np.uint8], at: int, word: int, targets: LayerTargets) -> None:
    """Draw the layers whose nearest pixel is set in a word."""
    layer = 0
    while word != 0:
        if word & 1:
            fixed = targets.value[layer]
            frame[targets.channel[layer], at] = fixed if fixed else 255
        word >>= 4
        layer += 1


@device_function
def warp_bilinear(
    frame: NDArray[np.uint8],
    planes: WarpPlanes,
    map_index: int,
    window: Window,
    table: NDArray[np.uint8],
    targets: LayerTargets,
    block: int,
) -> None:
    """Draw the layers into a cleared (C, H * W) frame, interpolated between map pixels.

    Limit: half a pixel is lost where something is drawn on the canvas' first row or column; maps
    have a margin around their roads.
    """
    size = window.row_x.shape[0]
    width, height = planes.width[map_index], planes.height[map_index]
    first_word, inside = planes.first_word[map_index], _is_inside(planes, map_index, window)
    road = targets.channel[0]
    plain = 0x000F if targets.value[0] == 0 else -1  # the first layer and nothing else, all over
    half, shift = 1 << (_STEP_BITS - WEIGHT_BITS - 1), _STEP_BITS - WEIGHT_BITS
    for block_row in range(0, size, block):
        for block_column in range(0, size, block):
            if _block_is_empty(planes, map_index, window, block_row, block_column, block):
                continue
            for row in range(block_row, min(block_row + block, size)):
                row_x, row_y = window.row_x[row] + half, window.row_y[row] + half
                for column in range(block_column, min(block_column + block, size)):
                    x = (row_x + window.column_x[column]) >> shift
                    y = (row_y + window.column_y[column]) >> shift
                    i, j = x >> WEIGHT_BITS, y >> WEIGHT_BITS
                    if not inside and (i < 0 or j < 0 or i >= width or j >= height):
                        continue
                    word = np.int64(planes.words[first_word + j * width + i])
                    at = row * size + column
                    if word == plain:
                        frame[road, at] = 255
                        continue
                    part = (((y & 31) << WEIGHT_BITS) + (x & 31)) << 4
                    _put_bilinear(frame, at, word, part, table, targets)


@device_function
def warp_nearest(
    frame: NDArray[np.uint8],
    planes: WarpPlanes,
    map_index: int,
    window: Window,
    targets: LayerTargets,
    block: int,
) -> None:
    """Draw the layers into a cleared (C, H * W) frame, each pixel from the nearest map pixel."""
    size = window.row_x.shape[0]
    width, height = planes.width[map_index], planes.height[map_index]
    first_word, inside = planes.first_word[map_index], _is_inside(planes, map_index, window)
    half = 1 << (_STEP_BITS - 1)
    for block_row in range(0, size, block):
        for block_column in range(0, size, block):
            if _block_is_empty(planes, map_index, window, block_row, block_column, block):
                continue
            for row in range(block_row, min(block_row + block, size)):
                row_x, row_y = window.row_x[row] + half, window.row_y[row] + half
                for column in range(block_column, min(block_column + block, size)):
                    i = (row_x + window.column_x[column]) >> _STEP_BITS
                    j = (row_y + window.column_y[column]) >> _STEP_BITS
                    if not inside and (i < 0 or j < 0 or i >= width or j >= height):
                        continue
                    word = np.int64(planes.words[first_word + j * width + i]) & _ALL_NEAREST
                    at = row * size + column
                    _put_nearest(frame, at, word, targets)


class Warp(NamedTuple):
    """How pictures of one bank are warped, and to where."""

    planes: WarpPlanes
    targets: LayerTargets
    channels: NDArray[np.int32]  # planes of the picture that are cleared first
    table: NDArray[np.uint8]  # of `bilinear_table`; nearest pixels need none
    block_px: int  # of `block_size_px`


@device_function
def warp_bilinear_pixel(
    frame: NDArray[np.uint8], warp: Warp, map_index: int, window: Window, row: int, column: int
) -> None:
    """Draw one pixel as `warp_bilinear` does, which looks at whole blocks to be done sooner."""
    half, shift = 1 << (_STEP_BITS - WEIGHT_BITS - 1), _STEP_BITS - WEIGHT_BITS
    x = (window.row_x[row] + half + window.column_x[column]) >> shift
    y = (window.row_y[row] + half + window.column_y[column]) >> shift
    i, j = x >> WEIGHT_BITS, y >> WEIGHT_BITS
    planes = warp.planes
    width, height = planes.width[map_index], planes.height[map_index]
    if i < 0 or j < 0 or i >= width or j >= height:
        return
    word = np.int64(planes.words[planes.first_word[map_index] + j * width + i])
    part = (((y & 31) << WEIGHT_BITS) + (x & 31)) << 4
    at = row * window.row_x.shape[0] + column
    _put_bilinear(frame, at, word, part, warp.table, warp.targets)


@device_function
def warp_nearest_pixel(
    frame: NDArray[np.uint8], warp: Warp, map_index: int, window: Window, row: int, column: int
) -> None:
    """Draw one pixel as `warp_nearest` does."""
    half = 1 << (_STEP_BITS - 1)
    i = (window.row_x[row] + half + window.column_x[column]) >> _STEP_BITS
    j = (window.row_y[row] + half + window.column_y[column]) >> _STEP_BITS
    planes = warp.planes
    width, height = planes.width[map_index], planes.height[map_index]
    if i < 0 or j < 0 or i >= width or j >= height:
        return
    word = np.int64(planes.words[planes.first_word[map_index] + j * width + i]) & _ALL_NEAREST
    _put_nearest(frame, row * window.row_x.shape[0] + column, word, warp.targets)


@range_kernel
def warp_bilinear_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    layers: MapLayers,
    warp: Warp,
    window: Window,
    frames: NDArray[np.uint8],
) -> None:
    """Clear the channels and draw the layers in the frames `first` to `last - 1`."""
    for row in range(first, last):
        town = rows.map_index[row, 0]
        pose = rows.pose[row]
        place_window(view, layers, town, pose[0], pose[1], pose[3], window)
        pixels = frames[row].reshape((frames.shape[1], view.size_px * view.size_px))
        for channel in warp.channels:
            pixels[channel, :] = 0
        warp_bilinear(pixels, warp.planes, town, window, warp.table, warp.targets, warp.block_px)


@range_kernel
def warp_nearest_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    layers: MapLayers,
    warp: Warp,
    window: Window,
    frames: NDArray[np.uint8],
) -> None:
    """As `warp_bilinear_range`, from the nearest map pixel."""
    for row in range(first, last):
        town = rows.map_index[row, 0]
        pose = rows.pose[row]
        place_window(view, layers, town, pose[0], pose[1], pose[3], window)
        pixels = frames[row].reshape((frames.shape[1], view.size_px * view.size_px))
        for channel in warp.channels:
            pixels[channel, :] = 0
        warp_nearest(pixels, warp.planes, town, window, warp.targets, warp.block_px)
