"""The stretch of route around a driver in its ego frame, places along it, and times to them.

A window row holds (x, y, s, yaw): position and tangent relative to the ego, and arc length from
the window's first point. It starts a few points behind the last one passed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.state import ActorMotion, EgoState, Routes

WINDOW_POINTS = 112
NUM_INSTANTS, INSTANT_S = 7, 0.5  # 0 to 3 s: who comes near the ego within that time
_POINTS_BEHIND = 6
_BRISK_MPS = 4.0  # the ego may drive off, or be this much faster than now
REACH_M = 60.0  # of route ahead, in the timetable
CREEP_MPS = 0.5  # who is slower is taken to creep
FULL_THROTTLE_MPS2 = 6.0
_FASTEST_MPS = 20.0  # that full throttle leads to, unless the ego is faster already
CORNERING_MPS2 = 6.0  # sideways, that a turn allows; learned drivers stay below in 94 % of the time
_BRAKING_MPS2 = 6.0  # before a turn
_BEND_ROWS = 2  # to either side, over which the way's curvature is taken
_COARSE = 4  # every fourth point is tried first; routes have about one point a metre


class Timetable(NamedTuple):
    """When the ego could be at each row of its route window."""

    cos: NDArray  # (WINDOW_POINTS,) of the route's direction
    sin: NDArray
    squared: NDArray  # [m^2/s^2] of the speed that turns from here on allow
    brisk_s: NDArray  # seconds from now at full throttle, as fast as turns allow
    now_s: NDArray  # and at the present speed


class EgoRoute(NamedTuple):
    """A driver's stretch of route and where the ego is on it."""

    window: NDArray  # (WINDOW_POINTS, 4) x, y [m], s [m], yaw [rad], in the ego frame
    count: int  # rows of the window that are written
    table: Timetable  # what `fill_timetable` says of these rows
    ego_s: float  # arc length of the ego [m]
    ego_offset: float  # of the ego from the route [m], left is positive
    ego_row: int  # the window's row nearest to the ego


@device_function
def fill_route_window(
    driver: int,
    passed_index: int,
    motion: ActorMotion,
    ego: EgoState,
    routes: Routes,
    window: NDArray,
) -> int:
    """Write the route around `passed_index` into `window` (WINDOW_POINTS, 4); number of rows."""
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y = motion.x[world, slot], motion.y[world, slot]
    ego_yaw = motion.yaw_rad[world, slot]
    cos, sin = math.cos(ego_yaw), math.sin(ego_yaw)
    first = max(0, passed_index - _POINTS_BEHIND)
    count = min(WINDOW_POINTS, routes.num_points[driver] - first)
    s = 0.0
    for row in range(count):
        point = first + row
        dx, dy = routes.x[driver, point] - ego_x, routes.y[driver, point] - ego_y
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        if row > 0:
            s += math.hypot(x - window[row - 1, 0], y - window[row - 1, 1])
        window[row, 0], window[row, 1], window[row, 2] = x, y, s
        window[row, 3] = routes.yaw_rad[driver, point] - ego_yaw
    return count


@device_function
def nearest_window_row(window: NDArray, count: int, x: float, y: float) -> int:
    """Row nearest to an ego-frame point: every fourth row, then the neighbours of the best."""
    best, best_squared = 0, math.inf
    for row in range(0, count, _COARSE):
        dx, dy = window[row, 0] - x, window[row, 1] - y
        squared = dx * dx + dy * dy
        if squared < best_squared:
            best, best_squared = row, squared
    centre = best
    for row in range(max(0, centre - _COARSE + 1), min(count, centre + _COARSE)):
        dx, dy = window[row, 0] - x, window[row, 1] - y
        squared = dx * dx + dy * dy
        if squared < best_squared:
            best, best_squared = row, squared
    return best


@device_function
def project_on_window(window: NDArray, count: int, x: float, y: float) -> tuple[float, float, int]:
    """Arc length, offset (left positive) and nearest row of an ego-frame point; count > 0.

    Points before the first or beyond the last row continue along the tangent there.
    """
    row = nearest_window_row(window, count, x, y)
    cos, sin = math.cos(window[row, 3]), math.sin(window[row, 3])
    dx, dy = x - window[row, 0], y - window[row, 1]
    return window[row, 2] + cos * dx + sin * dy, cos * dy - sin * dx, row


