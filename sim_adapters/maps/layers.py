"""Bakes a town's static picture: one byte a pixel, one bit a layer (see `scene.map_layers`).

Canvas, pixel lattice and drawing rules follow CaRL's rasteriser (its maps were made with
`generate_waypoints(2.0)` bounds plus 100 m, a vertex each 0.05 m rounded to whole pixels, fillPoly
for lanes and one-pixel polylines for markings), except that the canvas isn't padded to a square.
What kinds of lines a marking consists of is what CARLA's `no_rendering_mode.py` draws for it.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import carla
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.maps.lane_samples import END_GAP_M, NO_ROAD_MARK, LaneKey, SampledLane
from sim_adapters.scene.map_bank import Crosswalks, LaneKind
from sim_adapters.scene.map_layers import LayerBit, MapLayers, tile_plane

# Fills polygons and draws lines into a byte plane, with the pixel rules of OpenCV's fillPoly.
#
# CaRL bakes its maps with OpenCV; a policy trained on those sees polygons that include every pixel
# their outline passes. Vertices are whole pixels.

BytePlane = NDArray[np.uint8]
PixelArray = NDArray[np.int64]
_MAX_CROSSINGS = 64  # of one pixel row with one polygon's outline


@njit(cache=True)
def draw_line(plane: BytePlane, x0: int, y0: int, x1: int, y1: int, bits: int) -> None:
    """Set `bits` along a line one pixel thick, both ends included.

    Bresenham's line (1965), drawn to the right and with ties as OpenCV breaks them.
    """
    rows, columns = plane.shape
    if x1 < x0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    dx, dy = x1 - x0, abs(y1 - y0)
    step_y = 1 if y1 > y0 else -1
    is_steep = dy > dx
    major, minor = (dy, dx) if is_steep else (dx, dy)
    error = major - 2 * minor
    for _ in range(major + 1):
        if 0 <= x0 < columns and 0 <= y0 < rows:
            plane[y0, x0] |= bits
        crosses = error < 0
        error += 2 * major * crosses - 2 * minor
        x0 += crosses if is_steep else 1
        y0 += step_y * (1 if is_steep else crosses)


@njit(cache=True)
def draw_polyline(plane: BytePlane, x: PixelArray, y: PixelArray, bits: int) -> None:
    """Set `bits` along an open polyline one pixel thick."""
    for corner in range(len(x) - 1):
        draw_line(plane, x[corner], y[corner], x[corner + 1], y[corner + 1], bits)


@njit(cache=True)
def fill_polygon(plane: BytePlane, x: PixelArray, y: PixelArray, bits: int) -> None:
    """Set `bits` inside a closed polygon (even-odd rule) and on its outline."""
    rows, columns = plane.shape
    count = len(x)
    for corner in range(count):
        after = (corner + 1) % count
        draw_line(plane, x[corner], y[corner], x[after], y[after], bits)
    crossings = np.empty(_MAX_CROSSINGS)
    for row in range(max(0, y.min()), min(rows, y.max() + 1)):
        found = 0
        for corner in range(count):
            after = (corner + 1) % count
            low, high = y[corner], y[after]
            # Half-open in y: an outline's corner counts once
            if (low <= row) != (high <= row) and found < _MAX_CROSSINGS:
                share = (row - low) / (high - low)
                crossings[found] = x[corner] + share * (x[after] - x[corner])
                found += 1
        crossings[:found].sort()
        for pair in range(0, found - 1, 2):
            first = max(0, int(np.ceil(crossings[pair])))
            last = min(columns - 1, int(np.floor(crossings[pair + 1])))
            for column in range(first, last + 1):
                plane[row, column] |= bits


@njit(cache=True)
def fill_strip(
    plane: BytePlane,
    left_x: PixelArray,
    left_y: PixelArray,
    right_x: PixelArray,
    right_y: PixelArray,
    bits: int,
) -> None:
    """Set `bits` between two edges that run side by side, shape (K,) each.

    Filling the quadrilaterals one by one leaves no hole where a tight curve folds an edge over
    itself, as the even-odd rule would.
    """
    x, y = np.empty(4, np.int64), np.empty(4, np.int64)
    for step in range(len(left_x) - 1):
        x[0], y[0] = left_x[step], left_y[step]
        x[1], y[1] = left_x[step + 1], left_y[step + 1]
        x[2], y[2] = right_x[step + 1], right_y[step + 1]
        x[3], y[3] = right_x[step], right_y[step]
        fill_polygon(plane, x, y, bits)


MARGIN_M = 100.0
MAX_PIXELS = 1 << 29  # of a town: 11.6 km square at 2 px/m, more than any of CARLA's
_BOUNDS_STEP_M = 2.0
_VERTEX_STEP_M = 0.05  # of one-pixel lines: fewer vertices would cut the corners of their stairs
_DOUBLE_LINE_GAP_M = 0.5

_LANE_BITS = {
    LaneKind.DRIVING: LayerBit.DRIVING,
    LaneKind.PARKING: LayerBit.PARKING,
    LaneKind.SHOULDER: LayerBit.SHOULDER,
    LaneKind.SIDEWALK: LayerBit.SIDEWALK,
}


class _Line(NamedTuple):
    """One of the lines that a marking consists of."""

    outward_m: float  # from the lane's edge
    is_broken: bool


def _code(name: str) -> int:
    return int(carla.LaneMarkingType.names[name])


_LINES = {
    _code("Broken"): [_Line(0.0, True)],
    _code("SolidSolid"): [_Line(0.0, False), _Line(_DOUBLE_LINE_GAP_M, False)],
    _code("SolidBroken"): [_Line(0.0, True), _Line(_DOUBLE_LINE_GAP_M, False)],
    _code("BrokenSolid"): [_Line(0.0, False), _Line(_DOUBLE_LINE_GAP_M, True)],
    _code("BrokenBroken"): [_Line(0.0, True), _Line(_DOUBLE_LINE_GAP_M, True)],
    NO_ROAD_MARK: [],
}
_OTHER_LINES = [_Line(0.0, False)]  # of all types else: an edge that nobody painted is drawn, too


class _Outline(NamedTuple):
    """A lane at the vertices of its picture, (V,) each."""

    x: FloatArray
    y: FloatArray
    yaw_rad: FloatArray
    half_width_m: FloatArray  # as seen from above
    nearest_sample: NDArray[np.int64]  # row of the lane's samples


class _Canvas(NamedTuple):
    """A plane and where its pixel (0, 0) lies."""

    plane: NDArray[np.uint8]
    origin_x: float
    origin_y: float
    pixels_per_meter: float

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Nearest columns and rows of world points."""
        column = np.rint(self.pixels_per_meter * (x - self.origin_x)).astype(np.int64)
        row = np.rint(self.pixels_per_meter * (y - self.origin_y)).astype(np.int64)
        return column, row


