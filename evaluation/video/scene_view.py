"""SceneView: the bird's-eye half of a video frame, ego heading up."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from evaluation.rollout.recording import Frame, Recording
from evaluation.video import style
from evaluation.video.actors import draw_actors
from evaluation.video.brush import Brush, Camera, FloatArray, ribbon_of
from evaluation.video.map_picture import MapPicture
from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene.state import LightState

GRID_M = 8.0
SMOOTHING = 11  # frames over which the camera's heading is averaged
ROUTE_AHEAD_M, ROUTE_WIDTH_M = 90, 1.5
ROUTE_WINDOW_M = 40  # the ego's place on the route is sought this far around its progress
TRAIL_STEPS, TRAIL_WIDTH_M = 80, 0.5
LIGHT_COLOURS = {
    LightState.RED: style.RED,
    LightState.YELLOW: style.YELLOW,
    LightState.GREEN: style.GREEN,
}
GLOW = ((60, 2.2), (90, 1.3), (255, 0.6))  # opacity and width [m] of a stop line's strokes


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
        # From the ego to the furthest corner
        reach_px = math.hypot(0.5 * size_px[0], 0.72 * size_px[1])
        self._radius_m = reach_px / pixels_per_meter

    def draw(self, index: int) -> Image.Image:
        """The picture of one frame."""
        frame = self.recording.frames[index]
        width, height = self.size_px
        x, y = frame.actors[0, :2]
        ego_px = (0.5 * width, 0.72 * height)
        image = Image.new("RGB", self.size_px, style.GROUND)
        camera = Camera(x, y, float(self._yaw[index]), ego_px, self.pixels_per_meter)
        brush = Brush(image, camera)
        self._draw_grid(brush)
        for shape in self.picture.near(x, y, self._radius_m):
            if shape.width_m:
                brush.line(shape.points, shape.colour, shape.width_m)
            else:
                brush.polygon(shape.points, shape.colour)
        self._draw_route(brush, frame)
        self._draw_stop_signs(brush)
        self._draw_lights(brush, frame)
        trail = self.track[max(0, index - TRAIL_STEPS) : index + 1]
        brush.line(trail, style.TRAIL, TRAIL_WIDTH_M)
        draw_actors(brush, frame)
        return image

    def _draw_grid(self, brush: Brush) -> None:
        """Crosses on the open ground, so that motion shows where there is no road."""
        reach = math.ceil(self._radius_m / GRID_M)
        steps = GRID_M * np.arange(-reach, reach + 1, dtype=np.float64)
        origin_x = round(brush.camera.x / GRID_M) * GRID_M
        origin_y = round(brush.camera.y / GRID_M) * GRID_M
        xs, ys = np.meshgrid(steps + origin_x, steps + origin_y)
        brush.crosses(np.stack([xs.ravel(), ys.ravel()], axis=1), 0.35, style.GRID)

    def _draw_route(self, brush: Brush, frame: Frame) -> None:
        distance = np.hypot(self.route[:, 0] - brush.camera.x, self.route[:, 1] - brush.camera.y)
        progress = frame.route_percent / 100.0 * (len(self.route) - 1)
        window = np.abs(np.arange(len(self.route)) - progress) < ROUTE_WINDOW_M
        here = int(np.argmin(np.where(window, distance, np.inf)))
        # One polygon: a translucent line of segments would show its joints.
        ribbon = ribbon_of(self.route[here : here + ROUTE_AHEAD_M], ROUTE_WIDTH_M)
        if len(ribbon):
            brush.polygon(ribbon, style.ROUTE)

    def _draw_stop_signs(self, brush: Brush) -> None:
        signs, town = self.maps.signs, self.recording.map_index
        for sign in range(self.maps.ranges.sign[town], self.maps.ranges.sign[town + 1]):
            centre = np.array([signs.x[sign], signs.y[sign]])
            if signs.kind[sign] != SignKind.STOP or not self._is_near(brush, centre):
                continue
            angles = signs.yaw_rad[sign] + np.pi / 8 + np.arange(8) * np.pi / 4
            octagon = centre + 1.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            brush.polygon(octagon, style.RED, style.TEXT, 0.2)

    def _draw_lights(self, brush: Brush, frame: Frame) -> None:
        lines, signals = self.maps.stop_lines, self.maps.signals
        first_signal = self.maps.ranges.signal[self.recording.map_index]
        last_signal = self.maps.ranges.signal[self.recording.map_index + 1]
        for signal in range(first_signal, last_signal):
            colour = LIGHT_COLOURS.get(LightState(int(frame.signals[signal - first_signal])))
            if colour is None:
                continue
            for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
                centre = np.array([lines.x[line], lines.y[line]])
                if not self._is_near(brush, centre):
                    continue
                yaw, half = lines.yaw_rad[line], 0.45 * lines.lane_width_m[line]
                across = np.array([-math.sin(yaw), math.cos(yaw)]) * half
                for opacity, width_m in GLOW:
                    ends = np.array([centre - across, centre + across])
                    brush.line(ends, (*colour, opacity), width_m)

    def _is_near(self, brush: Brush, point: FloatArray) -> bool:
        offset = math.hypot(point[0] - brush.camera.x, point[1] - brush.camera.y)
        return offset < self._radius_m


def smooth(values: FloatArray) -> FloatArray:
    """Moving average that keeps the length; ends are padded with their own value."""
    padded = np.pad(values, SMOOTHING // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTHING, 1.0 / SMOOTHING), mode="valid")
