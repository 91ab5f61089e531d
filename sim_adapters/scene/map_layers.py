"""MapLayers: the static picture of each map, baked once, shared by all worlds.

One byte a pixel, one bit a layer. Pixels are stored in square tiles so that a rotated read of a
window stays in cache. Pixel (column i, row j) is the sample AT world point
`(origin_x + i / ppm, origin_y + j / ppm)`: right-handed, row index grows with y (north).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function

TILE_PX = 16
_TILE_SHIFT = 4
_TILE_MASK = TILE_PX - 1


class LayerBit(IntEnum):
    """Bits of a map pixel."""

    DRIVING = 1
    PARKING = 2
    SHOULDER = 4
    SIDEWALK = 8
    MARKING = 16  # any lane marking (outside junctions)
    MARKING_BROKEN = 32  # white broken marking; MARKING is set too
    MEDIAN = 64  # between two shoulders of one side of a driving lane, see configs/observation
    CROSSWALK = 128


class MapLayers(NamedTuple):
    """Tiled planes of all maps, (M,) per map and one byte pool."""

    origin_x: NDArray[np.float64]  # [m] world point of pixel (0, 0)
    origin_y: NDArray[np.float64]
    pixels_per_meter: NDArray[np.float64]  # equal for all maps of a bank
    num_tiles_x: NDArray[np.int32]
    num_tiles_y: NDArray[np.int32]
    first_byte: NDArray[np.int64]  # of the map's tile (0, 0) in `tiles`
    tiles: NDArray[np.uint8]  # tile-major, then row, then column within a tile


@inlined_function
def layer_pixel(layers: MapLayers, map_index: int, column: int, row: int) -> int:
    """Byte of one pixel; outside the canvas it is 0."""
    tiles_x = layers.num_tiles_x[map_index]
    tile_x, tile_y = column >> _TILE_SHIFT, row >> _TILE_SHIFT
    if column < 0 or row < 0 or tile_x >= tiles_x or tile_y >= layers.num_tiles_y[map_index]:
        return 0
    tile = np.int64(tile_y) * tiles_x + tile_x
    inside = ((row & _TILE_MASK) << _TILE_SHIFT) + (column & _TILE_MASK)
    return int(layers.tiles[layers.first_byte[map_index] + (tile << (2 * _TILE_SHIFT)) + inside])


def tile_plane(plane: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
    """Reorder a (rows, columns) plane into tiles, padded with zeros.

    Returns:
        The flat tile bytes, the number of tiles across (x) and up (y).
    """
    rows, columns = plane.shape
    tiles_y, tiles_x = -(-rows // TILE_PX), -(-columns // TILE_PX)
    padded = np.zeros((tiles_y * TILE_PX, tiles_x * TILE_PX), np.uint8)
    padded[:rows, :columns] = plane
    tiles = padded.reshape(tiles_y, TILE_PX, tiles_x, TILE_PX).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(-1), tiles_x, tiles_y


def untile_plane(layers: MapLayers, map_index: int) -> NDArray[np.uint8]:
    """The (rows, columns) plane of one map, for pictures and tests."""
    tiles_x, tiles_y = int(layers.num_tiles_x[map_index]), int(layers.num_tiles_y[map_index])
    first = int(layers.first_byte[map_index])
    flat = layers.tiles[first : first + tiles_x * tiles_y * TILE_PX * TILE_PX]
    tiles = flat.reshape(tiles_y, tiles_x, TILE_PX, TILE_PX).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(tiles_y * TILE_PX, tiles_x * TILE_PX)
