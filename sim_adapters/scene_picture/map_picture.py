"""MapPicture: a town's lanes and markings as polygons, ready to be drawn from any view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, untile_plane
from sim_adapters.scene_picture import style

KEPT_TURN_RAD = 0.02  # a centre line keeps the points at which it has turned this far
DASH_M, DASH_PERIOD_M = 3.0, 7.5
OVERLAP_M = 0.15  # lanes are widened by this, so that no gap shows between neighbours
LAYERS = (  # painted in this order
    (LaneKind.SIDEWALK, style.SIDEWALK),
    (LaneKind.SHOULDER, style.SHOULDER),
    (LaneKind.BIKING, style.SHOULDER),
    (LaneKind.PARKING, style.PARKING),
    (LaneKind.DRIVING, style.ROAD),
)


@dataclass(frozen=True)
class MapShape:
    """A polygon or, with `width_m`, a line in the world frame."""

    points: FloatArray  # (N, 2) [m]
    colour: style.Colour
    width_m: float = 0.0


class MapPicture:
    """What of a town does not move.

    Args:
        maps: Holds the town.
        map_index: Which of its maps.
    """

    def __init__(self, maps: MapBank, map_index: int) -> None:
        self._maps, self._map_index = maps, map_index
        self._plane = untile_plane(maps.layers, map_index)
        lanes = range(maps.ranges.lane[map_index], maps.ranges.lane[map_index + 1])
        self.shapes: list[MapShape] = []
        for kind, colour in LAYERS:
            of_kind = [lane for lane in lanes if maps.lanes.kind[lane] == kind]
            self.shapes += [MapShape(self._outline(lane), colour) for lane in of_kind]
        self.shapes += self._crosswalks()
        for lane in lanes:
            if maps.lanes.kind[lane] == LaneKind.DRIVING and maps.lanes.junction[lane] < 0:
                self.shapes += self._markings(lane)
        middles = [(s.points.min(axis=0) + s.points.max(axis=0)) / 2 for s in self.shapes]
        self._centre = np.array(middles)
        radii = [np.hypot(*np.ptp(shape.points, axis=0)) / 2 for shape in self.shapes]
        self._radius = np.array(radii)

    def near(self, x: float, y: float, radius_m: float) -> list[MapShape]:
        """All shapes that may reach into the circle, in the order of painting."""
        distance = np.hypot(self._centre[:, 0] - x, self._centre[:, 1] - y)
        return [self.shapes[i] for i in np.flatnonzero(distance < radius_m + self._radius)]

    def _rows(self, lane: int) -> NDArray[np.int64]:
        """The lane's points that matter for its shape."""
        first, last = self._maps.lanes.first_point[lane : lane + 2]
        rows = np.arange(first, last)
        turned = np.floor(np.unwrap(self._maps.points.yaw_rad[rows]) / KEPT_TURN_RAD)
        keep = np.diff(turned, prepend=turned[0] - 1) != 0
        keep |= np.diff(turned, append=turned[-1] + 1) != 0
        keep |= (rows - first) % 10 == 0  # width may change
        return rows[keep]

    def _side(self, rows: NDArray[np.int64], offset_m: FloatArray) -> FloatArray:
        """Points beside the centre line, left is positive, (N, 2)."""
        points = self._maps.points
        x = points.x[rows] - np.sin(points.yaw_rad[rows]) * offset_m
        y = points.y[rows] + np.cos(points.yaw_rad[rows]) * offset_m
        return np.stack([x, y], axis=1)

    def _outline(self, lane: int) -> FloatArray:
        rows = self._rows(lane)
        half = self._maps.points.width_m[rows] / 2 + OVERLAP_M
        return np.concatenate([self._side(rows, half), self._side(rows, -half)[::-1]])

    def _crosswalks(self) -> list[MapShape]:
        crosswalks, ranges = self._maps.crosswalks, self._maps.ranges.crosswalk
        corners = np.stack([crosswalks.x, crosswalks.y], axis=1)
        shapes = []
        for walk in range(ranges[self._map_index], ranges[self._map_index + 1]):
            polygon = corners[crosswalks.first_corner[walk] : crosswalks.first_corner[walk + 1]]
            if len(polygon) >= 4:
                shapes += zebra(polygon)
        return shapes

    def _markings(self, lane: int) -> list[MapShape]:
        beside_oncoming = self._maps.lanes.left[lane] < 0 and self._maps.lanes.opposite[lane] >= 0
        left_colour = style.CENTRE_MARKING if beside_oncoming else style.MARKING
        return self._boundary(lane, 0.5, left_colour) + self._boundary(lane, -0.5, style.MARKING)

    def _boundary(self, lane: int, widths: float, colour: style.Colour) -> list[MapShape]:
        """The marking so many lane widths left of the centre, as the baked layers know it."""
        first, last = self._maps.lanes.first_point[lane : lane + 2]
        rows = np.arange(first, last)
        line = self._side(rows, widths * self._maps.points.width_m[rows])
        bits = self._layer_bits(line)
        if ((bits & LayerBit.MARKING) != 0).mean() < 0.3:
            return []
        if ((bits & LayerBit.MARKING_BROKEN) != 0).mean() < 0.3:
            few = self._rows(lane)  # drawn through every metre, whole pixels make a line waver
            return [
                MapShape(self._side(few, widths * self._maps.points.width_m[few]), colour, 0.14)
            ]
        s = self._maps.points.s_m[rows]
        dash = np.floor(s / DASH_PERIOD_M)
        visible = s % DASH_PERIOD_M <= DASH_M
        groups = [line[visible & (dash == number)] for number in np.unique(dash)]
        return [MapShape(group, colour, 0.14) for group in groups if len(group) > 1]

    def _layer_bits(self, line: FloatArray) -> NDArray[np.uint8]:
        """Union of the map's bits in the 3 x 3 pixels around each point."""
        layers, m = self._maps.layers, self._map_index
        ppm = layers.pixels_per_meter[m]
        column = np.rint((line[:, 0] - layers.origin_x[m]) * ppm).astype(np.int64)
        row = np.rint((line[:, 1] - layers.origin_y[m]) * ppm).astype(np.int64)
        bits = np.zeros(len(line), np.uint8)
        for shift_row in (-1, 0, 1):
            for shift_column in (-1, 0, 1):
                rows = np.clip(row + shift_row, 0, self._plane.shape[0] - 1)
                columns = np.clip(column + shift_column, 0, self._plane.shape[1] - 1)
                bits |= self._plane[rows, columns]
        return bits


def zebra(polygon: FloatArray, stripe_m: float = 0.5, period_m: float = 1.1) -> list[MapShape]:
    """Stripes across a crosswalk, whose long side is the way people walk."""
    sides = np.diff(polygon[:4], axis=0)
    along = sides[int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))]
    length = float(np.hypot(*along))
    if length < period_m:
        return []
    unit = along / length
    normal = np.array([-unit[1], unit[0]])
    reach, side = polygon @ unit, polygon @ normal
    stripes = []
    for start in np.arange(reach.min(), reach.max() - stripe_m, period_m):
        corners = [(start, side.min()), (start, side.max())]
        corners += [(start + stripe_m, side.max()), (start + stripe_m, side.min())]
        points = np.array([a * unit + b * normal for a, b in corners])
        stripes.append(MapShape(points, style.CROSSWALK))
    return stripes