def bake_layers(
    carla_map: carla.Map,
    samples: list[SampledLane],
    crosswalks: Crosswalks,
    pixels_per_meter: float,
) -> MapLayers:
    """Draw all layers of one town."""
    canvas = _empty_canvas(carla_map, pixels_per_meter)
    outlines = {lane.key: _outline(lane) for lane in samples if lane.kind in _LANE_BITS}
    for lane in samples:
        if lane.key in outlines:
            _fill_lane(canvas, int(_LANE_BITS[lane.kind]), outlines[lane.key])
    driving = [lane for lane in samples if lane.kind == LaneKind.DRIVING]
    _fill_seams(canvas, driving, outlines)
    _fill_medians(canvas, driving, outlines)
    for lane in driving:
        if lane.junction_id == -1:
            outline = outlines[lane.key]
            _draw_markings(canvas, outline, lane.left_marking, lane.left_is_white, side=1.0)
            _draw_markings(canvas, outline, lane.right_marking, lane.right_is_white, side=-1.0)
    for first, last in zip(crosswalks.first_corner[:-1], crosswalks.first_corner[1:], strict=True):
        corners = canvas.pixels(crosswalks.x[first:last], crosswalks.y[first:last])
        fill_polygon(canvas.plane, *corners, int(LayerBit.CROSSWALK))
    tiles, tiles_x, tiles_y = tile_plane(canvas.plane)
    return MapLayers(
        origin_x=np.array([canvas.origin_x]),
        origin_y=np.array([canvas.origin_y]),
        pixels_per_meter=np.array([pixels_per_meter]),
        num_tiles_x=np.array([tiles_x], np.int32),
        num_tiles_y=np.array([tiles_y], np.int32),
        first_byte=np.zeros(1, np.int64),
        tiles=tiles,
    )


