"""ScenePicture: the bird's-eye view of one moment, ego heading up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightBit, LightState, SceneBatch
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.brush import (
    Camera,
    FloatArray,
    PictureBrush,
    box_of,
    ribbon_of,
    rounded_box,
)
from sim_adapters.scene_picture.map_picture import MapPicture

KEPT_RADIUS_M = 110.0
ACTOR_COLUMNS = ("x", "y", "yaw_rad", "half_length_m", "half_width_m", "speed_mps")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The present around one driver; ego first among the actors."""

    actors: FloatArray  # (N, 6), ACTOR_COLUMNS
    kinds: NDArray[np.uint8]  # (N,) ActorKind
    lights: NDArray[np.uint8]  # (N,) LightBit
    signals: NDArray[np.uint8]  # (L,) LightState of the town's signals, OFF beyond them
    route_percent: float  # driven so far


def surroundings(scene: SceneBatch, agent: int) -> dict[str, Any]:
    """Fields of a `Moment` but for `route_percent`: actors within KEPT_RADIUS_M, and the lights."""
    world, own = scene.ego.world[agent], scene.ego.slot[agent]
    motion, traits = scene.motion, scene.traits
    x, y = motion.x[world], motion.y[world]
    near = traits.valid[world] & (np.hypot(x - x[own], y - y[own]) < KEPT_RADIUS_M)
    slots = np.flatnonzero(near)
    slots = np.concatenate([[own], slots[slots != own]])
    speed = np.hypot(motion.vx_mps[world, slots], motion.vy_mps[world, slots])
    columns = [
        x[slots],
        y[slots],
        motion.yaw_rad[world, slots],
        traits.half_length_m[world, slots],
        traits.half_width_m[world, slots],
        speed,
    ]
    return {
        "actors": np.stack(columns, axis=1),
        "kinds": traits.kind[world, slots],
        "lights": traits.lights[world, slots],
        "signals": scene.lights.state[world].copy(),
    }


# How actors look in a video: cars with windscreen, brake lights and blinkers; dots for people.

COLOURS = {
    ActorKind.CAR: style.CAR,
    ActorKind.VAN: style.LARGE_VEHICLE,
    ActorKind.TRUCK: style.LARGE_VEHICLE,
    ActorKind.MOTORCYCLE: style.TWO_WHEELER,
    ActorKind.BICYCLE: style.TWO_WHEELER,
}
WITH_WINDSCREEN = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK)
PROPS = (ActorKind.NONE, ActorKind.STATIC, ActorKind.DEBRIS)
SPEED_LINE_S = 0.6  # a line ahead of each vehicle as long as its way in this time
MAX_SPEED_LINE_MPS = 20.0
NARROWEST_M = 0.4  # half width drawn at least


def draw_actors(brush: PictureBrush, moment: Moment) -> None:
    """All actors of a moment, the ego (row 0) on top."""
    for row in range(len(moment.actors) - 1, -1, -1):
        x, y, yaw, half_length, half_width, speed = moment.actors[row]
        kind = ActorKind(int(moment.kinds[row]))
        centre, forward = np.array([x, y]), np.array([math.cos(yaw), math.sin(yaw)])
        if kind is ActorKind.PEDESTRIAN:
            brush.disc(centre, 1.1, (*style.PEDESTRIAN, 60))
            brush.disc(centre, 0.55, style.PEDESTRIAN)
        elif kind in PROPS:
            brush.polygon(box_of(centre, forward, half_length, half_width), style.STATIC)
        else:
            half_width = max(half_width, NARROWEST_M)
            colour = style.EGO if row == 0 else COLOURS[kind]
            draw_speed_line(brush, centre, forward, half_length, speed, colour)
            if row == 0:
                brush.disc(centre, half_length + 1.6, (*style.EGO, 28))
                brush.disc(centre, half_length + 0.7, (*style.EGO, 40))
            body = rounded_box(centre, forward, half_length, half_width)
            brush.polygon(body, colour, style.EGO_EDGE if row == 0 else None, 0.15)
            if kind in WITH_WINDSCREEN:
                front = centre + forward * half_length * 0.28
                screen = box_of(front, forward, 0.14 * half_length, 0.72 * half_width)
                brush.polygon(screen, style.GLASS)
            draw_lamps(brush, centre, forward, half_length, half_width, int(moment.lights[row]))


def draw_speed_line(
    brush: PictureBrush,
    centre: FloatArray,
    forward: FloatArray,
    half_length: float,
    speed_mps: float,
    colour: style.Colour,
) -> None:
    """A faint line from the nose, longer for faster vehicles."""
    if speed_mps > 0.5:
        nose = centre + forward * half_length
        tip = nose + forward * min(speed_mps, MAX_SPEED_LINE_MPS) * SPEED_LINE_S
        brush.line(np.array([nose, tip]), (*colour, 130), 0.25)


def draw_lamps(
    brush: PictureBrush,
    centre: FloatArray,
    forward: FloatArray,
    half_length: float,
    half_width: float,
    lights: int,
) -> None:
    """Brake lights and blinkers that are on."""
    left = np.array([-forward[1], forward[0]])
    if lights & LightBit.BRAKE:
        rear = centre - forward * (half_length - 0.2)
        for side in (-0.65, 0.65):
            lamp = rear + left * side * half_width
            brush.polygon(box_of(lamp, forward, 0.2, 0.3 * half_width), style.BRAKE_LIGHT)
    for bit, side in ((LightBit.LEFT_BLINKER, 1.0), (LightBit.RIGHT_BLINKER, -1.0)):
        if lights & bit:
            for end in (-0.8, 0.8):
                lamp = centre + forward * end * half_length + left * side * half_width
                brush.disc(lamp, 0.35, style.BLINKER)


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


# SceneRenderer: the present of any driver as an RGB array, for gymnasium's `render`.

SIZE_PX = (640, 480)  # multiples of 16, which video encoders like
PIXELS_PER_METER = 8.0
SUPERSAMPLING = 2  # drawn larger and averaged down: PIL's polygons have hard edges
_NO_TRAIL = np.zeros((0, 2))


class SceneRenderer:
    """Draws drivers of a scene, heading up; towns are prepared when they are first seen."""

    def __init__(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank) -> None:
        self.scene, self.memory, self.maps = scene, memory, maps
        self._pictures: dict[int, ScenePicture] = {}  # by map

    def draw(self, agent: int) -> NDArray[np.uint8]:
        """The view of driver `agent`, (H, W, 3)."""
        scene = self.scene
        map_index = int(scene.clocks.map_index[scene.ego.world[agent]])
        if map_index not in self._pictures:
            width, height = (SUPERSAMPLING * pixels for pixels in SIZE_PX)
            scale = SUPERSAMPLING * PIXELS_PER_METER
            self._pictures[map_index] = ScenePicture(self.maps, map_index, (width, height), scale)
        points = int(scene.routes.num_points[agent])
        route = np.stack([scene.routes.x[agent, :points], scene.routes.y[agent, :points]], axis=1)
        percent = float(self.memory.route.percent[agent])
        moment = Moment(**surroundings(scene, agent), route_percent=percent)
        yaw_rad = float(moment.actors[0, 2])
        image = self._pictures[map_index].draw(moment, route, _NO_TRAIL, yaw_rad=yaw_rad)
        return np.asarray(image.reduce(SUPERSAMPLING))
