"""Paths of IDM drivers: poses at progress along joined centre lines, cut and prolonged.

The devkit's path drops the last vertex of whatever it is made from, and vertices that repeat the
one before; both are kept here, since they decide where an agent is.

Source: nuplan-devkit, create_path_from_se2, InterpolatedPath, trim_path and
trim_path_up_to_progress.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.nuplan.bicycle import principal_angle
from sim_adapters.scene.map_areas import Polylines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
REPEATED_M = 1e-8


class Paths(NamedTuple):
    """A driver's path, (R, P), filled up to `num_points`; rows belong to drivers."""

    num_points: IntArray  # (R,)
    s_m: FloatArray  # progress, ascending
    x: FloatArray
    y: FloatArray
    yaw_rad: FloatArray  # of the centre line's segment that begins here


def empty_paths(num_rows: int, num_points: int) -> Paths:
    """Room for R paths of P points."""
    return Paths(
        np.zeros(num_rows, np.int32), *(np.zeros((num_rows, num_points)) for _ in range(4))
    )


@device_function
def path_end_m(row: int, paths: Paths) -> float:
    """Progress at the path's last point."""
    return paths.s_m[row, paths.num_points[row] - 1]


@device_function
def clamp_progress(row: int, s_m: float, paths: Paths) -> float:
    """Progress within the path."""
    return max(paths.s_m[row, 0], min(s_m, path_end_m(row, paths)))


@device_function
def first_point_after(row: int, s_m: float, paths: Paths) -> int:
    """First point whose progress is greater; `num_points` if there is none."""
    low, high = 0, paths.num_points[row]
    while low < high:
        middle = (low + high) // 2
        if paths.s_m[row, middle] > s_m:
            high = middle
        else:
            low = middle + 1
    return low


@device_function
def pose_on_path(row: int, s_m: float, paths: Paths) -> tuple[float, float, float]:
    """Position and heading in [-pi, pi) at a progress within the path."""
    later = min(max(first_point_after(row, s_m, paths), 1), paths.num_points[row] - 1)
    # A point's own progress belongs to the segment before it, as in scipy's interp1d
    while later > 1 and paths.s_m[row, later - 1] >= s_m:
        later -= 1
    before = later - 1
    span = paths.s_m[row, later] - paths.s_m[row, before]
    passed = s_m - paths.s_m[row, before]
    x0, y0, yaw0 = paths.x[row, before], paths.y[row, before], paths.yaw_rad[row, before]
    turn = principal_angle(paths.yaw_rad[row, later] - yaw0)
    return (
        (paths.x[row, later] - x0) / span * passed + x0,
        (paths.y[row, later] - y0) / span * passed + y0,
        principal_angle(turn / span * passed + yaw0),
    )


@device_function
def begin_path(row: int, edge: int, baselines: Polylines, paths: Paths) -> None:
    """Make a path of one edge's centre line; a line of two points gives one of a single point."""
    paths.num_points[row] = 0
    append_line(row, edge, baselines, paths)


@device_function
def append_line(row: int, edge: int, baselines: Polylines, paths: Paths) -> None:
    """Append an edge's centre line to the path's points, then drop repeated ones and the last.

    Progress counts on from zero at the path's first point. Points beyond the room there is are
    counted in `num_points`, but not written.
    """
    first, end = baselines.first_point[edge], baselines.first_point[edge + 1]
    room, old = paths.x.shape[1], paths.num_points[row]
    kept, total = 0, old + end - first
    s_m = 0.0
    for i in range(total - 1):
        x, y, yaw = _point(row, i, old, first, baselines, paths)
        next_x, next_y, _ = _point(row, i + 1, old, first, baselines, paths)
        length = math.sqrt((next_x - x) * (next_x - x) + (next_y - y) * (next_y - y))
        if length > REPEATED_M:
            if kept < room:
                paths.s_m[row, kept] = s_m
                paths.x[row, kept], paths.y[row, kept] = x, y
                paths.yaw_rad[row, kept] = yaw
            kept += 1
        s_m += length
    paths.num_points[row] = kept


@device_function
def _point(
    row: int, i: int, old: int, first: int, baselines: Polylines, paths: Paths
) -> tuple[float, float, float]:
    """Point i of the path's points followed by the line's."""
    if i < old:
        return paths.x[row, i], paths.y[row, i], paths.yaw_rad[row, i]
    k = first + i - old
    return baselines.x[k], baselines.y[k], baselines.yaw_rad[k]


@device_function
def cut_path_before(row: int, s_m: float, paths: Paths) -> None:
    """Drop what lies before a progress; a path that has nothing after it keeps its last two points.

    `s_m` of the points is left as it is: prolong the path next.
    """
    count = paths.num_points[row]
    source = first_point_after(row, s_m, paths)
    target = 0
    if source < count:
        x, y, yaw = pose_on_path(row, s_m, paths)
        if source == 0:  # never: a clamped progress is not below the first point's
            return
        paths.x[row, 0], paths.y[row, 0], paths.yaw_rad[row, 0] = x, y, yaw
        target = 1
    else:
        source = count - 2
    while source < count:
        paths.x[row, target], paths.y[row, target] = paths.x[row, source], paths.y[row, source]
        paths.yaw_rad[row, target] = paths.yaw_rad[row, source]
        source += 1
        target += 1
    paths.num_points[row] = target


@device_function
def write_line_ahead(
    row: int, s_m: float, paths: Paths, world: int, line_x: FloatArray, line_y: FloatArray
) -> int:
    """Write the path from a progress to its end as a line; returns its number of points."""
    count = paths.num_points[row]
    source = first_point_after(row, s_m, paths)
    length = 0
    if source < count:
        line_x[world, 0], line_y[world, 0], _ = pose_on_path(row, s_m, paths)
        length = 1
    else:
        source = count - 2
    return _append_points(row, source, count, paths, world, length, line_x, line_y)


@device_function
def write_line_between(
    row: int,
    start_m: float,
    end_m: float,
    paths: Paths,
    world: int,
    line_x: FloatArray,
    line_y: FloatArray,
) -> int:
    """Write the path between two progresses as a line; returns its number of points.

    At the very end of the path the line is its last two points, at its very start the first two.
    """
    count = paths.num_points[row]
    source = first_point_after(row, start_m, paths)
    if source == count:
        return _append_points(row, count - 2, count, paths, world, 0, line_x, line_y)
    stop = source
    while stop < count and paths.s_m[row, stop] < end_m:
        stop += 1
    if end_m <= paths.s_m[row, 0]:
        return _append_points(row, 0, 2, paths, world, 0, line_x, line_y)
    line_x[world, 0], line_y[world, 0], _ = pose_on_path(row, start_m, paths)
    length = _append_points(row, source, stop, paths, world, 1, line_x, line_y)
    x, y, _ = pose_on_path(row, end_m, paths)
    return _append_point(x, y, world, length, line_x, line_y)


@device_function
def _append_points(
    row: int,
    source: int,
    stop: int,
    paths: Paths,
    world: int,
    length: int,
    line_x: FloatArray,
    line_y: FloatArray,
) -> int:
    for i in range(source, stop):
        length = _append_point(paths.x[row, i], paths.y[row, i], world, length, line_x, line_y)
    return length


@device_function
def _append_point(
    x: float, y: float, world: int, length: int, line_x: FloatArray, line_y: FloatArray
) -> int:
    """Append a point unless it repeats the last."""
    if length > 0 and line_x[world, length - 1] == x and line_y[world, length - 1] == y:
        return length
    line_x[world, length], line_y[world, length] = x, y
    return length + 1
