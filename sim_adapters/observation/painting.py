"""Functions behind the channels: each draws one plane of one frame, or a band of it, from its row.

`paint_shapes_range` loops them over frames on the CPU, `bev_grids.paint_shapes_grid` on a GPU.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.observation.bev_rows import ROUTE_IN_JUNCTION, ROUTE_POINT, BevRows
from sim_adapters.observation.channels import (
    ACTORS,
    LIGHT_LINES,
    ROUTE_DISCS,
    ROUTE_LINE,
    STOP_SIGN,
    ShapeTable,
)
from sim_adapters.observation.raster import Brush, draw_thick_line, fill_box, stamp_disc
from sim_adapters.observation.raster_lines import Band, Plane, draw_line_in, round_px
from sim_adapters.observation.spec import BevView, pixel_column, pixel_row, pixel_scale, speed_code
from sim_adapters.scene.map_bank import LimitPosts
from sim_adapters.scene.state import LAST_VEHICLE_KIND, LightBit

_SIGN_SAME_LEVEL_M = 8.0

# CaRL's overlays on a vehicle: (bit, gray value, forward, left) of squares of half side 0.5 m
_LIGHT_SQUARES = (
    (int(LightBit.EMERGENCY), 22, 0.0, 0.0),
    (int(LightBit.LEFT_BLINKER), 44, 0.5, 0.5),
    (int(LightBit.RIGHT_BLINKER), 77, 0.5, -0.5),
    (int(LightBit.BRAKE), 111, -1.5, 0.0),
)
_LIGHT_HALF_M = 0.5
_DOOR_OPEN = int(LightBit.DOOR_OPEN)
_DOOR_FORWARD_M, _DOOR_LEFT_M = 0.7, 1.8
_DOOR_HALF_LENGTH_M, _DOOR_HALF_WIDTH_M = 0.2, 1.0
_SHORTEST_SPEED_LINE_M = 0.5


class ActorStyle(NamedTuple):
    """How a channel draws actors; see `channels.Actors`."""

    kinds: int  # bit mask of ActorKind
    value: int  # 0: speed code
    extent_scale: float
    min_half_extent_m: float
    speed_lines: int
    overlays: int
    snapshot: int


@device_function
def _fill_metric_box(
    plane: Plane,
    brush: Brush,
    view: BevView,
    x: float,
    y: float,
    cos: float,
    sin: float,
    half_length_m: float,
    half_width_m: float,
    value: int,
) -> None:
    """Fill a box given in the ego frame; (cos, sin) is its heading there."""
    ppm = pixel_scale(view) * view.pixels_per_meter
    length, width = ppm * half_length_m, ppm * half_width_m
    fill_box(
        plane,
        brush,
        pixel_row(view, x),
        pixel_column(view, y),
        -cos * length,
        -sin * length,
        -sin * width,
        cos * width,
        value,
    )


@device_function
def _draw_metric_line(
    plane: Plane,
    brush: Brush,
    view: BevView,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    width_px: int,
    value: int,
) -> None:
    """A thick line between two points of the ego frame."""
    column0, row0 = round_px(pixel_column(view, y0)), round_px(pixel_row(view, x0))
    column1, row1 = round_px(pixel_column(view, y1)), round_px(pixel_row(view, x1))
    draw_thick_line(plane, brush, column0, row0, column1, row1, width_px, value)


@device_function
def _paint_overlays(
    plane: Plane,
    brush: Brush,
    view: BevView,
    x: float,
    y: float,
    cos: float,
    sin: float,
    lights: int,
    value: int,
) -> None:
    """Open doors in the vehicle's own value, then its lights."""
    if lights & _DOOR_OPEN:
        for side in (-1.0, 1.0):
            for end in (-1.0, 1.0):
                ahead, left = end * _DOOR_FORWARD_M, side * _DOOR_LEFT_M
                door_x, door_y = x + cos * ahead - sin * left, y + sin * ahead + cos * left
                length, width = _DOOR_HALF_LENGTH_M, _DOOR_HALF_WIDTH_M
                _fill_metric_box(plane, brush, view, door_x, door_y, cos, sin, length, width, value)
    for bit, gray, ahead, left in _LIGHT_SQUARES:
        if lights & bit:
            light_x, light_y = x + cos * ahead - sin * left, y + sin * ahead + cos * left
            half = _LIGHT_HALF_M
            _fill_metric_box(plane, brush, view, light_x, light_y, cos, sin, half, half, gray)


