"""The raster's loops on a GPU: windows and map layers of frames, and bands of their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda as numba_cuda
from numpy.typing import NDArray

from sim_adapters.grid_kernels import grid_kernel
from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.channels import ShapeTable
from sim_adapters.observation.map_warp import (
    Warp,
    Window,
    place_window,
    warp_bilinear_pixel,
    warp_nearest_pixel,
)
from sim_adapters.observation.painting import paint_shape
from sim_adapters.observation.raster import Brush
from sim_adapters.observation.raster_lines import Band
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.map_bank import LimitPosts
from sim_adapters.scene.map_layers import MapLayers

cuda: Any = numba_cuda  # its stubs tell a type checker less than nothing

BAND_PX = 8  # rows of a plane that a thread draws shapes in


@grid_kernel
def place_windows_grid(
    view: BevView, rows: BevRows, layers: MapLayers, windows: NDArray[np.int32]
) -> None:
    """The map window of each frame, (N, 4, H); a frame a thread."""
    row = cuda.grid(1)
    if row < windows.shape[0]:
        window = Window(windows[row, 0], windows[row, 1], windows[row, 2], windows[row, 3])
        pose = rows.pose[row]
        place_window(view, layers, rows.map_index[row, 0], pose[0], pose[1], pose[3], window)


@grid_kernel
def warp_grid(
    view: BevView,
    rows: BevRows,
    warp: Warp,
    windows: NDArray[np.int32],
    bilinear: int,
    frames: NDArray[np.uint8],
) -> None:
    """Map layers of cleared frames (N, C, H * W); block (x, y) draws band y of frame x."""
    row = cuda.blockIdx.x
    window = Window(windows[row, 0], windows[row, 1], windows[row, 2], windows[row, 3])
    town, frame, size = rows.map_index[row, 0], frames[row], view.size_px
    end = min((cuda.blockIdx.y + 1) * BAND_PX, size) * size
    for at in range(cuda.blockIdx.y * BAND_PX * size + cuda.threadIdx.x, end, cuda.blockDim.x):
        if bilinear:
            warp_bilinear_pixel(frame, warp, town, window, at // size, at % size)
        else:
            warp_nearest_pixel(frame, warp, town, window, at // size, at % size)


@grid_kernel
def paint_shapes_grid(
    view: BevView,
    rows: BevRows,
    table: ShapeTable,
    posts: LimitPosts,
    frames: NDArray[np.uint8],
) -> None:
    """Shapes on frames (N, C, H, W); a thread draws all of one channel in one band.

    Threads of a block see neighbouring bands of a frame, blocks (x, y) channel y.
    """
    num_bands = (view.size_px + BAND_PX - 1) // BAND_PX
    task, target = cuda.grid(1), cuda.blockIdx.y
    row, top = task // num_bands, (task % num_bands) * BAND_PX
    if row >= frames.shape[0]:
        return
    brush = Brush(
        cuda.local.array(BAND_PX, np.int64),
        cuda.local.array(BAND_PX, np.int64),
        cuda.local.array(4, np.int64),
        cuda.local.array(4, np.int64),
        Band(top, min(top + BAND_PX, view.size_px)),
    )
    plane = frames[row, table.channel[target]]
    for shape in range(table.first_shape[target], table.first_shape[target + 1]):
        paint_shape(plane, brush, row, view, rows, table, shape, posts)
