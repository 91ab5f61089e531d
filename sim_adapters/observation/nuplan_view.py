"""NuplanView: where CaRL's nuPlan raster stands around the ego, and its gray value of a speed.

The picture is not ego-up: forward is +column and left is +row, which mirrors the scene about the
ego's heading. Places become pixels by truncation towards zero, as numpy's cast to integers does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.scene.area_lookup import area_contains
from sim_adapters.scene.map_areas import AreaKind, MapAreas, Polylines


class NuplanView(NamedTuple):
    """Geometry of the picture, a square of `size_px`."""

    size_px: int
    pixels_per_meter: float
    forward_shift_m: float  # the picture's centre lies so far ahead of the ego's centre


class Origin(NamedTuple):
    """The picture's centre in the world, and its heading."""

    x: float
    y: float
    cos: float
    sin: float


@inlined_function
def origin_at(view: NuplanView, x: float, y: float, yaw_rad: float) -> Origin:
    """Origin of the picture of an ego whose centre stands at (x, y)."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return Origin(x + view.forward_shift_m * cos, y + view.forward_shift_m * sin, cos, sin)


@inlined_function
def to_picture(view: NuplanView, origin: Origin, x: float, y: float) -> tuple[float, float]:
    """(column, row) of a place of the world, before truncation."""
    dx, dy = x - origin.x, y - origin.y
    half = 0.5 * view.size_px
    column = (origin.cos * dx + origin.sin * dy) * view.pixels_per_meter + half
    row = (origin.cos * dy - origin.sin * dx) * view.pixels_per_meter + half
    return column, row


@inlined_function
def in_picture(view: NuplanView, column: float, row: float) -> bool:
    """Whether a place lies within the picture's square."""
    return 0.0 <= column <= view.size_px and 0.0 <= row <= view.size_px


@inlined_function
def speed_value(speed_mps: float, max_mps: float) -> int:
    """Gray value of a speed: 127 at rest, 255 from `max_mps` on and where it is unknown (NaN)."""
    if math.isnan(speed_mps):
        return 255
    return int(127.5 * min(max(speed_mps / max_mps, 0.0), 1.0) + 127.5)


# Which roadblocks, connectors and car parks a picture touches: CaRL draws what is theirs.

_STOP_POLYGON = int(AreaKind.STOP_POLYGON)


class NearAreas(NamedTuple):
    """Scratch of one thread."""

    area: NDArray[np.int32]  # rows of MapAreas that the picture touches, as they are drawn
    intersection: NDArray[np.int32]  # rows of MapAreas that the picture shows already
    column_px: NDArray[np.int64]  # pixels of the corners of one ring or line
    row_px: NDArray[np.int64]


def make_near_areas(areas: MapAreas, *lines: Polylines) -> NearAreas:
    """Scratch for all areas and lines of a bank."""
    counts = [np.diff(areas.first_corner), *(np.diff(line.first_point) for line in lines)]
    longest = max((int(count.max(initial=2)) for count in counts), default=2)
    num_areas = len(areas.kind)
    return NearAreas(
        np.zeros(num_areas, np.int32),
        np.zeros(num_areas, np.int32),
        np.zeros(longest, np.int64),
        np.zeros(longest, np.int64),
    )


@device_function
def place_points(
    view: NuplanView,
    origin: Origin,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    first: int,
    last: int,
    near: NearAreas,
) -> int:
    """Write the pixels of points first to last - 1 into the scratch; how many there are.

    Neighbours that fall on one pixel are written once, which changes nothing that is drawn: maps
    have a point every half metre. A line within one pixel keeps two points, for it to be drawn.
    """
    count, last_column, last_row = 0, 0, 0
    for i in range(first, last):
        column, row = to_picture(view, origin, x[i], y[i])
        column_px, row_px = int(column), int(row)
        if count > 0 and column_px == last_column and row_px == last_row:
            continue
        near.column_px[count], near.row_px[count] = column_px, row_px
        last_column, last_row = column_px, row_px
        count += 1
    if count == 1:
        near.column_px[1], near.row_px[1] = last_column, last_row
        count = 2
    return count


@device_function
def place_ring(
    view: NuplanView, origin: Origin, ring: int, areas: MapAreas, near: NearAreas
) -> int:
    """Write the pixels of a ring into the scratch; how many there are."""
    first, last = int(areas.first_corner[ring]), int(areas.first_corner[ring + 1])
    return place_points(view, origin, areas.x, areas.y, first, last, near)


@device_function
def _enters_square(x0: float, y0: float, x1: float, y1: float, size: float) -> bool:
    """Whether a segment touches the square [0, size] x [0, size] (Liang and Barsky's clipping)."""
    if max(x0, x1) < 0.0 or min(x0, x1) > size or max(y0, y1) < 0.0 or min(y0, y1) > size:
        return False
    enter, leave = 0.0, 1.0
    for delta, start in ((x1 - x0, x0), (y1 - y0, y0)):
        if delta != 0.0:  # a level segment is inside the bands, or was refused above
            low, high = -start / delta, (size - start) / delta
            enter, leave = max(enter, min(low, high)), min(leave, max(low, high))
    return enter <= leave


@device_function
def touches_picture(view: NuplanView, origin: Origin, area: int, areas: MapAreas) -> bool:
    """Whether an area's polygon and the picture's square share a point."""
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        first, last = int(areas.first_corner[ring]), int(areas.first_corner[ring + 1])
        before_column, before_row = to_picture(view, origin, areas.x[first], areas.y[first])
        for i in range(first, last):
            column, row = to_picture(view, origin, areas.x[i], areas.y[i])
            if in_picture(view, column, row):
                return True
            if _enters_square(before_column, before_row, column, row, view.size_px):
                return True
            before_column, before_row = column, row
    return area_contains(area, origin.x, origin.y, areas)


@device_function
def find_near_areas(
    view: NuplanView,
    origin: Origin,
    first_drawn: int,
    last_drawn: int,
    with_stop_polygons: bool,
    drawn: NDArray[np.int32],
    areas: MapAreas,
    near: NearAreas,
) -> int:
    """Write the roadblocks, their connectors and car parks in the picture; how many there are.

    All of a map's few thousand are looked at, by their bounds; a grid of cells fine enough for
    points would list each of them many times.
    """
    reach = 0.5 * view.size_px / view.pixels_per_meter * (abs(origin.cos) + abs(origin.sin))
    west, east = origin.x - reach, origin.x + reach
    south, north = origin.y - reach, origin.y + reach
    count = 0
    for i in range(first_drawn, last_drawn):
        area = drawn[i]
        if areas.bounds[area, 0] > east or areas.bounds[area, 2] < west:
            continue
        if areas.bounds[area, 1] > north or areas.bounds[area, 3] < south:
            continue
        if areas.kind[area] == _STOP_POLYGON and not with_stop_polygons:
            continue
        if touches_picture(view, origin, area, areas):
            near.area[count] = area
            count += 1
    return count
