"""Bakes a town's static picture: one byte a pixel, one bit a layer (see `scene.map_layers`).

Canvas, pixel lattice and drawing rules follow CaRL's rasteriser (its maps were made with
`generate_waypoints(2.0)` bounds plus 100 m, vertices rounded to whole pixels, fillPoly for lanes
and one-pixel polylines for markings), except that the canvas isn't padded to a square and lanes
are sampled at 0.5 m, which moves an edge by less than a hundredth of a pixel.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_samples import SampledLane
from sim_adapters.maps.polygon_raster import draw_polyline, fill_polygon, fill_strip
from sim_adapters.scene.map_bank import Crosswalks, LaneKind
from sim_adapters.scene.map_layers import LayerBit, MapLayers, tile_plane

MARGIN_M = 100.0
MAX_PIXELS = 1 << 29  # of a town: 11.6 km square at 2 px/m, more than any of CARLA's
_BOUNDS_STEP_M = 2.0
_DOUBLE_LINE_HALF_GAP_M = 0.25

_LANE_BITS = {
    LaneKind.DRIVING: LayerBit.DRIVING,
    LaneKind.PARKING: LayerBit.PARKING,
    LaneKind.SHOULDER: LayerBit.SHOULDER,
    LaneKind.SIDEWALK: LayerBit.SIDEWALK,
}

FloatArray = NDArray[np.float64]


def _codes(*names: str) -> frozenset[int]:
    return frozenset(int(carla.LaneMarkingType.names[name]) for name in names)


# Curbs and grass edges are not painted, so they are no markings
_PAINTED = _codes("Solid", "Broken", "BottsDots") | _codes(
    "SolidSolid", "SolidBroken", "BrokenSolid", "BrokenBroken"
)
_DOUBLE = _codes("SolidSolid", "SolidBroken", "BrokenSolid", "BrokenBroken")
_BROKEN = _codes("Broken", "BrokenBroken", "BottsDots")


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
    for lane in samples:
        if lane.kind in _LANE_BITS:
            _fill_lane(canvas, lane)
    _fill_seams(canvas, samples)
    for lane in samples:
        if lane.kind == LaneKind.DRIVING and lane.junction_id == -1:
            _draw_markings(canvas, lane, lane.left_marking, lane.left_is_white, side=1.0)
            _draw_markings(canvas, lane, lane.right_marking, lane.right_is_white, side=-1.0)
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


def lane_edge(lane: SampledLane, offset_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """World points beside each sample, `offset_m` to the left of the driving direction."""
    return (
        lane.x - np.sin(lane.yaw_rad) * offset_m,
        lane.y + np.cos(lane.yaw_rad) * offset_m,
    )


def _fill_lane(canvas: _Canvas, lane: SampledLane) -> None:
    bits = int(_LANE_BITS[lane.kind])
    if lane.kind == LaneKind.DRIVING and lane.junction_id != -1:
        bits |= int(LayerBit.JUNCTION)
    left = canvas.pixels(*lane_edge(lane, 0.5 * lane.width_m))
    right = canvas.pixels(*lane_edge(lane, -0.5 * lane.width_m))
    fill_strip(canvas.plane, *left, *right, bits)


def _fill_seams(canvas: _Canvas, samples: list[SampledLane]) -> None:
    """Close the joints of driving lanes.

    Where one lane ends and the next begins their corners may round to neighbouring pixels, which
    would leave a hole a pixel wide between the two outlines.
    """
    by_key = {lane.key: lane for lane in samples}
    for lane in samples:
        for key in lane.successors:
            after = by_key.get(key)
            if after is None or after.kind != LaneKind.DRIVING:
                continue
            end, start = _cross_section(canvas, lane, -1), _cross_section(canvas, after, 0)
            left_x, left_y, right_x, right_y = np.stack([end, start], axis=-1)
            fill_strip(canvas.plane, left_x, left_y, right_x, right_y, int(LayerBit.DRIVING))


def _cross_section(canvas: _Canvas, lane: SampledLane, sample: int) -> NDArray[np.int64]:
    """Column and row of the left, then of the right edge at one sample, shape (4,)."""
    left_x, left_y = lane_edge(lane, 0.5 * lane.width_m)
    right_x, right_y = lane_edge(lane, -0.5 * lane.width_m)
    x = np.array([left_x[sample], right_x[sample]])
    y = np.array([left_y[sample], right_y[sample]])
    return np.stack(canvas.pixels(x, y), axis=-1).reshape(-1)


def _draw_markings(
    canvas: _Canvas,
    lane: SampledLane,
    codes: NDArray[np.uint8],
    is_white: NDArray[np.bool_],
    *,
    side: float,
) -> None:
    """Draw one side's markings as runs of samples of the same kind (+1 left, -1 right)."""
    changes = np.flatnonzero((np.diff(codes) != 0) | (np.diff(is_white.astype(np.int8)) != 0)) + 1
    bounds = [0, *changes.tolist(), len(codes)]
    for first, last in itertools.pairwise(bounds):
        code = int(codes[first])
        if code not in _PAINTED:
            continue
        bits = int(LayerBit.MARKING)
        if code in _BROKEN and is_white[first]:
            bits |= int(LayerBit.MARKING_BROKEN)
        # A run reaches the next run's first sample, so that lines have no gap where they change
        run = slice(first, min(last + 1, len(codes)))
        shifts = (-_DOUBLE_LINE_HALF_GAP_M, _DOUBLE_LINE_HALF_GAP_M) if code in _DOUBLE else (0.0,)
        for shift_m in shifts:
            x, y = lane_edge(lane, side * 0.5 * lane.width_m + shift_m)
            draw_polyline(canvas.plane, *canvas.pixels(x[run], y[run]), bits)
