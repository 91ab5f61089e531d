"""The channels' loops over frames: each draws one plane of many frames from their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import range_kernel
from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.painting import (
    ActorStyle,
    paint_actors,
    paint_light_lines,
    paint_limit_signs,
    paint_route_discs,
    paint_route_line,
    paint_stop_sign,
)
from sim_adapters.observation.raster import Brush
from sim_adapters.observation.raster_lines import Band
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.map_bank import LimitPosts

Frames = NDArray[np.uint8]


@range_kernel
def paint_actors_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    style: ActorStyle,
    frames: Frames,
    channel: int,
    fresh: bool,
    brush: Brush,
) -> None:
    """Actors of some kinds in the frames `first` to `last - 1`; the first empty slot ends a row."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_actors(plane, brush, row, view, rows, style)


@range_kernel
def paint_route_discs_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    num_points: int,
    disc: NDArray[np.int64],
    only_in_junctions: int,
    frames: Frames,
    channel: int,
    fresh: bool,
) -> None:
    """Discs on route points; see `channels.RouteDiscs`."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_route_discs(
            plane, Band(0, plane.shape[0]), row, view, rows, num_points, disc, only_in_junctions
        )


@range_kernel
def paint_route_line_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    num_points: int,
    width_px: int,
    frames: Frames,
    channel: int,
    fresh: bool,
    brush: Brush,
) -> None:
    """A thick line through route points; see `channels.RouteLine`."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_route_line(plane, brush, row, view, rows, num_points, width_px)


@range_kernel
def paint_light_lines_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    width_px: int,
    snapshot: int,
    frames: Frames,
    channel: int,
    fresh: bool,
    brush: Brush,
) -> None:
    """Stop lines of lights; see `channels.LightLines`."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_light_lines(plane, brush, row, view, rows, width_px, snapshot)


@range_kernel
def paint_stop_sign_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    snapshot: int,
    frames: Frames,
    channel: int,
    fresh: bool,
    brush: Brush,
) -> None:
    """The stop sign's square; see `channels.StopSign`."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_stop_sign(plane, brush, row, view, rows, snapshot)


@range_kernel
def paint_limit_signs_range(
    first: int,
    last: int,
    view: BevView,
    rows: BevRows,
    posts: LimitPosts,
    half_extent_m: float,
    frames: Frames,
    channel: int,
    fresh: bool,
    brush: Brush,
) -> None:
    """Speed-limit signs of the map on the ego's level; see `channels.SpeedLimitSigns`."""
    for row in range(first, last):
        plane = frames[row, channel]
        if fresh:
            plane[:] = 0
        paint_limit_signs(plane, brush, row, view, rows, posts, half_extent_m)
