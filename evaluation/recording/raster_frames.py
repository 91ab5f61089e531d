"""RasterFrames: what a raster policy was shown, a frame a second, each deflated by itself.

Large rasters are pooled to at most KEPT_PX pixels a side; a pixel keeps the highest value, so that
thin lines stay.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.recording.packing import Column
from sim_adapters.observation.bev import BevObserver

PERIOD_S = 1.0  # between two frames
KEPT_PX = 128
_BYTE_OFFSET = 128  # a byte less this is one byte of a column, too


@dataclass(frozen=True)
class RasterFrames:
    """Frames of one drive.

    Args:
        view: JSON values: `channels` (names), `size_px`, `pixels_per_meter`, `ego_px_from_bottom`.
        steps: In which each frame was shown, ascending, (F,).
        frames: (C, H, W) bytes each, deflated.
    """

    view: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    frames: tuple[bytes, ...] = ()

    def frame(self, index: int) -> NDArray[np.uint8]:
        """One frame, (C, H, W)."""
        size = int(self.view["size_px"])
        flat = np.frombuffer(zlib.decompress(self.frames[index]), np.uint8)
        return flat.reshape(len(self.view["channels"]), size, size)

    def columns(self) -> dict[str, Column]:
        """What goes into the file of an episode; nothing without a frame."""
        if not self.frames:
            return {}
        sizes = np.array([len(frame) for frame in self.frames])
        content = np.frombuffer(b"".join(self.frames), np.uint8).astype(np.int64) - _BYTE_OFFSET
        return {
            "raster.step": Column(np.array(self.steps), order=1),
            "raster.size": Column(sizes),
            "raster.bytes": Column(content),
        }


NO_RASTER = RasterFrames()


def raster_of(view: Mapping[str, Any], columns: Mapping[str, NDArray[np.float64]]) -> RasterFrames:
    """The frames that `RasterFrames.columns` gave."""
    if not view:
        return NO_RASTER
    steps, sizes = (np.rint(columns[f"raster.{name}"]).astype(int) for name in ("step", "size"))
    content = (np.rint(columns["raster.bytes"]) + _BYTE_OFFSET).astype(np.uint8).tobytes()
    ends = np.cumsum(sizes)
    frames = tuple(content[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return RasterFrames(view, tuple(steps.tolist()), frames)


def raster_view(observer: BevObserver) -> dict[str, Any]:
    """`RasterFrames.view` of what is kept of an observer's rasters."""
    pool = _pool(observer.view.size_px)
    return {
        "channels": list(observer.channel_names),
        "size_px": observer.view.size_px // pool,
        "pixels_per_meter": observer.view.pixels_per_meter / pool,
        "ego_px_from_bottom": observer.view.ego_px_from_bottom / pool,
    }


def deflate_frame(raster: NDArray[np.uint8]) -> bytes:
    """One frame (C, H, W), pooled and deflated."""
    pool = _pool(raster.shape[1])
    size = raster.shape[1] // pool
    cut = raster[:, : size * pool, : size * pool].reshape(-1, size, pool, size, pool)
    return zlib.compress(cut.max(axis=(2, 4)).tobytes(), 9)


def _pool(size_px: int) -> int:
    return -(-size_px // KEPT_PX)
