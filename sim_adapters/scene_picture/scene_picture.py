"""ScenePicture: the bird's-eye view of one moment, ego heading up."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene.state import LightState
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.actors import draw_actors
from sim_adapters.scene_picture.brush import Camera, FloatArray, PictureBrush, ribbon_of
from sim_adapters.scene_picture.map_picture import MapPicture
from sim_adapters.scene_picture.moment import Moment

GRID_M = 8.0
EGO_FROM_TOP = 0.72  # share of the height: more is seen ahead than behind
ROUTE_AHEAD_M, ROUTE_WIDTH_M = 90, 1.5
ROUTE_WINDOW_M = 40  # the ego's place on the route is sought this far around its progress
TRAIL_WIDTH_M = 0.5
LIGHT_COLOURS = {
    LightState.RED: style.RED,
    LightState.YELLOW: style.YELLOW,
    LightState.GREEN: style.GREEN,
}
GLOW = ((60, 2.2), (90, 1.3), (255, 0.6))  # opacity and width [m] of a stop line's strokes


class ScenePicture:
    """Draws moments in one town.

    Args:
        maps: Holds the town.
        map_index: Which of its maps.
        size_px: Width and height.
        pixels_per_meter: Scale.
    """

    def __init__(
        self, maps: MapBank, map_index: int, size_px: tuple[int, int], pixels_per_meter: float
    ) -> None:
        self.maps, self.map_index = maps, map_index
        self.size_px, self.pixels_per_meter = size_px, pixels_per_meter
        self.picture = MapPicture(maps, map_index)
        # From the ego to the furthest corner
        reach_px = math.hypot(0.5 * size_px[0], EGO_FROM_TOP * size_px[1])
        self._radius_m = reach_px / pixels_per_meter

    def draw(
        self, moment: Moment, route: FloatArray, trail: FloatArray, *, yaw_rad: float
    ) -> Image.Image:
        """The picture of one moment.

        Args:
            moment: The present.
            route: (P, 2) points of the dense route.
            trail: (N, 2) where the ego has been.
            yaw_rad: Of the camera.
        """
        width, height = self.size_px
        x, y = moment.actors[0, :2]
        ego_px = (0.5 * width, EGO_FROM_TOP * height)
        image = Image.new("RGB", self.size_px, style.GROUND)
        brush = PictureBrush(image, Camera(x, y, yaw_rad, ego_px, self.pixels_per_meter))
        self._draw_grid(brush)
        for shape in self.picture.near(x, y, self._radius_m):
            if shape.width_m:
                brush.line(shape.points, shape.colour, shape.width_m)
            else:
                brush.polygon(shape.points, shape.colour)
        _draw_route(brush, route, moment.route_percent)
        self._draw_stop_signs(brush)
        self._draw_lights(brush, moment)
        brush.line(trail, style.TRAIL, TRAIL_WIDTH_M)
        draw_actors(brush, moment)
        return image

    def _draw_grid(self, brush: PictureBrush) -> None:
        """Crosses on the open ground, so that motion shows where there is no road."""
        reach = math.ceil(self._radius_m / GRID_M)
        steps = GRID_M * np.arange(-reach, reach + 1, dtype=np.float64)
        origin_x = round(brush.camera.x / GRID_M) * GRID_M
        origin_y = round(brush.camera.y / GRID_M) * GRID_M
        xs, ys = np.meshgrid(steps + origin_x, steps + origin_y)
        brush.crosses(np.stack([xs.ravel(), ys.ravel()], axis=1), 0.35, style.GRID)

    def _draw_stop_signs(self, brush: PictureBrush) -> None:
        signs, town = self.maps.signs, self.map_index
        for sign in range(self.maps.ranges.sign[town], self.maps.ranges.sign[town + 1]):
            centre = np.array([signs.x[sign], signs.y[sign]])
            if signs.kind[sign] != SignKind.STOP or not self._is_near(brush, centre):
                continue
            angles = signs.yaw_rad[sign] + np.pi / 8 + np.arange(8) * np.pi / 4
            octagon = centre + 1.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            brush.polygon(octagon, style.RED, style.TEXT, 0.2)

    def _draw_lights(self, brush: PictureBrush, moment: Moment) -> None:
        lines, signals = self.maps.stop_lines, self.maps.signals
        first_signal = self.maps.ranges.signal[self.map_index]
        last_signal = self.maps.ranges.signal[self.map_index + 1]
        for signal in range(first_signal, last_signal):
            colour = LIGHT_COLOURS.get(LightState(int(moment.signals[signal - first_signal])))
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

    def _is_near(self, brush: PictureBrush, point: FloatArray) -> bool:
        offset = math.hypot(point[0] - brush.camera.x, point[1] - brush.camera.y)
        return offset < self._radius_m


def _draw_route(brush: PictureBrush, route: FloatArray, route_percent: float) -> None:
    distance = np.hypot(route[:, 0] - brush.camera.x, route[:, 1] - brush.camera.y)
    progress = route_percent / 100.0 * (len(route) - 1)
    window = np.abs(np.arange(len(route)) - progress) < ROUTE_WINDOW_M
    here = int(np.argmin(np.where(window, distance, np.inf)))
    # One polygon: a translucent line of segments would show its joints.
    ribbon = ribbon_of(route[here : here + ROUTE_AHEAD_M], ROUTE_WIDTH_M)
    if len(ribbon):
        brush.polygon(ribbon, style.ROUTE)
