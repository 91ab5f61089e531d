"""Places on the map that scripted scenarios need, found as scenario_runner finds them.

scenario_runner asks CARLA's map: `next` and `previous` follow lanes, `get_right_lane` goes outward
whatever the lane's type, a junction's entries are the lanes that lead into it. The same walks are
made here on the MapBank's lane graph; `tests/world/test_script_geometry.py` holds them against
`carla.Map`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, ScenarioTrigger
from sim_adapters.world.pedestrian_state import lane_place
from sim_adapters.world.scenarios.state import STREAM_LANES

ON_ROUTE_M, ON_ROUTE_DEG = 2.0, 10.0  # leaderboard: DIST_THRESHOLD, ANGLE_THRESHOLD
JUNCTION_REACH_M = 150.0  # from a trigger to its junction
BESIDE_SIDEWALK_M = {"blocker": 1.5, "crosser": 1.2}  # right of the outermost lane without one
_LOOK_INTO_M = 10.0  # how far choose_at_junction looks along each way
# Heading of a junction's entries relative to ours [deg], counter-clockwise: who comes from where
_SIDES_DEG = {"right": (30.0, 135.0), "opposite": (135.0, 225.0), "left": (225.0, 330.0)}


class NoRoomError(ValueError):
    """The map has no room for a scenario at its trigger."""


class LanePlace(NamedTuple):
    """A place on a lane's centre line."""

    lane: int
    s_m: float  # along it


def pose_on(maps: MapBank, place: LanePlace) -> tuple[float, float, float, float]:
    """x, y, z [m] and yaw [rad] of a place."""
    x, y, z, yaw = lane_place(maps.points, maps.lanes, place.lane, place.s_m, 0.0)
    return float(x), float(y), float(z), float(yaw)


def row_on_route(route: Route, trigger: ScenarioTrigger) -> int:
    """Route point at which a trigger goes off.

    Raises:
        NoRoomError: the leaderboard would leave the trigger out, as too far from the route.
    """
    away_m = np.hypot(route.x - trigger.x, route.y - trigger.y)
    off_deg = np.abs(np.degrees(np.angle(np.exp(1j * (route.yaw_rad - trigger.yaw_rad)))))
    is_near = (away_m < ON_ROUTE_M) & (np.abs(route.z - trigger.z) < ON_ROUTE_M)
    rows = np.flatnonzero(is_near & (off_deg < ON_ROUTE_DEG))
    if rows.size == 0:
        raise NoRoomError(
            f"the trigger lies {away_m.min():.1f} m from the route: more than {ON_ROUTE_M:g} m, "
            f"more than {ON_ROUTE_M:g} m above or below it, or {ON_ROUTE_DEG:g} degrees askew"
        )
    first_pass = rows[: int(np.argmax(np.append(np.diff(rows) > 1, True))) + 1]
    return int(first_pass[np.argmin(away_m[first_pass])])


def nearest_on_lane(maps: MapBank, lane: int, x: float, y: float) -> LanePlace:
    """Foot of (x, y) on a lane's centre line."""
    rows = slice(maps.lanes.first_point[lane], maps.lanes.first_point[lane + 1])
    px, py, s_m = maps.points.x[rows], maps.points.y[rows], maps.points.s_m[rows]
    if px.size < 2:
        return LanePlace(lane, 0.0)
    dx, dy = np.diff(px), np.diff(py)
    share = ((x - px[:-1]) * dx + (y - py[:-1]) * dy) / np.maximum(dx * dx + dy * dy, 1e-12)
    share = np.clip(share, 0.0, 1.0)
    away2 = (px[:-1] + share * dx - x) ** 2 + (py[:-1] + share * dy - y) ** 2
    best = int(np.argmin(away2))
    return LanePlace(lane, float(s_m[best] + share[best] * (s_m[best + 1] - s_m[best])))