@device_function
def _paint_actor(
    plane: Plane,
    brush: Brush,
    view: BevView,
    rows: BevRows,
    row: int,
    actor: int,
    style: ActorStyle,
) -> None:
    x = np.float64(rows.actors[row, actor, 0])
    y = np.float64(rows.actors[row, actor, 1])
    yaw = np.float64(rows.actors[row, actor, 2])
    speed = np.float64(rows.actors[row, actor, 5])
    if style.snapshot > 0:
        x = np.float64(rows.past_actors[row, style.snapshot - 1, actor, 0])
        y = np.float64(rows.past_actors[row, style.snapshot - 1, actor, 1])
        yaw = np.float64(rows.past_actors[row, style.snapshot - 1, actor, 2])
        if math.isnan(x):
            return
    cos, sin = math.cos(yaw), math.sin(yaw)
    half_length = np.float64(rows.actors[row, actor, 3])
    half_width = np.float64(rows.actors[row, actor, 4])
    length = max(style.extent_scale * half_length, style.min_half_extent_m)
    width = max(style.extent_scale * half_width, style.min_half_extent_m)
    value = style.value if style.value > 0 else speed_code(speed)
    _fill_metric_box(plane, brush, view, x, y, cos, sin, length, width, value)
    if style.speed_lines:
        end = length + max(_SHORTEST_SPEED_LINE_M, speed)
        column0 = round_px(pixel_column(view, y + sin * length))
        row0 = round_px(pixel_row(view, x + cos * length))
        column1 = round_px(pixel_column(view, y + sin * end))
        row1 = round_px(pixel_row(view, x + cos * end))
        draw_line_in(plane, brush.band, column0, row0, column1, row1, value)
    lights = rows.actor_kinds[row, actor, 1]
    if style.overlays and lights and rows.actor_kinds[row, actor, 0] <= LAST_VEHICLE_KIND:
        _paint_overlays(plane, brush, view, x, y, cos, sin, lights, value)


@device_function
def paint_actors(
    plane: Plane, brush: Brush, row: int, view: BevView, rows: BevRows, style: ActorStyle
) -> None:
    """Actors of some kinds of one row; the first empty slot ends it."""
    for actor in range(rows.actors.shape[1]):
        kind = rows.actor_kinds[row, actor, 0]
        if kind == 0:
            break
        if (style.kinds >> kind) & 1:
            _paint_actor(plane, brush, view, rows, row, actor, style)


@device_function
def paint_route_discs(
    plane: Plane,
    band: Band,
    row: int,
    view: BevView,
    rows: BevRows,
    num_points: int,
    disc: NDArray[np.int64],
    only_in_junctions: int,
) -> None:
    """Discs on the route points of one row."""
    wanted = ROUTE_IN_JUNCTION if only_in_junctions else ROUTE_POINT
    for point in range(num_points):
        if rows.route_flags[row, point] & wanted:
            y = round_px(pixel_row(view, rows.route[row, point, 0]))
            x = round_px(pixel_column(view, rows.route[row, point, 1]))
            stamp_disc(plane, band, y, x, disc, 255)


@device_function
def paint_route_line(
    plane: Plane,
    brush: Brush,
    row: int,
    view: BevView,
    rows: BevRows,
    num_points: int,
    width_px: int,
) -> None:
    """A thick line through the route points of one row."""
    for point in range(1, num_points):
        if rows.route_flags[row, point] == 0:
            break
        start, end = rows.route[row, point - 1], rows.route[row, point]
        _draw_metric_line(plane, brush, view, start[0], start[1], end[0], end[1], width_px, 255)


