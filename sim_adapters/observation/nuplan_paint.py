"""Kernels that draw CaRL's nine nuPlan channels from rows and vector maps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.observation.nuplan_rows import NO_LINE, NUM_CORNERS, NuplanRows
from sim_adapters.observation.nuplan_view import (
    NearAreas,
    NuplanView,
    Origin,
    find_near_areas,
    make_near_areas,
    origin_at,
    place_points,
    place_ring,
    speed_value,
)
from sim_adapters.observation.polygon_fill import (
    FillBits,
    draw_polyline,
    draw_segment,
    fill_corners,
    fill_polygon,
    flush_fill,
    make_fill_bits,
)
from sim_adapters.scene.map_areas import AreaKind, MapAreas, Polylines, RoadEdges
from sim_adapters.scene.nuplan_events.area_index import AreaIndex, NuplanMaps

ROAD, ROUTE, BOUNDARIES, LIGHTS, STOP_LINES, SPEED_LIMITS = range(6)  # channels; boxes name theirs
NUM_CHANNELS = 9
MAX_LIMIT_MPS = 30.0  # speed limits from which on a centre line is white
_WHITE = 255
_ROADBLOCK, _BLOCK_CONNECTOR = int(AreaKind.ROADBLOCK), int(AreaKind.ROADBLOCK_CONNECTOR)
_CARPARK, _STOP_POLYGON = int(AreaKind.CARPARK), int(AreaKind.STOP_POLYGON)

Frames = NDArray[np.uint8]
Plane = NDArray[np.uint8]


class NuplanStyle(NamedTuple):
    """What CaRL's options switch on."""

    stop_lines: int  # 1: fill the stop-line channel, which CaRL leaves empty
    connector_route: int  # 1: the route at junctions is its lane connectors, not whole connectors


class NuplanBrush(NamedTuple):
    """Scratch of one thread."""

    near: NearAreas
    bits: FillBits
    corner_x: NDArray[np.int64]  # (4,)
    corner_y: NDArray[np.int64]


def make_nuplan_brush(size_px: int, areas: MapAreas, *lines: Polylines) -> NuplanBrush:
    """Scratch for pictures of that size, and all areas and lines of a bank."""
    corners = np.zeros(4, np.int64), np.zeros(4, np.int64)
    return NuplanBrush(make_near_areas(areas, *lines), make_fill_bits(size_px), *corners)


class _Canvas(NamedTuple):
    """A channel that is being drawn, and what of the map is in its picture."""

    plane: Plane  # (H, W)
    geometry: NuplanView  # numba keeps the name `view` for itself
    origin: Origin
    num_near: int  # areas that are in the picture, the first of `near.area`
    near: NearAreas
    bits: FillBits


@device_function
def is_on_route(rows: NuplanRows, row: int, area: int) -> bool:
    """Whether the route of a row passes an area."""
    for place in range(rows.route_areas.shape[1]):
        found = rows.route_areas[row, place]
        if found < 0:
            return False
        if found == area:
            return True
    return False


@device_function
def _fill_area(canvas: _Canvas, area: int, areas: MapAreas) -> None:
    """Fill all parts of an area, and their holes with them."""
    near = canvas.near
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        if areas.is_exterior[ring]:
            count = place_ring(canvas.geometry, canvas.origin, ring, areas, near)
            fill_polygon(canvas.plane, canvas.bits, near.column_px, near.row_px, count, _WHITE)


@device_function
def _draw_row(canvas: _Canvas, line: int, value: int, lines: Polylines) -> None:
    """One polyline of a table, a pixel wide."""
    near = canvas.near
    first, last = lines.first_point[line], lines.first_point[line + 1]
    count = place_points(canvas.geometry, canvas.origin, lines.x, lines.y, first, last, near)
    draw_polyline(canvas.plane, near.column_px, near.row_px, count, value)


@device_function
def _place_among_shown(intersection: int, num_shown: int, near: NearAreas) -> int:
    """Where an intersection stands among those in the picture already; `num_shown`: it's new."""
    place = 0
    while place < num_shown and near.intersection[place] != intersection:
        place += 1
    return place


@device_function
def paint_road(canvas: _Canvas, areas: MapAreas, edges: RoadEdges, index: AreaIndex) -> None:
    """Fill roadblocks, car parks and the intersections of near connectors."""
    num_shown, near = 0, canvas.near
    for i in range(canvas.num_near):
        area = near.area[i]
        if areas.kind[area] == _ROADBLOCK or areas.kind[area] == _CARPARK:
            _fill_area(canvas, area, areas)
        elif areas.kind[area] == _BLOCK_CONNECTOR:
            for k in range(index.first_edge[area], index.first_edge[area + 1]):
                found = int(edges.intersection[index.block_edge[k]])
                if found >= 0 and _place_among_shown(found, num_shown, near) == num_shown:
                    _fill_area(canvas, found, areas)
                    near.intersection[num_shown] = found
                    num_shown += 1
    flush_fill(canvas.plane, canvas.bits, _WHITE)