def ahead_on_lane(
    maps: MapBank, place: LanePlace, distance_m: float, preferred: NDArray[np.int32]
) -> LanePlace:
    """Follow lanes for a distance; at a fork one of the `preferred`, else the last successor."""
    lane, s_m = place.lane, place.s_m + distance_m
    while s_m > maps.lanes.length_m[lane]:
        ahead = csr_row(maps.links.successor_first, maps.links.successor, lane)
        if ahead.size == 0:
            return LanePlace(lane, float(maps.lanes.length_m[lane]))
        s_m -= float(maps.lanes.length_m[lane])
        wanted = ahead[np.isin(ahead, preferred)]
        lane = int(wanted[0] if wanted.size else ahead[-1])
    return LanePlace(lane, s_m)


def sidewalk_beside(maps: MapBank, lane: int, *, is_right: bool) -> tuple[int, bool]:
    """The first sidewalk outward of a lane in its road section, else the outermost lane.

    Limit: lane types that the bank does not hold (borders, medians) cannot be the outermost one.

    Returns:
        The lane, and whether it is a sidewalk.
    """
    lanes = maps.lanes
    own_id = int(lanes.lane_id[lane])
    sign = np.sign(own_id) if is_right else -np.sign(own_id)
    same_map = slice(*_map_lanes(maps, lane))
    rows = np.flatnonzero(
        (lanes.road_id[same_map] == lanes.road_id[lane])
        & (lanes.section_id[same_map] == lanes.section_id[lane])
        & (np.sign(lanes.lane_id[same_map]) == sign)
    ) + int(same_map.start)
    if is_right:
        rows = rows[np.abs(lanes.lane_id[rows]) >= abs(own_id)]
    if rows.size == 0:
        raise NoRoomError("there is no lane on that side of the road")
    outward = rows[np.argsort(np.abs(lanes.lane_id[rows]))]
    walks = outward[lanes.kind[outward] == LaneKind.SIDEWALK]
    return (int(walks[0]), True) if walks.size else (int(outward[-1]), False)


def _map_lanes(maps: MapBank, lane: int) -> tuple[int, int]:
    """First and last lane (exclusive) of the map that a lane belongs to."""
    index = int(np.searchsorted(maps.ranges.lane, lane, side="right")) - 1
    return int(maps.ranges.lane[index]), int(maps.ranges.lane[index + 1])


def junction_ahead(route: Route, row: int) -> tuple[int, int]:
    """First and last route row inside the next junction.

    Raises:
        NoRoomError: none within reach.
    """
    inside = np.flatnonzero(route.in_junction[row:]) + row
    if inside.size == 0 or inside[0] - row > JUNCTION_REACH_M:
        raise NoRoomError(f"no junction within {JUNCTION_REACH_M:g} m of route")
    first = int(inside[0])
    outside = np.flatnonzero(~route.in_junction[first:])
    return first, first + int(outside[0]) - 1 if outside.size else route.x.size - 1


def junction_entries(maps: MapBank, junction: int, yaw_rad: float, side: str) -> list[int]:
    """Lanes outside a junction that lead into it, coming from one side of who heads `yaw_rad`."""
    inside = np.flatnonzero(
        (maps.lanes.junction == junction) & (maps.lanes.kind == LaneKind.DRIVING)
    )
    entries: list[int] = []
    for lane in inside:
        entry = lane_before(maps, int(lane))
        if entry >= 0 and entry not in entries:
            entries.append(entry)
    low, high = _SIDES_DEG[side]
    last = maps.lanes.first_point[1:] - 1
    turned_deg = np.degrees(maps.points.yaw_rad[last[entries]] - yaw_rad) % 360.0
    return [entry for entry, turn in zip(entries, turned_deg, strict=True) if low < turn <= high]


def lane_before(maps: MapBank, lane: int) -> int:
    """The lane outside the junction that leads into a lane inside it, -1 none."""
    for _ in range(STREAM_LANES):
        if maps.lanes.junction[lane] < 0:
            return lane
        behind = csr_row(maps.links.predecessor_first, maps.links.predecessor, lane)
        if behind.size == 0:
            return -1
        lane = int(behind[0])
    return -1


def straight_ahead(maps: MapBank, lane: int) -> int:
    """The successor of a lane that deviates least from its direction, 10 m further on."""
    ahead = csr_row(maps.links.successor_first, maps.links.successor, lane)
    if ahead.size == 0:
        raise NoRoomError("a stream's lane leads nowhere")
    x, y, _, yaw = pose_on(maps, LanePlace(lane, float(maps.lanes.length_m[lane])))
    off_m = []
    for candidate in ahead:
        place = ahead_on_lane(maps, LanePlace(int(candidate), 0.0), _LOOK_INTO_M, ahead)
        px, py, _, _ = pose_on(maps, place)
        off_m.append(abs(math.cos(yaw) * (py - y) - math.sin(yaw) * (px - x)))
    return int(ahead[np.argmin(off_m)])


