"""Which roadblocks, connectors and car parks a picture touches: CaRL draws what is theirs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.observation.nuplan_view import NuplanView, Origin, in_picture, to_picture
from sim_adapters.scene.area_lookup import area_contains
from sim_adapters.scene.map_areas import AreaKind, MapAreas, Polylines

_STOP_POLYGON = int(AreaKind.STOP_POLYGON)


class NearAreas(NamedTuple):
    """Scratch of one thread."""

    area: NDArray[np.int32]  # rows of MapAreas that the picture touches, ascending
    column: NDArray[np.float64]  # of the corners of one ring or line
    row: NDArray[np.float64]
    column_px: NDArray[np.int64]  # the same, truncated
    row_px: NDArray[np.int64]


def make_near_areas(areas: MapAreas, *lines: Polylines) -> NearAreas:
    """Scratch for all areas and lines of a bank."""
    counts = [np.diff(areas.first_corner), *(np.diff(line.first_point) for line in lines)]
    longest = max((int(count.max(initial=1)) for count in counts), default=1)
    return NearAreas(
        np.zeros(len(areas.kind), np.int32),
        np.zeros(longest),
        np.zeros(longest),
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
    """Write the pixels of points first to last - 1 into the scratch; how many there are."""
    for i in range(first, last):
        column, row = to_picture(view, origin, x[i], y[i])
        near.column[i - first], near.row[i - first] = column, row
        near.column_px[i - first], near.row_px[i - first] = int(column), int(row)
    return last - first


@device_function
def place_exterior(
    view: NuplanView, origin: Origin, area: int, areas: MapAreas, near: NearAreas
) -> int:
    """Write the pixels of an area's outer ring into the scratch; how many corners it has."""
    ring = areas.first_ring[area]
    first, last = int(areas.first_corner[ring]), int(areas.first_corner[ring + 1])
    return place_points(view, origin, areas.x, areas.y, first, last, near)


@device_function
def _enters_square(x0: float, y0: float, x1: float, y1: float, size: float) -> bool:
    """Whether a segment touches the square [0, size] x [0, size] (Liang and Barsky's clipping)."""
    enter, leave = 0.0, 1.0
    for delta, start in ((x1 - x0, x0), (y1 - y0, y0)):
        if delta == 0.0:
            if start < 0.0 or start > size:
                return False
            continue
        low, high = -start / delta, (size - start) / delta
        enter, leave = max(enter, min(low, high)), min(leave, max(low, high))
    return enter <= leave


@device_function
def touches_picture(
    view: NuplanView, origin: Origin, area: int, areas: MapAreas, near: NearAreas
) -> bool:
    """Whether an area's polygon and the picture's square share a point."""
    count = place_exterior(view, origin, area, areas, near)
    for i in range(count):
        if in_picture(view, near.column[i], near.row[i]):
            return True
    for i in range(count - 1):
        ends = near.column[i], near.row[i], near.column[i + 1], near.row[i + 1]
        if _enters_square(*ends, view.size_px):
            return True
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
        if touches_picture(view, origin, area, areas, near):
            near.area[count] = area
            count += 1
    return count
