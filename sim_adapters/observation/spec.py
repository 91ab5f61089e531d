"""BevView: where the raster stands around the ego, and CaRL's codes for speeds and lights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.kernels import inlined_function

SPEED_CODE_OFFSET_MPS = 2.67  # CaRL: codes start at this much below standing
SPEED_CODE_RANGE_MPS = 36.0
GREEN_CODE = 80
RED_CODE = 255
_YELLOW_S = 3.0
_YELLOW_FADE = 0.33  # a yellow with three seconds left is 0.67 of red


class BevView(NamedTuple):
    """Raster geometry: the ego looks up, is centred sideways and near the bottom."""

    size_px: int  # height and width
    pixels_per_meter: float
    ego_px_from_bottom: float

    @property
    def range_m(self) -> float:
        """Objects further from the ego than this are not drawn: ceil(size / ppm), as CaRL."""
        return float(math.ceil(self.size_px / self.pixels_per_meter))


@inlined_function
def pixel_scale(view: BevView) -> float:
    """CaRL's affine maps the canvas' corners to pixel centres: size - 1 steps over size pixels."""
    return (view.size_px - 1.0) / view.size_px


@inlined_function
def pixel_row(view: BevView, forward_m: float) -> float:
    """Row (downwards) of a place `forward_m` ahead."""
    bottom = view.size_px - view.ego_px_from_bottom
    return pixel_scale(view) * (bottom - view.pixels_per_meter * np.float64(forward_m))


@inlined_function
def pixel_column(view: BevView, left_m: float) -> float:
    """Column (to the right) of a place `left_m` to the left."""
    return pixel_scale(view) * (0.5 * view.size_px - view.pixels_per_meter * np.float64(left_m))


@inlined_function
def speed_code(speed_mps: float) -> int:
    """Gray value of a speed >= 0: 136 standing, 172 at 10 m/s, 255 from 33.33 m/s on."""
    clipped = min(max(speed_mps + SPEED_CODE_OFFSET_MPS, 0.0), SPEED_CODE_RANGE_MPS)
    return 127 + int(128.0 * clipped / SPEED_CODE_RANGE_MPS)


@inlined_function
def yellow_code(remaining_s: float) -> int:
    """Gray value of a yellow light: 170 at three seconds left, rising to 255."""
    left = min(max(remaining_s, 0.0) / _YELLOW_S, 1.0)
    return int((1.0 - _YELLOW_FADE * left) * 255.0)
