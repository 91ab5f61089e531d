"""Which traffic lights matter to a driver, and the stop lines that the raster shows for them.

CaRL shows a light if the route passes its approach: a route point lies on the same road in a lane
of the same direction, and the last such point is more than -20 and less than 150 points ahead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.spec import GREEN_CODE, RED_CODE, yellow_code
from sim_adapters.scene.history import SceneHistory, past_light_state
from sim_adapters.scene.map_bank import Lanes, MapRanges, Signals, StopLines
from sim_adapters.scene.memory import RouteTracker
from sim_adapters.scene.state import ActorMotion, EgoState, Lights, LightState, Routes

POINTS_BEHIND = 20
POINTS_AHEAD = 150
LINE_HALF_WIDTH = 0.4  # of the lane's width
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)


class LightScratch(NamedTuple):
    """Stop lines near a driver: scratch of one thread."""

    line: NDArray[np.int32]
    last_point: NDArray[np.int32]


def make_light_scratch(capacity: int) -> LightScratch:
    """Room for `capacity` stop lines within range at once, on the route or not."""
    return LightScratch(np.zeros(capacity, np.int32), np.zeros(capacity, np.int32))


class LightRules(NamedTuple):
    """Which lights are gathered, and how their yellow reads."""

    range_m: float  # of the trigger volume
    only_on_route: int  # 1: CaRL; 0: every light in range, as Roach
    fade_yellow: int  # 1: brighter as it runs out (CaRL); 0: always 170 (Roach)


@inlined_function
def light_code(state: int, remaining_s: float, fade_yellow: int) -> int:
    """Gray value of a light; 0 if it is off."""
    if state == _RED:
        return RED_CODE
    if state == _YELLOW:
        return yellow_code(remaining_s) if fade_yellow else yellow_code(math.inf)
    return GREEN_CODE if state == _GREEN else 0


@device_function
def _find_near_lines(
    map_index: int,
    x: float,
    y: float,
    z: float,
    ranges: MapRanges,
    signals: Signals,
    range_m: float,
    scratch: LightScratch,
) -> int:
    """Stop lines of the lights whose trigger volume is within range; how many."""
    count = 0
    for signal in range(ranges.signal[map_index], ranges.signal[map_index + 1]):
        dx, dy, dz = signals.x[signal] - x, signals.y[signal] - y, signals.z[signal] - z
        if dx * dx + dy * dy + dz * dz > range_m * range_m:
            continue
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            if count < scratch.line.shape[0]:
                scratch.line[count], scratch.last_point[count] = line, -1
                count += 1
    return count


@device_function
def _find_last_points(
    driver: int,
    count: int,
    routes: Routes,
    lanes: Lanes,
    stop_lines: StopLines,
    scratch: LightScratch,
) -> None:
    """Last route point on the road and in the direction of each line, run by run of a lane."""
    num_points = int(routes.num_points[driver])
    for point in range(num_points):
        lane = routes.lane[driver, point]
        if lane < 0 or (point + 1 < num_points and routes.lane[driver, point + 1] == lane):
            continue
        for near in range(count):
            approach = stop_lines.lane[scratch.line[near]]
            same_side = (lanes.lane_id[approach] > 0) == (lanes.lane_id[lane] > 0)
            if lanes.road_id[approach] == lanes.road_id[lane] and same_side:
                scratch.last_point[near] = point


@device_function
def _make_place(driver: int, count: int, value: int, rows: BevRows) -> int:
    """Free the place among `count` lines sorted by value, behind equal ones; its row."""
    place = count
    while place > 0 and rows.light_values[driver, place - 1, 0] > value:
        for moment in range(rows.light_values.shape[2]):
            rows.light_values[driver, place, moment] = rows.light_values[driver, place - 1, moment]
        for field in range(4):
            rows.light_lines[driver, place, field] = rows.light_lines[driver, place - 1, field]
        place -= 1
    return place


@device_function
def _write_line(
    driver: int,
    place: int,
    line: int,
    x: float,
    y: float,
    yaw: float,
    stop_lines: StopLines,
    rows: BevRows,
) -> None:
    """Write the ends of a stop line, left and right, as seen from the pose (x, y, yaw)."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = stop_lines.x[line] - x, stop_lines.y[line] - y
    forward, left = cos * dx + sin * dy, cos * dy - sin * dx
    half = LINE_HALF_WIDTH * stop_lines.lane_width_m[line]
    angle = stop_lines.yaw_rad[line] - yaw
    across_x, across_y = -math.sin(angle) * half, math.cos(angle) * half
    rows.light_lines[driver, place, 0] = forward + across_x
    rows.light_lines[driver, place, 1] = left + across_y
    rows.light_lines[driver, place, 2] = forward - across_x
    rows.light_lines[driver, place, 3] = left - across_y


@device_function
def gather_lights(
    driver: int,
    map_index: int,
    motion: ActorMotion,
    ego: EgoState,
    lights: Lights,
    routes: Routes,
    tracker: RouteTracker,
    ranges: MapRanges,
    lanes: Lanes,
    signals: Signals,
    stop_lines: StopLines,
    history: SceneHistory,
    rules: LightRules,
    scratch: LightScratch,
    rows: BevRows,
) -> int:
    """Stop lines of the lights that matter, the more urgent (brighter) ones later; how many.

    Later ones overwrite earlier ones in the picture, so red wins over yellow over green. A count
    above the row's capacity says that some did not fit.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    x, y, z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    yaw = motion.yaw_rad[world, own]
    near_count = _find_near_lines(map_index, x, y, z, ranges, signals, rules.range_m, scratch)
    if near_count > 0 and rules.only_on_route:
        _find_last_points(driver, near_count, routes, lanes, stop_lines, scratch)
    capacity, count = rows.light_lines.shape[1], 0
    index = int(tracker.index[driver])
    for near in range(near_count):
        line, last = int(scratch.line[near]), int(scratch.last_point[near])
        ahead = last - index
        if rules.only_on_route and (last < 0 or not -POINTS_BEHIND < ahead < POINTS_AHEAD):
            continue
        light = stop_lines.signal[line] - ranges.signal[map_index]
        remaining = lights.remaining_s[world, light]
        value = light_code(int(lights.state[world, light]), remaining, rules.fade_yellow)
        if value == 0:
            continue
        if count >= capacity:
            count += 1
            continue
        place = _make_place(driver, count, value, rows)
        rows.light_values[driver, place, 0] = value
        _write_line(driver, place, line, x, y, yaw, stop_lines, rows)
        for past in range(rows.light_values.shape[2] - 1):
            state = past_light_state(history, past, world, light)
            rows.light_values[driver, place, 1 + past] = light_code(state, math.inf, 0)
        count += 1
    for place in range(count, capacity):
        rows.light_values[driver, place, :] = 0
        rows.light_lines[driver, place, :] = 0.0
    return count
