"""Which roadblocks, connectors and car parks a picture touches: CaRL draws what is theirs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.nuplan_view import NuplanView, Origin, in_picture, to_picture
from sim_adapters.scene.area_lookup import area_contains
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas, Polylines

_ROADBLOCK, _BLOCK_CONNECTOR = int(AreaKind.ROADBLOCK), int(AreaKind.ROADBLOCK_CONNECTOR)
_CARPARK, _STOP_POLYGON = int(AreaKind.CARPARK), int(AreaKind.STOP_POLYGON)


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


@inlined_function
def _cells(low: float, high: float, origin: float, cell_m: float, count: int) -> tuple[int, int]:
    """First and last cell of a grid axis between two coordinates."""
    first, last = math.floor((low - origin) / cell_m), math.floor((high - origin) / cell_m)
    return max(first, 0), min(last, count - 1)


@inlined_function
def _is_drawn(kind: int, with_stop_polygons: bool) -> bool:
    if kind == _STOP_POLYGON:
        return with_stop_polygons
    return kind in (_ROADBLOCK, _BLOCK_CONNECTOR, _CARPARK)


@device_function
def find_near_areas(
    view: NuplanView,
    origin: Origin,
    map_index: int,
    with_stop_polygons: bool,
    areas: MapAreas,
    grid: AreaGrid,
    near: NearAreas,
) -> int:
    """Write the roadblocks, their connectors and car parks in the picture; how many there are.

    An area that several cells list is looked at in the first of them only.
    """
    reach = 0.5 * view.size_px / view.pixels_per_meter * (abs(origin.cos) + abs(origin.sin))
    west, east, south, north = (
        *(origin.x - reach, origin.x + reach),
        *(origin.y - reach, origin.y + reach),
    )
    cell_m, num_x = grid.cell_m[map_index], grid.num_x[map_index]
    left, bottom = grid.origin_x[map_index], grid.origin_y[map_index]
    first_column, last_column = _cells(west, east, left, cell_m, num_x)
    first_row, last_row = _cells(south, north, bottom, cell_m, grid.num_y[map_index])
    count = 0
    for cell_row in range(first_row, last_row + 1):
        for cell_column in range(first_column, last_column + 1):
            cell = grid.first_cell[map_index] + cell_row * num_x + cell_column
            for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
                area = grid.area[entry]
                if not _is_drawn(int(areas.kind[area]), with_stop_polygons):
                    continue
                min_x, min_y = areas.bounds[area, 0], areas.bounds[area, 1]
                max_x, max_y = areas.bounds[area, 2], areas.bounds[area, 3]
                if max(math.floor((min_x - left) / cell_m), first_column) != cell_column:
                    continue
                if max(math.floor((min_y - bottom) / cell_m), first_row) != cell_row:
                    continue
                if min_x > east or min_y > north or max_x < west or max_y < south:
                    continue
                if touches_picture(view, origin, area, areas, near):
                    near.area[count] = area
                    count += 1
    _sort(near.area, count)
    return count


@device_function
def _sort(values: NDArray[np.int32], count: int) -> None:
    """Insertion sort: about a hundred values, in nearly sorted runs."""
    for i in range(1, count):
        value, place = values[i], i
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
