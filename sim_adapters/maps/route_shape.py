"""Gives a chain of lane stretches its dense shape, a Route with one point a metre; and thins it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.maps.route_search import Stretch
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

ROUTE_STEP_M = 1.0
TURN_ANGLE_RAD = np.radians(35.0)  # CaRL: a smaller change of heading in a junction is STRAIGHT
LANE_CHANGE_LENGTH_M = 20.0
_MIN_LANE_CHANGE_LENGTH_M = 5.0  # where there is no room; CARLA's planner jumps ahead 5 m
LEAST_SIDE_STEP_M = 1.0  # to the side from one point to the next: a lane change
_CHANGES = (RouteCommand.CHANGE_LEFT, RouteCommand.CHANGE_RIGHT)


class _Line(NamedTuple):
    """Centre lines end to end, with a jump to the side at each lane change; (K,) each."""

    position: FloatArray  # (K, 3)
    yaw_rad: FloatArray
    lane: NDArray[np.int32]
    junction: NDArray[np.int32]
    command: NDArray[np.uint8]
    jumps: list[int]  # first row of each lane that was entered by a change


def shape_route(maps: MapBank, stretches: Sequence[Stretch]) -> Route:
    """Dense route along `stretches`, uniformly spaced by about 1 m.

    Lane changes are smooth, over `LANE_CHANGE_LENGTH_M` where there is room. Headings are those
    of the motion. Points in a junction carry the turn that the whole crossing makes.
    """
    return _shape(_join(maps, stretches))


def shape_points(
    maps: MapBank, position: FloatArray, yaw_rad: FloatArray, lane: NDArray[np.int32]
) -> Route:
    """The same dense shape for points that a planner of somebody else's gave.

    Args:
        maps: Holds the lanes.
        position: (K, 3) x, y, z [m] of lane centres in driving order, with a step to the side at
            each lane change.
        yaw_rad: (K,) direction of the lane at each point.
        lane: (K,) row of the lane of each point.
    """
    return _shape(_planned_line(maps, position, yaw_rad, lane))


def points_as_given(
    maps: MapBank, position: FloatArray, yaw_rad: FloatArray, lane: NDArray[np.int32]
) -> Route:
    """A route of exactly these points, with the commands of the crossings that they pass.

    Arguments are those of `shape_points`.
    """
    line = _planned_line(maps, position, yaw_rad, lane)
    _name_turns(line)
    for row in line.jumps:
        is_left = _side_steps_m(position, yaw_rad)[row - 1] > 0.0
        line.command[row] = RouteCommand.CHANGE_LEFT if is_left else RouteCommand.CHANGE_RIGHT
    return Route(
        *line.position.T.copy(),
        yaw_rad=np.arctan2(np.sin(yaw_rad), np.cos(yaw_rad)),
        lane=lane,
        in_junction=line.junction >= 0,
        command=line.command,
    )


def _side_steps_m(position: FloatArray, yaw_rad: FloatArray) -> FloatArray:
    """How far to the left each point lies of the one before, (K - 1,)."""
    step = np.diff(position, axis=0)
    return step[:, 1] * np.cos(yaw_rad[:-1]) - step[:, 0] * np.sin(yaw_rad[:-1])


def _planned_line(
    maps: MapBank, position: FloatArray, yaw_rad: FloatArray, lane: NDArray[np.int32]
) -> _Line:
    side = _side_steps_m(position, yaw_rad)
    jumps = (np.flatnonzero(np.abs(side) > LEAST_SIDE_STEP_M) + 1).tolist()
    command = np.full(len(lane), RouteCommand.LANE_FOLLOW, np.uint8)
    # Smoothing moves points: the caller's stay where they are
    return _Line(
        position.copy(), np.unwrap(yaw_rad), lane, maps.lanes.junction[lane], command, jumps
    )


def _shape(line: _Line) -> Route:
    _name_turns(line)
    station_m = _stations(line)
    for row in line.jumps:
        _smooth_change(line, station_m, row)
    return _resample(line)


def _join(maps: MapBank, stretches: Sequence[Stretch]) -> _Line:
    """Lane points of all stretches in one array each."""
    rows: list[FloatArray] = []
    lanes: list[int] = []
    counts: list[int] = []
    jumps: list[int] = []
    total = 0
    for stretch in stretches:
        changed = bool(rows) and stretch.entered_by in _CHANGES
        if changed:
            beside_m = _beside(maps, stretch.lane, rows[-1][-1])
            stretch = stretch._replace(start_m=beside_m + ROUTE_STEP_M)
            jumps.append(total)
        part = _lane_part(maps, stretch, skip_first=bool(rows) and not changed)
        if not len(part):  # a stretch of no length, left at once
            continue
        if rows and not changed:  # the point on a seam is the following lane's, as CARLA has it
            counts[-1] -= 1
            counts.append(len(part) + 1)
        else:
            counts.append(len(part))
        rows.append(part)
        lanes.append(stretch.lane)
        total += len(part)
    table = np.concatenate(rows)
    lane = np.repeat(np.array(lanes, np.int32), counts)
    command = np.full(total, RouteCommand.LANE_FOLLOW, np.uint8)
    return _Line(table[:, :3], table[:, 3], lane, maps.lanes.junction[lane], command, jumps)


def _beside(maps: MapBank, lane: int, point: FloatArray) -> float:
    """Where on `lane` one is when at `point` on its neighbour; lanes of a bend differ in length."""
    first, last = maps.lanes.first_point[lane], maps.lanes.first_point[lane + 1]
    dx, dy = point[0] - maps.points.x[first:last], point[1] - maps.points.y[first:last]
    row = int(np.argmin(dx * dx + dy * dy))
    yaw = maps.points.yaw_rad[first + row]
    return float(maps.points.s_m[first + row] + np.cos(yaw) * dx[row] + np.sin(yaw) * dy[row])


def _lane_part(maps: MapBank, stretch: Stretch, *, skip_first: bool) -> FloatArray:
    """Points of one stretch, (K, 4) x, y, z, yaw, with interpolated ends."""
    rows = slice(maps.lanes.first_point[stretch.lane], maps.lanes.first_point[stretch.lane + 1])
    s = maps.points.s_m[rows]
    inner = s[(s > stretch.start_m + 1e-3) & (s < stretch.end_m - 1e-3)]
    # The first point of a lane is the last of its predecessor, which is there already
    begin = [] if skip_first else [min(stretch.start_m, stretch.end_m)]
    end = [stretch.end_m] if stretch.end_m > stretch.start_m else []
    at = np.concatenate([begin, inner, end])
    yaw = np.unwrap(maps.points.yaw_rad[rows])
    columns = (maps.points.x[rows], maps.points.y[rows], maps.points.z[rows], yaw)
    return np.column_stack([np.interp(at, s, column) for column in columns])


def _name_turns(line: _Line) -> None:
    """Set the command of each crossing by its change of heading, in place."""
    borders = np.flatnonzero(np.diff(line.junction)) + 1
    for first, last in zip([0, *borders], [*borders, len(line.junction)], strict=True):
        if line.junction[first] < 0:
            continue
        turn = _wrap(line.yaw_rad[last - 1] - line.yaw_rad[first])
        if abs(turn) < TURN_ANGLE_RAD:
            line.command[first:last] = RouteCommand.STRAIGHT
        else:
            line.command[first:last] = RouteCommand.LEFT if turn > 0.0 else RouteCommand.RIGHT


def _stations(line: _Line) -> FloatArray:
    """Arc length along the lanes; the sideways part of a jump does not count."""
    steps = np.linalg.norm(np.diff(line.position, axis=0), axis=1)
    for row in line.jumps:
        steps[row - 1] = ROUTE_STEP_M
    return np.concatenate([[0.0], np.cumsum(steps)])


def _smooth_change(line: _Line, station_m: FloatArray, jump: int) -> None:
    """Spread the side step at row `jump` over the way around it, in place."""
    normal = np.column_stack([-np.sin(line.yaw_rad), np.cos(line.yaw_rad)])
    offset_m = float((line.position[jump, :2] - line.position[jump - 1, :2]) @ normal[jump])
    middle = 0.5 * (station_m[jump - 1] + station_m[jump])
    half = _room_around(line, station_m, jump, middle)
    share = np.clip((station_m - middle) / (2.0 * half) + 0.5, 0.0, 1.0)
    ramp = share * share * (3.0 - 2.0 * share)  # from the old lane (0) to the new one (1)
    on_new_lane = np.arange(len(share)) >= jump
    line.position[:, :2] += (offset_m * (ramp - on_new_lane))[:, None] * normal
    window = (share > 0.0) & (share < 1.0) & (line.junction < 0)
    line.command[window] = RouteCommand.CHANGE_LEFT if offset_m > 0 else RouteCommand.CHANGE_RIGHT


def _room_around(line: _Line, station_m: FloatArray, jump: int, middle: float) -> float:
    """Half the length of a lane change: clear of junctions, other changes and the ends."""
    obstacles = [station_m[0], station_m[-1]]
    obstacles += [0.5 * (middle + station_m[other]) for other in line.jumps if other != jump]
    before = np.flatnonzero(line.junction[:jump] >= 0)
    after = np.flatnonzero(line.junction[jump:] >= 0)
    obstacles += [station_m[before[-1]]] if len(before) else []
    obstacles += [station_m[jump + after[0]]] if len(after) else []
    room = min(abs(obstacle - middle) for obstacle in obstacles)
    return float(np.clip(room, 0.5 * _MIN_LANE_CHANGE_LENGTH_M, 0.5 * LANE_CHANGE_LENGTH_M))


def _resample(line: _Line) -> Route:
    """Uniform spacing; a step of the route's index is then always the same distance."""
    steps = np.linalg.norm(np.diff(line.position, axis=0), axis=1)
    arc_m = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, 1 + round(arc_m[-1] / ROUTE_STEP_M))
    at = np.linspace(0.0, arc_m[-1], count)
    x, y, z = (np.interp(at, arc_m, line.position[:, axis]) for axis in range(3))
    nearest = np.clip(np.searchsorted(arc_m, at, side="right") - 1, 0, len(arc_m) - 1)
    return Route(
        x=x,
        y=y,
        z=z,
        yaw_rad=_motion_yaw(x, y, line.yaw_rad[0], line.yaw_rad[-1]),
        lane=line.lane[nearest],
        in_junction=line.junction[nearest] >= 0,
        command=line.command[nearest],
    )