def _empty_canvas(carla_map: carla.Map, pixels_per_meter: float) -> _Canvas:
    locations = [
        waypoint.transform.location for waypoint in carla_map.generate_waypoints(_BOUNDS_STEP_M)
    ]
    x = np.array([location.x for location in locations])
    y = np.array([location.y for location in locations])  # CARLA's, down
    width = int(np.ceil((x.max() - x.min() + 2.0 * MARGIN_M) * pixels_per_meter))
    height = int(np.ceil((y.max() - y.min() + 2.0 * MARGIN_M) * pixels_per_meter))
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"its roads lie within {width / pixels_per_meter / 1e3:.1f} x "
            f"{height / pixels_per_meter / 1e3:.1f} km, {width * height / 1e9:.0f} Gpixel at "
            f"{pixels_per_meter:g} px/m, of which {MAX_PIXELS / 1e9:.1f} are allowed"
        )
    # The lattice hangs from CARLA's upper left corner (least x, least y)
    top = -(float(y.min()) - MARGIN_M)
    return _Canvas(
        plane=np.zeros((height, width), np.uint8),
        origin_x=float(x.min()) - MARGIN_M,
        origin_y=top - (height - 1) / pixels_per_meter,
        pixels_per_meter=pixels_per_meter,
    )


def _outline(lane: SampledLane) -> _Outline:
    """Vertices each 0.05 m of the road's s, from where the lane begins."""
    station_m = np.abs(lane.road_s_m - lane.road_s_m[0])
    count = max(2, 1 + int((station_m[-1] + 2.0 * END_GAP_M) / _VERTEX_STEP_M))
    at = np.clip(_VERTEX_STEP_M * np.arange(float(count)) - END_GAP_M, 0.0, station_m[-1])
    # CARLA's client turns a way-point by 90 degrees and goes ahead: on a slope not quite level
    flat_m = np.hypot(np.gradient(lane.x), np.gradient(lane.y))
    level = flat_m / np.hypot(flat_m, np.gradient(lane.z))
    fields = (lane.x, lane.y, lane.yaw_rad, 0.5 * lane.width_m * level)
    nearest = np.rint(np.interp(at, station_m, np.arange(len(station_m)))).astype(np.int64)
    return _Outline(*(_curve(at, station_m, field) for field in fields), nearest_sample=nearest)


def _curve(at: FloatArray, station_m: FloatArray, values: FloatArray) -> FloatArray:
    """Cubic Hermite interpolation; chords of 0.5 m would move one pixel of a hundred."""
    steps = np.diff(station_m)
    slope = np.gradient(values, station_m)
    row = np.clip(np.searchsorted(station_m, at, side="right") - 1, 0, len(steps) - 1)
    t = (at - station_m[row]) / steps[row]
    rise = t * t * (3.0 - 2.0 * t)
    bend = (t * (1.0 - t) ** 2) * slope[row] - (t * t * (1.0 - t)) * slope[row + 1]
    return values[row] + rise * (values[row + 1] - values[row]) + steps[row] * bend


