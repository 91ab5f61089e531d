"""Resolves the triggers of junctions: streams of vehicles, and one that runs its red light.

Sources, sinks and gaps are those of scenario_runner 0.9.16: JunctionLeftTurn, JunctionRightTurn,
OppositeVehicleJunction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim_adapters.world.scenarios.geometry import (
    LanePlace,
    NoRoomError,
    StreamPath,
    junction_ahead,
    junction_entries,
    lane_before,
    outermost_right,
    path_from_entry,
    pose_on,
    same_way_lanes,
)
from sim_adapters.world.scenarios.site import Site, direction, number
from sim_adapters.world.scenarios.state import CLEAR_LANES

STREAM_SPEED_MPS = 20.0  # SignalizedJunctionLeftTurn and RightTurn
STREAM_GAPS_M = (25.0, 50.0)
LEFT_TURN_SOURCE_S, LEFT_TURN_SINK_S = 4.0, 2.5  # a stream's way before and after the junction
RIGHT_TURN_SOURCE_S, RIGHT_TURN_SINK_S = 5.0, 3.0
STEP_M = 5.0  # between the places at which a source is looked for
EXIT_SPACE_M = 20.0  # of the ego's way after the junction, beside the stream's
RUNNER_SPEED_MPS = 60.0 / 3.6  # OppositeVehicleRunningRedLight
RUNNER_SOURCE_M, RUNNER_SINK_M, RUNNER_STEP_M = 30.0, 10.0, 1.0


def left_turn(site: Site) -> None:
    """An oncoming stream."""
    speed = number(site.trigger, "flow_speed", STREAM_SPEED_MPS)
    first, last = junction_ahead(site.scenario.route, site.row)
    if _light_of(site, site.scenario.route.lane[first : last + 1]) < 0 and site.is_strict:
        raise NoRoomError("the junction has no traffic lights")
    entries = _entries(site, first, ("opposite", "right", "left"))
    entry = entries[int(site.scenario.seed) % len(entries)]
    path = path_from_entry(
        site.maps, entry, LEFT_TURN_SOURCE_S * speed, LEFT_TURN_SINK_S * speed, STEP_M
    )
    _write_stream(site, path, speed)
    site.book.streams.exit_space_m[site.at] = EXIT_SPACE_M + LEFT_TURN_SINK_S * speed
    _write_gaps(site)


def right_turn(site: Site) -> None:
    """A stream from the left, in its rightmost lane."""
    speed = number(site.trigger, "flow_speed", STREAM_SPEED_MPS)
    first, _ = junction_ahead(site.scenario.route, site.row)
    entry = outermost_right(site.maps, _entries(site, first, ("left", "opposite", "right"))[0])
    path = path_from_entry(
        site.maps, entry, RIGHT_TURN_SOURCE_S * speed, RIGHT_TURN_SINK_S * speed, STEP_M
    )
    _write_stream(site, path, speed)
    site.book.streams.exit_space_m[site.at] = EXIT_SPACE_M + RIGHT_TURN_SINK_S * speed
    _write_gaps(site)


def _write_gaps(site: Site) -> None:
    streams, at = site.book.streams, site.at
    smallest = number(site.trigger, "source_dist_interval.from", STREAM_GAPS_M[0])
    largest = number(site.trigger, "source_dist_interval.to", STREAM_GAPS_M[1])
    streams.smallest_gap_m[at], streams.largest_gap_m[at] = smallest, max(largest, smallest)


def red_light_runner(site: Site) -> None:
    """One emergency vehicle stands before its red light and goes when the ego comes."""
    speed = number(site.trigger, "flow_speed", RUNNER_SPEED_MPS)
    route, triggers, at = site.scenario.route, site.book.triggers, site.at
    first, _ = junction_ahead(route, site.row)
    side = direction(site.trigger)
    other = "left" if side == "right" else "right"
    entry = _entries(site, first, (side, other, "opposite"))[0]
    path = path_from_entry(site.maps, entry, RUNNER_SOURCE_M, RUNNER_SINK_M, RUNNER_STEP_M)
    _write_stream(site, path, speed)
    x, y, yaw = _end_of(site, entry)
    own_x, own_y, own_yaw = _end_of(site, lane_before(site.maps, int(route.lane[first])))
    turn = math.sin(yaw - own_yaw)
    if abs(turn) < 1e-6:
        raise NoRoomError("the two ways are parallel: no point where they meet")
    along = ((x - own_x) * math.sin(yaw) - (y - own_y) * math.cos(yaw)) / turn
    triggers.meeting_x[at] = own_x + along * math.cos(own_yaw)
    triggers.meeting_y[at] = own_y + along * math.sin(own_yaw)
    streams = site.book.streams
    straight_m = math.hypot(
        streams.sink_x[at] - streams.source_x[at], streams.sink_y[at] - streams.source_y[at]
    )
    streams.crossing_s[at] = straight_m / speed


def _end_of(site: Site, lane: int) -> tuple[float, float, float]:
    """x, y and yaw where a lane ends."""
    x, y, _, yaw = pose_on(site.maps, LanePlace(lane, float(site.maps.lanes.length_m[lane])))
    return x, y, yaw


def _entries(site: Site, first: int, sides: Sequence[str]) -> list[int]:
    """Lanes that lead into the junction at route row `first` from the first of `sides`."""
    route = site.scenario.route
    junction = int(site.maps.lanes.junction[route.lane[first]])
    for side in sides[:1] if site.is_strict else sides:
        entries = junction_entries(site.maps, junction, float(route.yaw_rad[first]), side)
        if entries:
            return entries
    raise NoRoomError(f"no lane leads into the junction from the {sides[0]} side")


def _light_of(site: Site, lanes: np.ndarray) -> int:
    """The light of lanes through a junction, as an index within the map; -1 none."""
    first_signal = site.maps.ranges.signal[site.maps.map_index(site.scenario.town)]
    signal = int(site.maps.rules.signal[lanes].max())
    return signal - int(first_signal) if signal >= 0 else -1


def _write_stream(site: Site, path: StreamPath, speed_mps: float) -> None:
    """A stream's way, what is kept free for it, and the lights of its junction."""
    maps, route, streams, at = site.maps, site.scenario.route, site.book.streams, site.at
    first, last = junction_ahead(route, site.row)
    streams.path[at] = -1
    streams.path[at][: len(path.lanes)] = path.lanes
    beside = {other for lane in path.lanes for other in same_way_lanes(maps, lane)}
    further = sorted(beside - set(path.lanes))[:CLEAR_LANES]
    streams.clear[at] = -1
    streams.clear[at][: len(further)] = further
    streams.junction[at] = maps.lanes.junction[path.crossing]
    streams.source_m[at] = path.source.s_m
    streams.source_x[at], streams.source_y[at] = pose_on(maps, path.source)[:2]
    streams.sink_x[at], streams.sink_y[at] = pose_on(maps, path.sink)[:2]
    streams.exit_x[at], streams.exit_y[at] = route.x[last], route.y[last]
    streams.exit_yaw_rad[at] = route.yaw_rad[last]
    streams.speed_mps[at], streams.way_m[at] = speed_mps, path.length_m
    own, through = route.lane[first : last + 1], path.crossing
    rows = slice(maps.lanes.first_point[through], maps.lanes.first_point[through + 1])
    dx = route.x[first : last + 1, None] - maps.points.x[None, rows]
    dy = route.y[first : last + 1, None] - maps.points.y[None, rows]
    ours, _ = np.unravel_index(int(np.argmin(dx**2 + dy**2)), dx.shape)
    site.book.triggers.meeting_x[at] = route.x[first + ours]
    site.book.triggers.meeting_y[at] = route.y[first + ours]
    streams.own_light[at] = _light_of(site, own)
    streams.stream_light[at] = _light_of(site, np.array([through]))
    known = max(int(maps.rules.signal[own].max()), int(maps.rules.signal[through]))
    streams.group[at] = maps.signals.group[known] if known >= 0 else -1
