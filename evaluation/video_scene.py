"""SceneView: the bird's-eye half of a video frame, ego heading up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from evaluation import video_style as style
from evaluation.recording import Frame, Recording
from evaluation.video_map import MapPicture
from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene.state import ActorKind, LightBit, LightState

FloatArray = NDArray[np.float64]
GRID_M = 8
SMOOTHING = 11  # frames over which the camera's heading is averaged
ROUTE_AHEAD_M, ROUTE_WIDTH_M = 90, 1.5
TRAIL_STEPS, TRAIL_WIDTH_M = 80, 0.5
LIGHT_COLOURS = {
    LightState.RED: style.RED,
    LightState.YELLOW: style.YELLOW,
    LightState.GREEN: style.GREEN,
}
ACTOR_COLOURS = {
    ActorKind.CAR: style.CAR,
    ActorKind.VAN: style.LARGE_VEHICLE,
    ActorKind.TRUCK: style.LARGE_VEHICLE,
    ActorKind.MOTORCYCLE: style.TWO_WHEELER,
    ActorKind.BICYCLE: style.TWO_WHEELER,
    ActorKind.PEDESTRIAN: style.PEDESTRIAN,
    ActorKind.STATIC: style.STATIC,
    ActorKind.DEBRIS: style.STATIC,
}


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


class SceneView:
    """Draws frames of one recording.

    Args:
        recording: What happened.
        maps: Holds its town.
        size_px: Width and height.
        pixels_per_meter: Scale.
    """

    def __init__(
        self,
        recording: Recording,
        maps: MapBank,
        size_px: tuple[int, int],
        pixels_per_meter: float,
    ) -> None:
        self.recording, self.maps = recording, maps
        self.size_px, self.pixels_per_meter = size_px, pixels_per_meter
        self.picture = MapPicture(maps, recording.map_index)
        self.route = np.stack([recording.route_x, recording.route_y], axis=1)
        self.track = np.array([frame.actors[0, :2] for frame in recording.frames])
        self._yaw = smooth(np.unwrap([frame.actors[0, 2] for frame in recording.frames]))
        reach_px = math.hypot(0.62 * size_px[0], 0.78 * size_px[1])
        self._radius_m = reach_px / pixels_per_meter

    def draw(self, index: int) -> Image.Image:
        """The picture of one frame."""
        frame = self.recording.frames[index]
        width, height = self.size_px
        x, y = frame.actors[0, :2]
        ego_px = (0.5 * width, 0.72 * height)
        camera = Camera(x, y, float(self._yaw[index]), ego_px, self.pixels_per_meter)
        image = Image.new("RGB", self.size_px, style.GROUND)
        draw = ImageDraw.Draw(image, "RGBA")
        self._draw_grid(draw, camera)
        for shape in self.picture.near(x, y, self._radius_m):
            if shape.width_m:
                self._line(draw, camera, shape.points, shape.colour, shape.width_m)
            else:
                self._polygon(draw, camera, shape.points, shape.colour)
        self._draw_route(draw, camera, frame)
        self._draw_stop_signs(draw, camera)
        self._draw_lights(draw, camera, frame)
        self._line(
            draw,
            camera,
            self.track[max(0, index - TRAIL_STEPS) : index + 1],
            style.TRAIL,
            TRAIL_WIDTH_M,
        )
        for row in range(len(frame.actors) - 1, -1, -1):  # ego, row 0, on top
            self._draw_actor(draw, camera, frame, row)
        return image

    # Primitives -----------------------------------------------------------------------------

    def _polygon(
        self,
        draw: ImageDraw.ImageDraw,
        camera: Camera,
        points: FloatArray,
        fill: style.Colour | style.Translucent,
        outline: style.Colour | None = None,
        outline_m: float = 0.0,
    ) -> None:
        corners = camera.to_px(points).ravel().tolist()
        width = max(1, round(outline_m * camera.pixels_per_meter))
        draw.polygon(corners, fill=fill, outline=outline, width=width)

    def _line(
        self,
        draw: ImageDraw.ImageDraw,
        camera: Camera,
        points: FloatArray,
        fill: style.Colour | style.Translucent,
        width_m: float,
    ) -> None:
        if len(points) > 1:
            width = max(1, round(width_m * camera.pixels_per_meter))
            draw.line(camera.to_px(points).ravel().tolist(), fill=fill, width=width, joint="curve")

    def _disc(
        self,
        draw: ImageDraw.ImageDraw,
        camera: Camera,
        point: FloatArray,
        radius_m: float,
        fill: style.Colour | style.Translucent,
    ) -> None:
        column, row = camera.to_px(point[None])[0]
        r = radius_m * camera.pixels_per_meter
        draw.ellipse((column - r, row - r, column + r, row + r), fill=fill)

    # Things ---------------------------------------------------------------------------------

    def _draw_grid(self, draw: ImageDraw.ImageDraw, camera: Camera) -> None:
        """Crosses on the open ground, so that motion shows where there is no road."""
        reach = math.ceil(self._radius_m / GRID_M)
        steps = GRID_M * np.arange(-reach, reach + 1, dtype=np.float64)
        origin_x, origin_y = round(camera.x / GRID_M) * GRID_M, round(camera.y / GRID_M) * GRID_M
        xs, ys = np.meshgrid(steps + origin_x, steps + origin_y)
        size = 0.35 * camera.pixels_per_meter
        for column, row in camera.to_px(np.stack([xs.ravel(), ys.ravel()], axis=1)):
            draw.line((column - size, row, column + size, row), fill=style.GRID, width=2)
            draw.line((column, row - size, column, row + size), fill=style.GRID, width=2)

    def _draw_route(self, draw: ImageDraw.ImageDraw, camera: Camera, frame: Frame) -> None:
        distance = np.hypot(self.route[:, 0] - camera.x, self.route[:, 1] - camera.y)
        share = frame.route_percent / 100.0 * (len(self.route) - 1)
        window = np.abs(np.arange(len(self.route)) - share) < 40
        here = int(np.argmin(np.where(window, distance, np.inf)))
        ahead = self.route[here : here + ROUTE_AHEAD_M]
        # One polygon: a translucent line of segments would show its joints.
        ribbon = ribbon_of(ahead, ROUTE_WIDTH_M)
        if len(ribbon) >= 4:
            self._polygon(draw, camera, ribbon, style.ROUTE)

    def _draw_stop_signs(self, draw: ImageDraw.ImageDraw, camera: Camera) -> None:
        signs, town = self.maps.signs, self.recording.map_index
        for sign in range(self.maps.ranges.sign[town], self.maps.ranges.sign[town + 1]):
            near = math.hypot(signs.x[sign] - camera.x, signs.y[sign] - camera.y) < self._radius_m
            if signs.kind[sign] != SignKind.STOP or not near:
                continue
            centre = np.array([signs.x[sign], signs.y[sign]])
            angles = signs.yaw_rad[sign] + np.pi / 8 + np.arange(8) * np.pi / 4
            corners = centre + 1.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            self._polygon(draw, camera, corners, style.RED, style.TEXT, 0.2)

    def _draw_lights(self, draw: ImageDraw.ImageDraw, camera: Camera, frame: Frame) -> None:
        lines, signals = self.maps.stop_lines, self.maps.signals
        first_signal = self.maps.ranges.signal[self.recording.map_index]
        last_signal = self.maps.ranges.signal[self.recording.map_index + 1]
        for signal in range(first_signal, last_signal):
            colour = LIGHT_COLOURS.get(LightState(int(frame.signals[signal - first_signal])))
            if colour is None:
                continue
            for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
                centre = np.array([lines.x[line], lines.y[line]])
                if math.hypot(*(centre - (camera.x, camera.y))) > self._radius_m:
                    continue
                yaw, half = lines.yaw_rad[line], 0.45 * lines.lane_width_m[line]
                across = np.array([-math.sin(yaw), math.cos(yaw)]) * half
                ends = np.array([centre - across, centre + across])
                self._line(draw, camera, ends, (*colour, 60), 2.2)
                self._line(draw, camera, ends, (*colour, 90), 1.3)
                self._line(draw, camera, ends, colour, 0.6)

    def _draw_actor(
        self, draw: ImageDraw.ImageDraw, camera: Camera, frame: Frame, row: int
    ) -> None:
        x, y, yaw, half_length, half_width, speed = frame.actors[row]
        kind, lights = ActorKind(int(frame.kinds[row])), int(frame.lights[row])
        centre = np.array([x, y])
        forward = np.array([math.cos(yaw), math.sin(yaw)])
        is_ego = row == 0
        if kind is ActorKind.PEDESTRIAN:
            self._disc(draw, camera, centre, 1.1, (*style.PEDESTRIAN, 60))
            self._disc(draw, camera, centre, 0.55, style.PEDESTRIAN)
            return
        if kind in (ActorKind.STATIC, ActorKind.DEBRIS):
            box = box_of(centre, forward, half_length, half_width)
            self._polygon(draw, camera, box, style.STATIC)
            return
        colour = style.EGO if is_ego else ACTOR_COLOURS[kind]
        if speed > 0.5:
            nose = centre + forward * half_length
            tip = nose + forward * min(speed, 20.0) * 0.6
            self._line(draw, camera, np.array([nose, tip]), (*colour, 130), 0.25)
        half_width = max(half_width, 0.4)
        body = rounded_box(centre, forward, half_length, half_width)
        if is_ego:
            self._disc(draw, camera, centre, half_length + 1.6, (*style.EGO, 28))
            self._disc(draw, camera, centre, half_length + 0.7, (*style.EGO, 40))
        self._polygon(draw, camera, body, colour, style.EGO_EDGE if is_ego else None, 0.15)
        if kind in (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK):
            front = centre + forward * half_length * 0.28
            glass = box_of(front, forward, 0.14 * half_length, 0.72 * half_width)
            self._polygon(draw, camera, glass, style.GLASS)
        self._draw_lamps(draw, camera, centre, forward, half_length, half_width, lights)

    def _draw_lamps(
        self,
        draw: ImageDraw.ImageDraw,
        camera: Camera,
        centre: FloatArray,
        forward: FloatArray,
        half_length: float,
        half_width: float,
        lights: int,
    ) -> None:
        left = np.array([-forward[1], forward[0]])
        if lights & LightBit.BRAKE:
            rear = centre - forward * (half_length - 0.2)
            for side in (-0.65, 0.65):
                lamp = rear + left * side * half_width
                box = box_of(lamp, forward, 0.2, 0.3 * half_width)
                self._polygon(draw, camera, box, style.BRAKE_LIGHT)
        for bit, side in ((LightBit.LEFT_BLINKER, 1.0), (LightBit.RIGHT_BLINKER, -1.0)):
            if lights & bit:
                for end in (-0.8, 0.8):
                    lamp = centre + forward * end * half_length + left * side * half_width
                    self._disc(draw, camera, lamp, 0.35, style.BLINKER)


def smooth(values: FloatArray) -> FloatArray:
    """Moving average that keeps the length; ends are padded with their own value."""
    padded = np.pad(values, SMOOTHING // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTHING, 1.0 / SMOOTHING), mode="valid")


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