@device_function
def paint_light_lines(
    plane: Plane,
    brush: Brush,
    row: int,
    view: BevView,
    rows: BevRows,
    width_px: int,
    snapshot: int,
) -> None:
    """Stop lines of the lights of one row."""
    for line in range(rows.light_lines.shape[1]):
        value = rows.light_values[row, line, snapshot]
        if rows.light_values[row, line, 0] == 0:
            break
        if value > 0:
            ends = rows.light_lines[row, line]
            _draw_metric_line(
                plane, brush, view, ends[0], ends[1], ends[2], ends[3], width_px, value
            )


@device_function
def paint_stop_sign(
    plane: Plane, brush: Brush, row: int, view: BevView, rows: BevRows, snapshot: int
) -> None:
    """The stop sign of one row."""
    half = np.float64(rows.stop_sign[row, snapshot, 3])
    if half > 0.0:
        x = np.float64(rows.stop_sign[row, snapshot, 0])
        y = np.float64(rows.stop_sign[row, snapshot, 1])
        yaw = np.float64(rows.stop_sign[row, snapshot, 2])
        cos, sin = math.cos(yaw), math.sin(yaw)
        _fill_metric_box(plane, brush, view, x, y, cos, sin, half, half, 255)


@device_function
def paint_limit_signs(
    plane: Plane,
    brush: Brush,
    row: int,
    view: BevView,
    rows: BevRows,
    posts: LimitPosts,
    half_extent_m: float,
) -> None:
    """Speed-limit signs around one row."""
    ego_x, ego_y, yaw = rows.pose[row, 0], rows.pose[row, 1], rows.pose[row, 3]
    cos, sin = math.cos(yaw), math.sin(yaw)
    town = rows.map_index[row, 0]
    reach = view.size_px / view.pixels_per_meter
    for post in range(posts.first_post[town], posts.first_post[town + 1]):
        dx, dy = posts.x[post] - ego_x, posts.y[post] - ego_y
        if max(abs(dx), abs(dy)) > reach:
            continue
        if abs(posts.z[post] - rows.pose[row, 2]) > _SIGN_SAME_LEVEL_M:
            continue
        angle = posts.yaw_rad[post] - yaw
        _fill_metric_box(
            plane,
            brush,
            view,
            cos * dx + sin * dy,
            cos * dy - sin * dx,
            math.cos(angle),
            math.sin(angle),
            half_extent_m,
            half_extent_m,
            speed_code(posts.limit_mps[post]),
        )


@device_function
def paint_shape(
    plane: Plane,
    brush: Brush,
    row: int,
    view: BevView,
    rows: BevRows,
    table: ShapeTable,
    shape: int,
    posts: LimitPosts,
) -> None:
    """One shape of a table, of one row."""
    kind, whole, real = table.kind[shape], table.whole[shape], table.real[shape]
    if kind == ACTORS:
        style = ActorStyle(whole[0], whole[1], real[0], real[1], whole[2], whole[3], whole[4])
        paint_actors(plane, brush, row, view, rows, style)
    elif kind == ROUTE_DISCS:
        disc = table.discs[whole[2] : whole[3]]
        paint_route_discs(plane, brush.band, row, view, rows, whole[0], disc, whole[1])
    elif kind == ROUTE_LINE:
        paint_route_line(plane, brush, row, view, rows, whole[0], whole[1])
    elif kind == LIGHT_LINES:
        paint_light_lines(plane, brush, row, view, rows, whole[0], whole[1])
    elif kind == STOP_SIGN:
        paint_stop_sign(plane, brush, row, view, rows, whole[0])
    else:
        paint_limit_signs(plane, brush, row, view, rows, posts, real[0])


@range_kernel
def paint_shapes_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    table: ShapeTable,
    posts: LimitPosts,
    frames: NDArray[np.uint8],
    brush: Brush,
) -> None:
    """All shapes of a table on the frames `first` to `last - 1`, (N, C, H, W)."""
    for row in range(first, last):
        for target in range(len(table.channel)):
            plane = frames[row, table.channel[target]]
            if table.is_fresh[target]:
                plane[:] = 0
            for shape in range(table.first_shape[target], table.first_shape[target + 1]):
                paint_shape(plane, brush, row, view, rows, table, shape, posts)