@device_function
def window_point_at(
    window: NDArray, count: int, s: float, first_row: int
) -> tuple[float, float, float, int]:
    """Ego-frame (x, y, yaw) at arc length `s`, and its row; the route's end holds its last point.

    `first_row` is where the search starts: pass the row of the last, shorter `s`.
    """
    row = first_row
    while row < count - 1 and window[row + 1, 2] <= s:
        row += 1
    if row >= count - 1 or s <= window[row, 2]:
        return window[row, 0], window[row, 1], window[row, 3], row
    part = (s - window[row, 2]) / (window[row + 1, 2] - window[row, 2])
    x = window[row, 0] + part * (window[row + 1, 0] - window[row, 0])
    y = window[row, 1] + part * (window[row + 1, 1] - window[row, 1])
    return x, y, window[row, 3], row


@device_function
def predict_ego(path: EgoRoute, speed_mps: float, places: NDArray) -> None:
    """Where the ego may be at each instant: standing, as fast as now, or brisker; (3, K, 2)."""
    for guess in range(3):
        speed = 0.0 if guess == 0 else max(speed_mps, 0.0) + (guess - 1) * _BRISK_MPS
        at = path.ego_row
        for instant in range(NUM_INSTANTS):
            if instant == 0 or guess == 0:
                places[guess, instant, 0], places[guess, instant, 1] = 0.0, 0.0
                continue
            s = path.ego_s + speed * INSTANT_S * instant
            x, y, _, at = window_point_at(path.window, path.count, s, at)
            places[guess, instant, 0], places[guess, instant, 1] = x, y


@device_function
def brisk_s(distance_m: float, speed_mps: float) -> float:
    """Seconds for a distance from a speed, at full throttle."""
    if speed_mps >= _FASTEST_MPS:
        return distance_m / speed_mps
    speeding_m = (_FASTEST_MPS**2 - speed_mps**2) / (2.0 * FULL_THROTTLE_MPS2)
    reached = math.sqrt(speed_mps**2 + 2.0 * FULL_THROTTLE_MPS2 * min(distance_m, speeding_m))
    return (reached - speed_mps) / FULL_THROTTLE_MPS2 + max(
        distance_m - speeding_m, 0.0
    ) / _FASTEST_MPS


@device_function
def fill_timetable(path: EgoRoute, speed_mps: float) -> None:
    """Write when an ego of this speed reaches the rows from the one before it to REACH_M ahead."""
    speed, table, first = max(speed_mps, 0.0), path.table, max(path.ego_row - 1, 0)
    last = first
    for row in range(first, path.count):
        yaw = path.window[row, 3]
        table.cos[row], table.sin[row] = math.cos(yaw), math.sin(yaw)
        last = row
        if path.window[row, 2] - path.ego_s > REACH_M:
            break
    _fill_corner_speeds(path, last)
    time_s, squared, at_s = 0.0, speed * speed, path.ego_s
    for row in range(first, last + 1):
        ahead_m = max(path.window[row, 2] - path.ego_s, 0.0)
        table.now_s[row] = ahead_m / max(speed, CREEP_MPS)
        step_m = max(path.window[row, 2] - at_s, 0.0)
        at_s += step_m
        slowest = max(squared - 2.0 * _BRAKING_MPS2 * step_m, 0.0)
        fastest = max(min(squared + 2.0 * FULL_THROTTLE_MPS2 * step_m, table.squared[row]), slowest)
        if step_m > 0.0:
            time_s += 2.0 * step_m / (math.sqrt(squared) + math.sqrt(fastest))
        table.brisk_s[row], squared = time_s, fastest


@device_function
def _fill_corner_speeds(path: EgoRoute, last: int) -> None:
    """Write the squared speeds from which all turns up to row `last` can still be driven."""
    table, first = path.table, max(path.ego_row - 1, 0)
    allowed = _FASTEST_MPS * _FASTEST_MPS
    for row in range(last, first - 1, -1):
        before, after = max(row - _BEND_ROWS, first), min(row + _BEND_ROWS, last)
        length_m = path.window[after, 2] - path.window[before, 2]
        if row < last:
            step_m = path.window[row + 1, 2] - path.window[row, 2]
            allowed = min(allowed + 2.0 * _BRAKING_MPS2 * step_m, _FASTEST_MPS * _FASTEST_MPS)
        if length_m > 0.0:
            bend = abs(table.cos[before] * table.sin[after] - table.sin[before] * table.cos[after])
            if allowed * bend > CORNERING_MPS2 * length_m:
                allowed = CORNERING_MPS2 * length_m / bend
        table.squared[row] = allowed
