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

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function
from sim_adapters.nuplan.bicycle import principal_angle
from sim_adapters.scene.map_areas import Polylines

REPEATED_M = 1e-8
X, Y, S, YAW = 0, 1, 2, 3


class Paths(NamedTuple):
    """Paths of R drivers, filled up to `num_points`."""

    num_points: IntArray  # (R,)
    point: FloatArray  # (R, P, 4) X, Y [m], S progress [m], YAW of the segment that begins here


def empty_paths(num_rows: int, num_points: int) -> Paths:
    """Room for R paths of P points."""
    return Paths(np.zeros(num_rows, np.int32), np.zeros((num_rows, num_points, 4)))


@device_function
def path_end_m(row: int, paths: Paths) -> float:
    """Progress at the path's last point."""
    return paths.point[row, paths.num_points[row] - 1, S]


@device_function
def clamp_progress(row: int, s_m: float, paths: Paths) -> float:
    """Progress within the path."""
    return max(paths.point[row, 0, S], min(s_m, path_end_m(row, paths)))


@device_function
def first_point_after(row: int, s_m: float, paths: Paths) -> int:
    """First point whose progress is greater; `num_points` if there is none."""
    low, high = 0, paths.num_points[row]
    while low < high:
        middle = (low + high) // 2
        if paths.point[row, middle, S] > s_m:
            high = middle
        else:
            low = middle + 1
    return low


@device_function
def pose_on_path(row: int, s_m: float, paths: Paths) -> tuple[float, float, float]:
    """Position and heading in [-pi, pi) at a progress within the path."""
    later = min(max(first_point_after(row, s_m, paths), 1), paths.num_points[row] - 1)
    # A point's own progress belongs to the segment before it, as in scipy's interp1d
    while later > 1 and paths.point[row, later - 1, S] >= s_m:
        later -= 1
    before = later - 1
    span = paths.point[row, later, S] - paths.point[row, before, S]
    passed = s_m - paths.point[row, before, S]
    x0, y0, yaw0 = (
        paths.point[row, before, X],
        paths.point[row, before, Y],
        paths.point[row, before, YAW],
    )
    turn = principal_angle(paths.point[row, later, YAW] - yaw0)
    return (
        (paths.point[row, later, X] - x0) / span * passed + x0,
        (paths.point[row, later, Y] - y0) / span * passed + y0,
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
    room, old = paths.point.shape[1], paths.num_points[row]
    kept, total = 0, old + end - first
    s_m = 0.0
    for i in range(total - 1):
        x, y, yaw = _point(row, i, old, first, baselines, paths)
        next_x, next_y, _ = _point(row, i + 1, old, first, baselines, paths)
        length = math.sqrt((next_x - x) * (next_x - x) + (next_y - y) * (next_y - y))
        if length > REPEATED_M:
            if kept < room:
                paths.point[row, kept, S] = s_m
                paths.point[row, kept, X], paths.point[row, kept, Y] = x, y
                paths.point[row, kept, YAW] = yaw
            kept += 1
        s_m += length
    paths.num_points[row] = kept


@device_function
def _point(
    row: int, i: int, old: int, first: int, baselines: Polylines, paths: Paths
) -> tuple[float, float, float]:
    """Point i of the path's points followed by the line's."""
    if i < old:
        return paths.point[row, i, X], paths.point[row, i, Y], paths.point[row, i, YAW]
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
        paths.point[row, 0, X], paths.point[row, 0, Y], paths.point[row, 0, YAW] = x, y, yaw
        target = 1
    else:
        source = count - 2
    while source < count:
        paths.point[row, target, X], paths.point[row, target, Y] = (
            paths.point[row, source, X],
            paths.point[row, source, Y],
        )
        paths.point[row, target, YAW] = paths.point[row, source, YAW]
        source += 1
        target += 1
    paths.num_points[row] = target


@device_function
def write_line_ahead(row: int, s_m: float, paths: Paths, world: int, line: FloatArray) -> int:
    """Write the path from a progress to its end as a line; returns its number of points."""
    count = paths.num_points[row]
    source = first_point_after(row, s_m, paths)
    length = 0
    if source < count:
        line[world, 0, X], line[world, 0, Y], _ = pose_on_path(row, s_m, paths)
        length = 1
    else:
        source = count - 2
    return _append_points(row, source, count, paths, world, length, line)


@device_function
def write_line_between(
    row: int,
    start_m: float,
    end_m: float,
    paths: Paths,
    world: int,
    line: FloatArray,
) -> int:
    """Write the path between two progresses as a line; returns its number of points.

    At the very end of the path the line is its last two points, at its very start the first two.
    """
    count = paths.num_points[row]
    source = first_point_after(row, start_m, paths)
    if source == count:
        return _append_points(row, count - 2, count, paths, world, 0, line)
    stop = source
    while stop < count and paths.point[row, stop, S] < end_m:
        stop += 1
    if end_m <= paths.point[row, 0, S]:
        return _append_points(row, 0, 2, paths, world, 0, line)
    line[world, 0, X], line[world, 0, Y], _ = pose_on_path(row, start_m, paths)
    length = _append_points(row, source, stop, paths, world, 1, line)
    x, y, _ = pose_on_path(row, end_m, paths)
    return _append_point(x, y, world, length, line)


@device_function
def _append_points(
    row: int,
    source: int,
    stop: int,
    paths: Paths,
    world: int,
    length: int,
    line: FloatArray,
) -> int:
    for i in range(source, stop):
        length = _append_point(paths.point[row, i, X], paths.point[row, i, Y], world, length, line)
    return length


@device_function
def _append_point(x: float, y: float, world: int, length: int, line: FloatArray) -> int:
    """Append a point unless it repeats the last."""
    if length > 0 and line[world, length - 1, X] == x and line[world, length - 1, Y] == y:
        return length
    line[world, length, X], line[world, length, Y] = x, y
    return length + 1
