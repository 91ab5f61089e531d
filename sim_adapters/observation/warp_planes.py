"""The maps' layers packed for `map_warp`.

Bilinear values need four neighbouring map pixels. They are packed beforehand: a word of the
`WarpPlanes` holds, for up to four layers, the four bits of the 2x2 pixels at its place, and a table
turns (sub-pixel place, four bits) into the gray value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.map_layers import TILE_PX, MapLayers, layer_pixel

MAX_LAYERS = 4
CELL_PX = 8  # the maps' occupancy is kept for cells of 8x8 map pixels
WEIGHT_BITS = 5  # weights in 1/32 pixel
_WEIGHTS = 1 << WEIGHT_BITS


class WarpPlanes(NamedTuple):
    """Packed layers of all maps, row-major; a picture's window stays in the second-level cache."""

    words: NDArray[np.uint16]
    first_word: NDArray[np.int64]  # (M,) of each map's pixel (0, 0)
    width: NDArray[np.int64]  # (M,) pixels, whole tiles
    height: NDArray[np.int64]
    occupied: NDArray[np.bool_]  # per 8x8 cell: anything in it or the eight around it; row-major
    first_cell: NDArray[np.int64]  # (M,)


class LayerTargets(NamedTuple):
    """Where each of the four layers goes: a plane of the picture, and how."""

    channel: NDArray[np.int32]  # (4,), -1 unused
    value: NDArray[np.int32]  # (4,), gray value wherever the layer shows at all; 0: as interpolated


def pack_layers(layers: MapLayers, masks: Sequence[int]) -> WarpPlanes:
    """Pack up to four layers; layer i is every pixel that has any bit of `masks[i]`."""
    padded = np.zeros(MAX_LAYERS, np.int64)
    padded[: len(masks)] = masks
    width = layers.num_tiles_x.astype(np.int64) * TILE_PX
    height = layers.num_tiles_y.astype(np.int64) * TILE_PX
    firsts = np.concatenate([[0], np.cumsum(width * height)])
    num_cells = int(firsts[-1]) // CELL_PX**2
    planes = WarpPlanes(
        np.zeros(int(firsts[-1]), np.uint16),
        firsts[:-1],
        width,
        height,
        np.zeros(num_cells, np.bool_),
        firsts[:-1] // CELL_PX**2,
    )
    for map_index in range(len(width)):
        _pack_map(layers, map_index, padded, planes)
    return planes


@device_function
def _pack_map(
    layers: MapLayers, map_index: int, masks: NDArray[np.int64], planes: WarpPlanes
) -> None:
    width, height = planes.width[map_index], planes.height[map_index]
    cells_x, cells_y = width >> 3, height >> 3
    for row in range(height):
        for column in range(width):
            word = 0
            for corner in range(4):
                x, y = column + (corner & 1), row + (corner >> 1)
                pixel = layer_pixel(layers, map_index, x, y)
                for layer in range(MAX_LAYERS):
                    if pixel & masks[layer]:
                        word |= 1 << (4 * layer + corner)
            if word == 0:
                continue
            planes.words[planes.first_word[map_index] + row * width + column] = word
            for cell_y in range(max(0, (row >> 3) - 1), min(cells_y, (row >> 3) + 2)):
                for cell_x in range(max(0, (column >> 3) - 1), min(cells_x, (column >> 3) + 2)):
                    planes.occupied[planes.first_cell[map_index] + cell_y * cells_x + cell_x] = True


def bilinear_table() -> NDArray[np.uint8]:
    """Gray value of (sub-pixel row * 32 + column) * 16 + four bits, rounded half up."""
    step = np.arange(_WEIGHTS)
    weight_y = np.stack([_WEIGHTS - step, step])[:, None, :, None]
    weight_x = np.stack([_WEIGHTS - step, step])[None, :, None, :]
    weights = (weight_y * weight_x).reshape(4, _WEIGHTS * _WEIGHTS)  # corner = 2 * down + right
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    total = 255 * (bits @ weights).T  # (1024, 16)
    half = _WEIGHTS * _WEIGHTS // 2
    return ((total + half) // (_WEIGHTS * _WEIGHTS)).astype(np.uint8).reshape(-1)