def _edge(outline: _Outline, offset_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """World points beside each vertex, `offset_m` to the left of the driving direction."""
    return (
        outline.x - np.sin(outline.yaw_rad) * offset_m,
        outline.y + np.cos(outline.yaw_rad) * offset_m,
    )


def _fill_lane(canvas: _Canvas, bits: int, outline: _Outline) -> None:
    left, right = _edges(canvas, outline)
    # One quadrilateral for each step that moves a corner, and a strip has no less than two ends
    moves = np.any(np.diff(np.stack([*left, *right]), axis=1) != 0, axis=0)
    kept = np.concatenate([[True], moves[:-1], [True]])
    fill_strip(canvas.plane, left[0][kept], left[1][kept], right[0][kept], right[1][kept], bits)


def _fill_seams(
    canvas: _Canvas, driving: list[SampledLane], outlines: dict[LaneKey, _Outline]
) -> None:
    """Close the joints of driving lanes.

    Where one lane ends and the next begins their corners may round to neighbouring pixels, which
    would leave a hole a pixel wide between the two outlines.
    """
    keys = {lane.key for lane in driving}
    for lane in driving:
        for key in keys.intersection(lane.successors):
            end = _cross_section(canvas, outlines[lane.key], -1)
            start = _cross_section(canvas, outlines[key], 0)
            left_x, left_y, right_x, right_y = np.stack([end, start], axis=-1)
            fill_strip(canvas.plane, left_x, left_y, right_x, right_y, int(LayerBit.DRIVING))


def _fill_medians(
    canvas: _Canvas, driving: list[SampledLane], outlines: dict[LaneKey, _Outline]
) -> None:
    """Fill what lies between the shoulders of one side, which CaRL bakes as one polygon."""
    for lane in driving:
        for side in lane.shoulders:
            edges = [
                _edges(canvas, outlines[key], reverse=(key[2] > 0) != (lane.key[2] > 0))
                for key in side
                if key in outlines
            ]
            for (left, right), (next_left, next_right) in itertools.pairwise(edges):
                fill_strip(canvas.plane, *left, *next_left, int(LayerBit.MEDIAN))
                fill_strip(canvas.plane, *right, *next_right, int(LayerBit.MEDIAN))


def _edges(
    canvas: _Canvas, outline: _Outline, *, reverse: bool = False
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Columns and rows of the left and of the right edge, in driving direction or against it."""
    order = slice(None, None, -1 if reverse else 1)
    half = outline.half_width_m
    pixels = [canvas.pixels(*_edge(outline, offset_m)) for offset_m in (half, -half)]
    return [(columns[order], rows[order]) for columns, rows in pixels]


def _cross_section(canvas: _Canvas, outline: _Outline, vertex: int) -> NDArray[np.int64]:
    """Column and row of the left, then of the right edge at one vertex, shape (4,)."""
    left_x, left_y = _edge(outline, outline.half_width_m)
    right_x, right_y = _edge(outline, -outline.half_width_m)
    x = np.array([left_x[vertex], right_x[vertex]])
    y = np.array([left_y[vertex], right_y[vertex]])
    return np.stack(canvas.pixels(x, y), axis=-1).reshape(-1)


def _draw_markings(
    canvas: _Canvas,
    outline: _Outline,
    codes: NDArray[np.uint8],
    is_white: NDArray[np.bool_],
    *,
    side: float,
) -> None:
    """Draw one side's markings as runs of vertices of the same kind (+1 left, -1 right)."""
    codes, is_white = codes[outline.nearest_sample], is_white[outline.nearest_sample]
    changes = np.flatnonzero((np.diff(codes) != 0) | (np.diff(is_white.astype(np.int8)) != 0)) + 1
    bounds = [0, *changes.tolist(), len(codes)]
    for first, last in itertools.pairwise(bounds):
        # A run begins with the last vertex of the one before, so that lines have no gap
        run = slice(max(first - 1, 0), last)
        for line in _LINES.get(int(codes[first]), _OTHER_LINES):
            bits = int(LayerBit.MARKING)
            if line.is_broken and is_white[first]:
                bits |= int(LayerBit.MARKING_BROKEN)
            x, y = _edge(outline, side * (outline.half_width_m + line.outward_m))
            draw_polyline(canvas.plane, *canvas.pixels(x[run], y[run]), bits)