def _motion_yaw(x: FloatArray, y: FloatArray, first: float, last: float) -> FloatArray:
    """Heading by central differences, which is exact on arcs; the ends are the lanes' own."""
    yaw = np.arctan2(y[2:] - y[:-2], x[2:] - x[:-2])
    return np.concatenate([[_wrap(first)], yaw, [_wrap(last)]])


def _wrap(angle_rad: float) -> float:
    return float(np.arctan2(np.sin(angle_rad), np.cos(angle_rad)))


# Thins a dense route to the few waypoints from which the router traces it again

MAX_SPACING_M = 50.0
_CLEARANCE_ROWS = 3  # before and after a junction or a lane change, where lanes do not overlap
_MAX_DEVIATION_M = 1.0


def thin_route(route: Route) -> NDArray[np.float64]:
    """Waypoints (W, 3): around every junction and lane change, and each 50 m between them."""
    last = len(route.x) - 1
    is_special = route.in_junction | np.isin(route.command, _CHANGES)
    borders = np.flatnonzero(np.diff(is_special.astype(np.int8))) + 1
    rows = {0, last}
    for border in borders.tolist():
        row = border + _CLEARANCE_ROWS - 1 if is_special[border - 1] else border - _CLEARANCE_ROWS
        if 0 < row < last and not is_special[row]:
            rows.add(row)
    for first, after in itertools.pairwise(sorted(rows)):
        if not is_special[first:after].any():
            parts = int(np.ceil((after - first) / MAX_SPACING_M))
            rows.update(np.linspace(first, after, parts + 1).astype(int).tolist())
    keep = sorted(rows)
    # Millimetres are enough for a file, and read well
    return np.column_stack([route.x[keep], route.y[keep], route.z[keep]]).round(3)


def is_same_way(route: Route, traced: Route) -> bool:
    """True if the two routes never part by more than a metre, point by point along their length."""
    if abs(len(route.x) - len(traced.x)) > 0.005 * len(route.x) + 1:
        return False
    # The lane changes of both may be a few metres apart, so compare lines, not points
    return max(_deviation_m(route, traced), _deviation_m(traced, route)) < _MAX_DEVIATION_M


def _deviation_m(route: Route, other: Route) -> float:
    """Largest distance of a route's points to the points of the other about as far along."""
    reach = max(10, abs(len(route.x) - len(other.x)) + 5)
    rows = np.arange(len(route.x))[:, None] + np.arange(-reach, reach + 1)[None, :]
    rows = np.clip(rows, 0, len(other.x) - 1)
    squared = (route.x[:, None] - other.x[rows]) ** 2 + (route.y[:, None] - other.y[rows]) ** 2
    return float(np.sqrt(squared.min(axis=1).max()))
