"""CaRL's nuPlan picture drawn with OpenCV and shapely straight from the scene, as its facts say."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_layers import area_polygon
from sim_adapters.scene.map_areas import AreaKind, MapAreas, Polylines, VectorMap
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, SceneBatch

SIZE = 256
REACH_M = 64.0
Points = NDArray[np.float64]
GRAY_OF_LIGHT = {0: 255, 1: 170, 2: 80}  # red, yellow, green


def gray_of_speed(speed: float, most: float) -> int:
    """127 at rest, 255 at `most`; unknown speeds are 255."""
    return 255 if np.isnan(speed) else int(127.5 * np.clip(speed / most, 0.0, 1.0) + 127.5)


class OpenCvPicture:
    """The picture of one world's ego."""

    def __init__(self, scene: SceneBatch, world: int, maps: MapBank, *, stop_lines: bool) -> None:
        assert maps.vector is not None
        self.scene, self.world, self.maps = scene, world, maps
        self.vector: VectorMap = maps.vector
        motion = scene.motion
        self.heading = float(motion.yaw_rad[world, 0])
        ahead = np.array([np.cos(self.heading), np.sin(self.heading)])
        self.origin = np.array([motion.x[world, 0], motion.y[world, 0]]) + 14.0 * ahead
        square = REACH_M * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        self.square = shapely.Polygon(square @ self._turn() + self.origin)
        self.frame = np.zeros((9, SIZE, SIZE), np.uint8)
        near = self._near(AreaKind.ROADBLOCK, AreaKind.ROADBLOCK_CONNECTOR, AreaKind.CARPARK)
        self.near = near
        self.draw_map(near)
        if stop_lines:
            self._fill(4, self._near(AreaKind.STOP_POLYGON))
        self._draw_boxes()

    def _turn(self) -> Points:
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.array([[cos, sin], [-sin, cos]])  # rows: ahead and left in the world

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        local = (points - self.origin) @ self._turn().T
        return (local * 2.0 + 128.0).astype(np.int32)

    def _exteriors(self, row: int) -> list[Points]:
        areas: MapAreas = self.vector.areas
        rings = np.arange(areas.first_ring[row], areas.first_ring[row + 1])
        spans = [
            slice(areas.first_corner[ring], areas.first_corner[ring + 1])
            for ring in rings[areas.is_exterior[rings]]
        ]
        return [np.column_stack([areas.x[span], areas.y[span]]) for span in spans]

    def _near(self, *kinds: AreaKind) -> list[int]:
        """Areas in the picture, in the order in which one tree of those kinds lists them."""
        kind = self.vector.areas.kind
        rows = np.concatenate([np.flatnonzero(kind == one) for one in kinds])
        shapes = [area_polygon(self.vector.areas, row) for row in rows.tolist()]
        return rows[shapely.STRtree(shapes).query(self.square, predicate="intersects")].tolist()

    def _fill(self, channel: int, rows: Iterable[int]) -> None:
        for row in rows:
            for exterior in self._exteriors(row):
                cv2.fillPoly(self.frame[channel], [self._pixels(exterior)], 255)

    def _line(self, channel: int, lines: Polylines, row: int, value: int) -> None:
        span = slice(lines.first_point[row], lines.first_point[row + 1])
        pixels = self._pixels(np.column_stack([lines.x[span], lines.y[span]]))
        cv2.polylines(self.frame[channel], [pixels], False, value)

    def draw_map(self, near: list[int]) -> None:
        """Channels 0 to 3 and 5, from the given areas in their order."""
        vector, edges = self.vector, self.vector.edges
        kind = vector.areas.kind
        loaded = np.concatenate([np.flatnonzero(edges.roadblock == row) for row in near])
        lanes = loaded[~edges.is_connector[loaded]]
        connectors = loaded[edges.is_connector[loaded]]
        self._fill(0, [row for row in near if kind[row] != AreaKind.ROADBLOCK_CONNECTOR])
        self._fill(0, np.unique(edges.intersection[connectors]))
        route = set(self.scene.route_areas.area[self.world].tolist())
        self._fill(1, [row for row in near if row in route])
        for lane in lanes:
            self._line(2, vector.left_boundaries, lane, 255)
            self._line(2, vector.right_boundaries, lane, 255)
        for connector in connectors:
            signal = self.maps.rules.signal[connector]
            state = int(self.scene.lights.state[self.world, signal]) if signal >= 0 else 3
            if state in GRAY_OF_LIGHT:
                self._line(3, vector.baselines, connector, GRAY_OF_LIGHT[state])
        for edge in (*lanes, *connectors):
            value = gray_of_speed(float(edges.speed_limit_mps[edge]), 30.0)
            self._line(5, vector.baselines, edge, value)

    def _draw_boxes(self) -> None:
        order = [(6, ActorKind.CAR, 30.0), (6, ActorKind.BICYCLE, 30.0)]
        order += [(7, ActorKind.PEDESTRIAN, 4.0), (7, ActorKind.STATIC, np.inf)]
        traits, motion = self.scene.traits, self.scene.motion
        for channel, kind, most in order:
            for slot in range(1, self.scene.num_slots):
                place = shapely.Point(motion.x[self.world, slot], motion.y[self.world, slot])
                if traits.valid[self.world, slot] and traits.kind[self.world, slot] == kind:
                    velocity = motion.vx_mps[self.world, slot], motion.vy_mps[self.world, slot]
                    if self.square.contains(place):
                        self._box(channel, slot, gray_of_speed(float(np.hypot(*velocity)), most))
        body = self.scene.body
        left = body.vy_mps[self.world] + 1.461 * body.yaw_rate_radps[self.world]
        speed = float(np.hypot(body.vx_mps[self.world], left))
        self._box(8, 0, gray_of_speed(speed, 30.0))

    def _box(self, channel: int, slot: int, value: int) -> None:
        traits, motion, at = self.scene.traits, self.scene.motion, (self.world, slot)
        yaw = motion.yaw_rad[at]
        ahead = np.array([np.cos(yaw), np.sin(yaw)]) * traits.half_length_m[at]
        left = np.array([-np.sin(yaw), np.cos(yaw)]) * traits.half_width_m[at]
        centre = np.array([motion.x[at], motion.y[at]])
        sides = (ahead + left, left - ahead, -ahead - left, ahead - left)
        corners = np.array([centre + side for side in sides])
        cv2.fillConvexPoly(self.frame[channel], self._pixels(corners), value)
