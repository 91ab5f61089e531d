"""Painting raster observations on a GPU, where they are learned from.

Rows and pictures are torch tensors of the device; nothing is copied but the maps, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.channels import PlacedPainter, ShapeTable, shape_table
from sim_adapters.observation.map_warp import Warp
from sim_adapters.observation.observer import Tensors
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.map_bank import LimitPosts
from sim_adapters.scene.map_layers import MapLayers


class CopyPainter:
    """Of observations that are their own rows, such as the vector."""

    def paint(self, rows: Tensors, out: Tensors) -> None:
        """Copy."""
        for name, tensor in out.items():
            tensor.copy_(rows[name])


class RasterSource(NamedTuple):
    """What `BevObserver` draws, for a device to draw it too."""

    view: BevView
    painters: Sequence[PlacedPainter]  # in order
    layers: MapLayers
    warp: Warp | None  # None without map channels
    bilinear: bool
    posts: LimitPosts


class BevDevicePainter:
    """Draws `BevObserver`'s pictures with CUDA kernels, as the CPU does.

    Equal to the CPU's but for what the last bit of a sine can turn over (`evaluation.gpu_check`
    counts it).

    Args:
        source: What to draw.
        device: A GPU, or any device in numba's simulator.

    Raises:
        ValueError: a painter of one's own, which is CPU only, or there is no GPU.
    """

    def __init__(self, source: RasterSource, device: torch.device) -> None:
        shapes = shape_table(source.painters)  # first: it says what no GPU would mend
        from sim_adapters import grid_kernels

        grid_kernels.check_device(device)
        from sim_adapters.observation import bev_grids

        self._kernels, self._grids = grid_kernels, bev_grids
        self._source = source
        self._shapes = ShapeTable(*map(grid_kernels.on_device, shapes))
        self._posts = LimitPosts(*map(grid_kernels.on_device, source.posts))
        # Windows need no pixels of the layers: those are in the packed planes
        bare = source.layers._replace(tiles=source.layers.tiles[:1])
        self._layers = MapLayers(*map(grid_kernels.on_device, bare))
        self._warp = None if source.warp is None else self._upload(source.warp)
        self._no_past = torch.zeros((1, 1, 1, 3), device=device)
        self._windows = torch.empty((0, 4, source.view.size_px), dtype=torch.int32, device=device)

    def _upload(self, warp: Warp) -> Warp:
        move = self._kernels.on_device
        return Warp(
            type(warp.planes)(*map(move, warp.planes)),
            type(warp.targets)(*map(move, warp.targets)),
            move(warp.channels),
            move(warp.table),
            warp.block_px,
        )

    def paint(self, rows: Tensors, out: Tensors) -> None:
        """Draw N rows; see `observer.DevicePainter`."""
        frames = out["bev"]
        frames.zero_()
        named = self._rows_of(rows)
        if self._warp is not None:
            self._paint_maps(named, frames)
        size, band = self._source.view.size_px, self._grids.BAND_PX
        tasks, threads = len(frames) * -(-size // band), 64
        self._grids.paint_shapes_grid.launch(
            (-(-tasks // threads), len(self._shapes.channel)),
            threads,
            self._source.view,
            named,
            self._shapes,
            self._posts,
            self._kernels.as_device_array(frames),
        )
        for name in ("measurements", "value_measurements"):
            out[name].copy_(rows[name])

    def _paint_maps(self, rows: BevRows, frames: Tensor) -> None:
        number, size = len(frames), self._source.view.size_px
        if len(self._windows) < number:
            self._windows = self._windows.new_empty((number, 4, size))
        windows = self._kernels.as_device_array(self._windows[:number])
        view, threads = self._source.view, 32
        self._grids.place_windows_grid.launch(
            (-(-number // threads), 1), threads, view, rows, self._layers, windows
        )
        threads = 32 if self._kernels.is_simulated() else 256
        self._grids.warp_grid.launch(
            (number, -(-size // self._grids.BAND_PX)),
            threads,
            view,
            rows,
            self._warp,
            windows,
            int(self._source.bilinear),
            self._kernels.as_device_array(frames.flatten(2)),
        )

    def _rows_of(self, rows: Tensors) -> BevRows:
        past = rows.get("past_actors")
        if past is None:
            past = self._no_past  # of any size but none: nobody reads it
        named = {name: rows[name] for name in BevRows._fields[:-1]} | {"past_actors": past}
        return BevRows(**{k: self._kernels.as_device_array(v) for k, v in named.items()})
