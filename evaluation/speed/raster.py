"""Speed of the rasteriser, and of the same frames drawn with OpenCV in the same run.

The OpenCV side is what one would write with it: one warp of the stacked map layers, then one call
a shape. It is the yardstick of parity as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from evaluation.speed.environment import busy_env, mean_actors
from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.driving.worlds import allocate
from sim_adapters.observation.bev import BevObserver
from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, untile_plane
from sim_adapters.scene.state import ActorKind, LightBit

NUM_WORLDS = 32
FLOORS = {"nearest": 4_000, "bilinear": 2_500}


def measure_raster() -> list[Measurement]:
    """Frames per second and core from ready rows, both interpolations, and ratios to OpenCV."""
    measurements = []
    for interpolation, floor in FLOORS.items():
        overrides = ["observation=carl_bev", f"observation.interpolation={interpolation}"]
        env = busy_env(NUM_WORLDS, overrides)
        observer = env.observer
        assert isinstance(observer, BevObserver)
        rows = allocate(observer.stored_space, NUM_WORLDS)
        frames = allocate(observer.space, NUM_WORLDS)
        observer.gather(env.scene, env.memory, env.maps, rows)

        def paint(
            observer: BevObserver = observer,
            rows: dict[str, np.ndarray] = rows,
            maps: MapBank = env.maps,
            frames: dict[str, np.ndarray] = frames,
        ) -> int:
            observer.paint(rows, maps, frames)
            return NUM_WORLDS

        ours = measure_rate(paint)
        note = f"10x256x256, {mean_actors(env):.0f} actors, {interpolation}"
        key = f"raster_carl_bev.{interpolation}"
        measurements.append(Measurement(key, ours[0], "frames/s/core", *ours[1:], floor, note))
        theirs = measure_rate(opencv_painting(observer, rows, env.maps, interpolation))
        key = f"raster_vs_opencv.{interpolation}"
        ratios = (ours[0] / theirs[0], ours[1] / theirs[2], ours[2] / theirs[1])
        note = f"OpenCV: {theirs[0]:,.0f} frames/s/core"
        measurements.append(Measurement(key, ratios[0], "ratio", *ratios[1:], 5.0, note))
    return measurements


def opencv_painting(
    observer: BevObserver, rows: dict[str, np.ndarray], maps: MapBank, interpolation: str
) -> Callable[[], int]:
    """The same frames by OpenCV's own warp, polygons and lines, on one thread."""
    import cv2

    from evaluation.speed.raster import OpenCvRaster
    from sim_adapters.observation.bev_rows import rows_of

    cv2.setNumThreads(1)
    raster = OpenCvRaster(observer.view, maps, interpolation=interpolation, classic=False)
    scene_rows = rows_of(rows)
    frames = allocate(observer.space, NUM_WORLDS)["bev"]

    def paint() -> int:
        for row in range(NUM_WORLDS):
            raster.draw(scene_rows, row, frames[row])
        return NUM_WORLDS

    return paint


# CaRL's frame drawn with OpenCV from the same rows: the yardstick of parity and of speed.
#
# Written as one would with OpenCV: one warp of the stacked map layers, then one call a shape.

_VEHICLES = range(int(ActorKind.CAR), int(ActorKind.BICYCLE) + 1)
_SQUARES = (
    (LightBit.EMERGENCY, 22, 0.0, 0.0),
    (LightBit.LEFT_BLINKER, 44, 0.5, 0.5),
    (LightBit.RIGHT_BLINKER, 77, 0.5, -0.5),
    (LightBit.BRAKE, 111, -1.5, 0.0),
)


def speed_code(speed_mps: float) -> int:
    """CaRL's gray value of a speed."""
    return 127 + int(128 * np.clip(speed_mps + 2.67, 0.0, 36.0) / 36.0)


