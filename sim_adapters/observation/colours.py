"""Colours for a raster observation, for videos and reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BACKGROUND = (24, 26, 30)
_EGO = (255, 255, 255)
# Channel name (its beginning) -> colour at value 255, in the order in which they cover each other
_COLOURS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("shoulder", (58, 60, 66)),
    ("road", (88, 92, 100)),
    ("route", (64, 128, 176)),
    ("markings", (222, 222, 214)),
    ("stop_sign", (214, 92, 214)),
    ("speed_limits", (120, 92, 200)),
    ("statics", (186, 140, 92)),
    ("vehicles", (90, 208, 128)),
    ("pedestrians", (255, 196, 64)),
)
_LIGHTS = ((200, (238, 64, 56)), (120, (250, 196, 48)), (1, (72, 220, 96)))  # from this value on


def colour_bev(
    bev: NDArray[np.uint8],
    channel_names: Sequence[str],
    *,
    ego_px_from_bottom: float,
    pixels_per_meter: float,
    scale: int = 1,
) -> NDArray[np.uint8]:
    """A (C, H, W) raster as an RGB picture (scale * H, scale * W, 3).

    Boxes keep their speed code as brightness. Of several channels of one kind (history) the last
    is shown. The ego, which the raster leaves out, is drawn as a white box.

    Args:
        bev: One observation.
        channel_names: `BevObserver.channel_names`; those without a colour are not shown.
        ego_px_from_bottom: Of the observation's view.
        pixels_per_meter: Of the observation's view.
        scale: Enlarge by repeating pixels.
    """
    picture = np.empty((*bev.shape[1:], 3), np.float32)
    picture[:] = _BACKGROUND
    for prefix, colour in _COLOURS:
        planes = [i for i, name in enumerate(channel_names) if name.startswith(prefix)]
        if planes:
            opacity = (bev[planes[-1]] / np.float32(255.0))[..., None]
            if prefix in ("vehicles", "pedestrians"):
                # Speed codes begin at 127: stretch them, or standing cars would be half seen
                opacity = np.where(opacity > 0.0, 0.35 + 0.65 * opacity, 0.0)
            picture += opacity * (np.array(colour, np.float32) - picture)
    lights = [i for i, name in enumerate(channel_names) if name.startswith(("light", "signals"))]
    if lights:
        _colour_lights(picture, bev[lights[-1]])
    _draw_ego(picture, ego_px_from_bottom, pixels_per_meter)
    rgb = np.rint(picture).clip(0, 255).astype(np.uint8)
    return rgb.repeat(scale, axis=0).repeat(scale, axis=1)


def _colour_lights(picture: NDArray[np.float32], plane: NDArray[np.uint8]) -> None:
    remaining = plane > 0
    for lowest, colour in _LIGHTS:
        shown = remaining & (plane >= lowest)
        picture[shown] = colour
        remaining &= ~shown


def _draw_ego(picture: NDArray[np.float32], from_bottom: float, pixels_per_meter: float) -> None:
    """CaRL's ego is 4.9 m by 1.84 m; its centre is where `spec.pixel_row` has forward 0."""
    height, width = picture.shape[:2]
    row, column = (height - from_bottom) * (height - 1) / height, 0.5 * (width - 1)
    length, half_width = 2.45 * pixels_per_meter, 0.92 * pixels_per_meter
    rows = slice(max(0, round(row - length)), round(row + length) + 1)
    columns = slice(max(0, round(column - half_width)), round(column + half_width) + 1)
    picture[rows, columns] = _EGO