class StreamPath(NamedTuple):
    """The way of a stream's vehicles."""

    lanes: list[int]  # from the source to the sink
    source: LanePlace
    sink: LanePlace
    crossing: int  # the first lane inside the junction
    length_m: float  # from source to sink


def path_from_entry(
    maps: MapBank, entry: int, source_m: float, sink_m: float, step_m: float
) -> StreamPath:
    """Straight through the junction: up to `source_m` before it, `sink_m` beyond it.

    scenario_runner looks for the source in steps of `step_m`, back to the junction before this one
    at most.

    Raises:
        NoRoomError: the road begins or ends too early.
    """
    lengths, junction = maps.lanes.length_m, maps.lanes.junction
    before, before_m = [entry], float(lengths[entry])
    while before_m < source_m and len(before) < STREAM_LANES // 2:
        behind = csr_row(maps.links.predecessor_first, maps.links.predecessor, before[0])
        if behind.size == 0:
            raise NoRoomError("no source: a lane of the stream begins too near")
        if junction[behind[0]] >= 0:
            break  # another junction lies before it
        before.insert(0, int(behind[0]))
        before_m += float(lengths[before[0]])
    crossing = straight_ahead(maps, entry)
    lanes, last = [*before, crossing], crossing
    while junction[last] >= 0:
        last = straight_ahead(maps, last) if last == crossing else _first_successor(maps, last)
        lanes.append(last)
    left_m = sink_m
    while left_m > lengths[last]:
        left_m -= float(lengths[last])
        last = _first_successor(maps, last)
        lanes.append(last)
    if len(lanes) > STREAM_LANES:
        raise NoRoomError(f"the stream's way has {len(lanes)} lanes, more than {STREAM_LANES}")
    steps = min(math.ceil(source_m / step_m), int(before_m / step_m))
    index, back_m = 0, before_m - steps * step_m
    while index + 1 < len(before) and back_m >= lengths[lanes[index]]:
        back_m -= float(lengths[lanes[index]])
        index += 1
    length_m = float(sum(lengths[lane] for lane in lanes[index:-1])) - back_m + left_m
    source, sink = LanePlace(lanes[index], back_m), LanePlace(last, left_m)
    return StreamPath(lanes[index:], source, sink, crossing, length_m)


def _first_successor(maps: MapBank, lane: int) -> int:
    ahead = csr_row(maps.links.successor_first, maps.links.successor, lane)
    if ahead.size == 0:
        raise NoRoomError("no sink: a lane of the stream ends too early")
    return int(ahead[0])


def same_way_lanes(maps: MapBank, lane: int) -> list[int]:
    """Driving lanes beside a lane that go its way, itself included."""
    lanes = maps.lanes
    first, last = _map_lanes(maps, lane)
    rows = slice(first, last)
    beside = (
        (lanes.road_id[rows] == lanes.road_id[lane])
        & (lanes.section_id[rows] == lanes.section_id[lane])
        & (np.sign(lanes.lane_id[rows]) == np.sign(lanes.lane_id[lane]))
        & (lanes.kind[rows] == LaneKind.DRIVING)
    )
    return (np.flatnonzero(beside) + first).tolist()


def outermost_right(maps: MapBank, lane: int) -> int:
    """The last driving lane to the right of a lane, without one of another type between."""
    beside = sorted(same_way_lanes(maps, lane), key=lambda row: abs(int(maps.lanes.lane_id[row])))
    own = beside.index(lane)
    for row in beside[own + 1 :]:
        if abs(int(maps.lanes.lane_id[row]) - int(maps.lanes.lane_id[lane])) != 1:
            break
        lane = row
    return lane


def csr_row(first: NDArray[np.int32], values: NDArray[np.int32], row: int) -> NDArray[np.int32]:
    """Row of a CSR list."""
    return values[first[row] : first[row + 1]]