class OpenCvRaster:
    """Draws CaRL's ten channels with OpenCV.

    Args:
        view: Geometry of the picture.
        maps: Layers and signs.
        interpolation: "bilinear" or "nearest".
        classic: Warp as OpenCV 4 did, in fixed point, through `remap`; else `warpAffine` of the
            installed version, which may interpolate in floating point.
    """

    def __init__(
        self, view: BevView, maps: MapBank, *, interpolation: str = "bilinear", classic: bool = True
    ) -> None:
        self.view, self.maps, self.classic = view, maps, classic
        self.flag = cv2.INTER_LINEAR if interpolation == "bilinear" else cv2.INTER_NEAREST
        self.layers = []
        for map_index in range(len(maps.towns)):
            plane = untile_plane(maps.layers, map_index)
            road = LayerBit.DRIVING | LayerBit.PARKING
            masks = (road, LayerBit.MARKING, LayerBit.MARKING_BROKEN, LayerBit.SHOULDER)
            stack = [np.where(plane & int(mask), 255, 0).astype(np.uint8) for mask in masks]
            self.layers.append(np.ascontiguousarray(np.stack(stack, axis=-1)))

    def to_map(self, pose: np.ndarray, map_index: int) -> np.ndarray:
        """Affine (2, 3) from picture (column, row) to map (column, row), from three corners."""
        size, ppm = self.view.size_px, self.view.pixels_per_meter
        ahead = (size - self.view.ego_px_from_bottom) / ppm
        behind, side = self.view.ego_px_from_bottom / ppm, 0.5 * size / ppm
        layers = self.maps.layers
        scale = layers.pixels_per_meter[map_index]
        cos, sin = math.cos(pose[3]), math.sin(pose[3])
        corners = []
        for forward, left in ((-behind, side), (ahead, side), (ahead, -side)):
            x, y = pose[0] + cos * forward - sin * left, pose[1] + sin * forward + cos * left
            origin = layers.origin_x[map_index], layers.origin_y[map_index]
            corners.append([scale * (x - origin[0]), scale * (y - origin[1])])
        (x0, y0), (x1, y1), (x2, y2) = corners
        last = size - 1.0  # corners: bottom left (0, last), top left (0, 0), top right (last, 0)
        return np.array(
            [[(x2 - x1) / last, (x0 - x1) / last, x1], [(y2 - y1) / last, (y0 - y1) / last, y1]]
        )

    def warp(self, pose: np.ndarray, map_index: int) -> np.ndarray:
        """Layers (H, W, 4) of the picture."""
        size, matrix = self.view.size_px, self.to_map(pose, map_index)
        source = self.layers[map_index]
        if not self.classic:
            flags = self.flag | cv2.WARP_INVERSE_MAP
            return cv2.warpAffine(source, matrix, (size, size), flags=flags)
        column, row = np.meshgrid(np.arange(size), np.arange(size))
        half = 16 if self.flag == cv2.INTER_LINEAR else 512
        x, y = (
            np.rint(m[0] * column * 1024).astype(np.int64)
            + np.rint((m[1] * row + m[2]) * 1024).astype(np.int64)
            + half
            for m in matrix
        )
        if self.flag == cv2.INTER_NEAREST:
            nearest = np.stack([x >> 10, y >> 10], axis=-1).astype(np.int16)
            return cv2.remap(source, nearest, np.empty(0, np.uint16), cv2.INTER_NEAREST)
        x, y = x >> 5, y >> 5
        whole = np.stack([x >> 5, y >> 5], axis=-1).astype(np.int16)
        part = ((y & 31) * 32 + (x & 31)).astype(np.uint16)
        return cv2.remap(source, whole, part, cv2.INTER_LINEAR)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Ego-frame points (N, 2) as whole (column, row) pixels, int32."""
        size, ppm = self.view.size_px, self.view.pixels_per_meter
        row = size - self.view.ego_px_from_bottom - ppm * points[:, 0]
        column = 0.5 * size - ppm * points[:, 1]
        pixel = np.stack([column, row], axis=-1) * (size - 1) / size
        return np.floor(pixel + 0.5).astype(np.int32)

    def box(
        self, plane: np.ndarray, x: float, y: float, yaw: float, half: tuple, value: int
    ) -> None:
        """Fill an ego-frame box with half extents `half` [m]."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        signs = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)])
        corners = signs * half @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
        cv2.fillConvexPoly(plane, self.pixels(corners), value)

    def draw(self, rows: BevRows, row: int, frame: np.ndarray) -> None:
        """Draw the frame (10, H, W) of one row."""
        frame[:] = 0
        pose, town = rows.pose[row], int(rows.map_index[row, 0])
        warped = self.warp(pose, town)
        frame[0] = warped[..., 0]
        frame[2][warped[..., 1] > 0] = 255
        frame[2][warped[..., 2] > 0] = 127
        frame[9] = warped[..., 3]
        self._draw_route(rows, row, frame[1])
        self._draw_actors(rows, row, frame)
        for line in range(rows.light_lines.shape[1]):
            value = int(rows.light_values[row, line, 0])
            if value:
                ends = self.pixels(rows.light_lines[row, line].reshape(2, 2).astype(np.float64))
                cv2.line(frame[5], ends[0].tolist(), ends[1].tolist(), value, thickness=3)
        x, y, yaw, half = rows.stop_sign[row, 0].tolist()
        if half > 0.0:
            self.box(frame[6], x, y, yaw, (half, half), 255)
        self._draw_limits(pose, town, frame[7])

    def _draw_route(self, rows: BevRows, row: int, plane: np.ndarray) -> None:
        shown = (rows.route_flags[row] & 2) > 0
        for column, line in self.pixels(rows.route[row][shown].astype(np.float64)).tolist():
            # CaRL's line type is FILLED, too, by which OpenCV draws another disc than by LINE_8
            cv2.circle(plane, (column, line), 3, 255, thickness=-1, lineType=-1)

    def _draw_actors(self, rows: BevRows, row: int, frame: np.ndarray) -> None:
        for actor in range(rows.actors.shape[1]):
            kind, lights = rows.actor_kinds[row, actor].tolist()
            if kind == 0:
                break
            x, y, yaw, length, width, speed = rows.actors[row, actor].tolist()
            half = (max(length, 0.8), max(width, 0.8))
            if kind == ActorKind.STATIC:
                self.box(frame[8], x, y, yaw, half, 255)
                continue
            plane = frame[3] if kind in _VEHICLES else frame[4]
            value = speed_code(speed)
            self.box(plane, x, y, yaw, half, value)
            direction = np.array([math.cos(yaw), math.sin(yaw)])
            ends = np.array([half[0], half[0] + max(0.5, speed)])[:, None] * direction + (x, y)
            start, end = self.pixels(ends).tolist()
            cv2.line(plane, start, end, value)
            if kind in _VEHICLES and lights:
                self._draw_overlays(plane, (x, y, yaw), lights, value)

    def _draw_overlays(self, plane: np.ndarray, pose: tuple, lights: int, value: int) -> None:
        x, y, yaw = pose
        cos, sin = math.cos(yaw), math.sin(yaw)
        squares = [
            (code, ahead, left, (0.5, 0.5)) for bit, code, ahead, left in _SQUARES if lights & bit
        ]
        if lights & LightBit.DOOR_OPEN:
            doors = [(value, a, b, (0.2, 1.0)) for b in (-1.8, 1.8) for a in (-0.7, 0.7)]
            squares = doors + squares
        for code, ahead, left, half in squares:
            place = x + cos * ahead - sin * left, y + sin * ahead + cos * left
            self.box(plane, *place, yaw, half, code)

    def _draw_limits(self, pose: np.ndarray, town: int, plane: np.ndarray) -> None:
        posts = self.maps.limit_posts
        first, last = posts.first_post[town : town + 2]
        cos, sin = math.cos(pose[3]), math.sin(pose[3])
        for post in range(first, last):
            dx, dy = posts.x[post] - pose[0], posts.y[post] - pose[1]
            if max(abs(dx), abs(dy)) < self.view.range_m:
                place = cos * dx + sin * dy, cos * dy - sin * dx
                angle = float(posts.yaw_rad[post] - pose[3])
                self.box(plane, *place, angle, (1.0, 1.0), speed_code(posts.limit_mps[post]))