@device_function
def paint_route(
    canvas: _Canvas,
    row: int,
    style: NuplanStyle,
    rows: NuplanRows,
    areas: MapAreas,
    edges: RoadEdges,
    index: AreaIndex,
) -> None:
    """Fill the route's roadblocks and roadblock connectors."""
    for i in range(canvas.num_near):
        area = canvas.near.area[i]
        kind = areas.kind[area]
        if kind not in (_ROADBLOCK, _BLOCK_CONNECTOR) or not is_on_route(rows, row, area):
            continue
        if kind == _BLOCK_CONNECTOR and style.connector_route:
            for k in range(index.first_edge[area], index.first_edge[area + 1]):
                _fill_area(canvas, int(edges.area[index.block_edge[k]]), areas)
        else:
            _fill_area(canvas, area, areas)
    flush_fill(canvas.plane, canvas.bits, _WHITE)


@device_function
def paint_stop_lines(canvas: _Canvas, areas: MapAreas) -> None:
    """Fill the stop polygons among the near areas."""
    for i in range(canvas.num_near):
        if areas.kind[canvas.near.area[i]] == _STOP_POLYGON:
            _fill_area(canvas, canvas.near.area[i], areas)
    flush_fill(canvas.plane, canvas.bits, _WHITE)


@device_function
def paint_boundaries(
    canvas: _Canvas, areas: MapAreas, index: AreaIndex, left: Polylines, right: Polylines
) -> None:
    """Both boundaries of every lane; connectors have none."""
    for i in range(canvas.num_near):
        area = canvas.near.area[i]
        if areas.kind[area] == _ROADBLOCK:
            for k in range(index.first_edge[area], index.first_edge[area + 1]):
                edge = index.block_edge[k]
                _draw_row(canvas, edge, _WHITE, left)
                _draw_row(canvas, edge, _WHITE, right)


@device_function
def paint_speed_limits(
    canvas: _Canvas, areas: MapAreas, edges: RoadEdges, index: AreaIndex, baselines: Polylines
) -> None:
    """Centre lines in the gray value of their limit, connectors over lanes."""
    for kind in (_ROADBLOCK, _BLOCK_CONNECTOR):
        for i in range(canvas.num_near):
            area = canvas.near.area[i]
            if areas.kind[area] != kind:
                continue
            for k in range(index.first_edge[area], index.first_edge[area + 1]):
                edge = index.block_edge[k]
                value = speed_value(float(edges.speed_limit_mps[edge]), MAX_LIMIT_MPS)
                _draw_row(canvas, edge, value, baselines)


@device_function
def paint_lights(
    canvas: _Canvas, row: int, rows: NuplanRows, edges: RoadEdges, baselines: Polylines
) -> None:
    """Centre lines of connectors in the gray value of their light."""
    for light in range(rows.light_edges.shape[1]):
        edge = rows.light_edges[row, light]
        if edge < 0:
            return
        for i in range(canvas.num_near):
            if canvas.near.area[i] == edges.roadblock[edge]:
                _draw_row(canvas, edge, rows.light_values[row, light], baselines)


@device_function
def paint_boxes(frame: Frames, row: int, rows: NuplanRows, brush: NuplanBrush) -> None:
    """All boxes of a row onto their channels, later over earlier ones."""
    for box in range(rows.box_values.shape[1]):
        value = rows.box_values[row, box]
        if value == 0:
            return
        plane, points = frame[rows.box_channels[row, box]], rows.box_points[row, box]
        for corner in range(NUM_CORNERS):
            brush.corner_x[corner] = points[corner, 0]
            brush.corner_y[corner] = points[corner, 1]
        fill_corners(plane, brush.corner_x, brush.corner_y, value)
        if len(points) > NUM_CORNERS and points[NUM_CORNERS, 0] != NO_LINE:
            start, end = points[NUM_CORNERS], points[NUM_CORNERS + 1]
            draw_segment(plane, int(start[0]), int(start[1]), int(end[0]), int(end[1]), value)


@range_kernel
def paint_nuplan_range(
    first: int,
    last: int,
    view: NuplanView,
    style: NuplanStyle,
    rows: NuplanRows,
    maps: NuplanMaps,
    brush: NuplanBrush,
    frames: Frames,
) -> None:
    """Draw rows first to last - 1 into (N, 9, H, W) frames."""
    areas, _, index, edges = maps.tables
    near, bits = brush.near, brush.bits
    stops = style.stop_lines != 0
    for row in range(first, last):
        frame = frames[row]
        frame[:] = 0
        origin = origin_at(view, rows.pose[row, 0], rows.pose[row, 1], rows.pose[row, 2])
        map_index = rows.map_index[row, 0]
        drawn = int(index.first_drawn[map_index]), int(index.first_drawn[map_index + 1])
        count = find_near_areas(view, origin, *drawn, stops, index.drawn, areas, near)
        here = view, origin, count, near, bits
        paint_road(_Canvas(frame[ROAD], *here), areas, edges, index)
        paint_route(_Canvas(frame[ROUTE], *here), row, style, rows, areas, edges, index)
        left, right = maps.left_boundaries, maps.right_boundaries
        paint_boundaries(_Canvas(frame[BOUNDARIES], *here), areas, index, left, right)
        paint_lights(_Canvas(frame[LIGHTS], *here), row, rows, edges, maps.baselines)
        if stops:
            paint_stop_lines(_Canvas(frame[STOP_LINES], *here), areas)
        limits = _Canvas(frame[SPEED_LIMITS], *here)
        paint_speed_limits(limits, areas, edges, index, maps.baselines)
        paint_boxes(frame, row, rows, brush)
