"""PictureBrush: draws shapes given in metres onto a picture seen by a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sim_adapters.array_types import FloatArray
from sim_adapters.scene_picture import style

Paint = style.Colour | style.Translucent


@dataclass(frozen=True)
class Camera:
    """Where a frame looks from: the ego sits below the middle, its heading points up."""

    x: float  # [m] ego
    y: float
    yaw_rad: float
    ego_px: tuple[float, float]  # column, row
    pixels_per_meter: float

    def to_px(self, points: FloatArray) -> FloatArray:
        """World points (N, 2) to columns and rows (N, 2)."""
        dx, dy = points[:, 0] - self.x, points[:, 1] - self.y
        cos_yaw, sin_yaw = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        forward, left = cos_yaw * dx + sin_yaw * dy, cos_yaw * dy - sin_yaw * dx
        columns = self.ego_px[0] - left * self.pixels_per_meter
        rows = self.ego_px[1] - forward * self.pixels_per_meter
        return np.stack([columns, rows], axis=1)


class PictureBrush:
    """Polygons, lines and discs in world coordinates; later ones cover earlier ones."""

    def __init__(self, image: Image.Image, camera: Camera) -> None:
        self._draw = ImageDraw.Draw(image, "RGBA")
        self.camera = camera

    def polygon(
        self,
        points: FloatArray,
        fill: Paint,
        outline: style.Colour | None = None,
        outline_m: float = 0.0,
    ) -> None:
        """Fill the polygon (N, 2)."""
        corners = self.camera.to_px(points).ravel().tolist()
        self._draw.polygon(corners, fill=fill, outline=outline, width=self._pixels(outline_m))

    def line(self, points: FloatArray, fill: Paint, width_m: float) -> None:
        """Draw the line through (N, 2)."""
        if len(points) > 1:
            corners = self.camera.to_px(points).ravel().tolist()
            self._draw.line(corners, fill=fill, width=self._pixels(width_m), joint="curve")

    def disc(self, centre: FloatArray, radius_m: float, fill: Paint) -> None:
        """Fill a circle around a point (2,)."""
        column, row = self.camera.to_px(centre[None])[0]
        r = radius_m * self.camera.pixels_per_meter
        self._draw.ellipse((column - r, row - r, column + r, row + r), fill=fill)

    def crosses(self, centres: FloatArray, half_size_m: float, fill: Paint) -> None:
        """Small upright crosses at (N, 2)."""
        size = half_size_m * self.camera.pixels_per_meter
        for column, row in self.camera.to_px(centres):
            self._draw.line((column - size, row, column + size, row), fill=fill, width=2)
            self._draw.line((column, row - size, column, row + size), fill=fill, width=2)

    def _pixels(self, width_m: float) -> int:
        return max(1, round(width_m * self.camera.pixels_per_meter))


def box_of(
    centre: FloatArray, forward: FloatArray, half_length: float, half_width: float
) -> FloatArray:
    """Corners of an oriented box, (4, 2)."""
    left = np.array([-forward[1], forward[0]])
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return np.array([centre + forward * a * half_length + left * b * half_width for a, b in signs])


def rounded_box(
    centre: FloatArray, forward: FloatArray, half_length: float, half_width: float
) -> FloatArray:
    """An oriented box with cut corners, (8, 2)."""
    left = np.array([-forward[1], forward[0]])
    length, width = half_length, half_width
    cut = min(0.35 * width, 0.5)
    front = [(length - cut, width), (length, width - cut), (length, cut - width)]
    sides = [(length - cut, -width), (cut - length, -width)]
    rear = [(-length, cut - width), (-length, width - cut), (cut - length, width)]
    return np.array([centre + forward * u + left * v for u, v in (*front, *sides, *rear)])


def ribbon_of(line: FloatArray, width_m: float) -> FloatArray:
    """Outline of a line of some width, (2 N, 2)."""
    if len(line) < 2:
        return np.zeros((0, 2))
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)[:, None]
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * width_m / 2
    return np.concatenate([line + normal, (line - normal)[::-1]])
