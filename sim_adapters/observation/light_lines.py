"""Which traffic lights matter to a driver, and the stop lines that the raster shows for them.

CaRL shows a light if the route passes its approach: a route point lies on the same road in a lane
of the same direction. A route may pass a light several times; a pass begins where the light was
off the route for more than 10 m. The light is shown while the last point of any pass is more than
-20 and less than 150 points ahead. A point one car length behind the start counts as well (v1.1).
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
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, Roads, StopLines
from sim_adapters.scene.memory import RouteTracker
from sim_adapters.scene.state import LightState, Routes, SceneArrays

POINTS_BEHIND = 20
POINTS_AHEAD = 150
POINTS_BETWEEN_PASSES = 10  # route points are about a metre apart
_NO_PASS = -(1 << 30)
_DRIVING = int(LaneKind.DRIVING)
LINE_HALF_WIDTH = 0.4  # of the lane's width
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)


class LightScratch(NamedTuple):
    """Stop lines near a driver: scratch of one thread."""

    line: NDArray[np.int32]
    last_point: NDArray[np.int32]  # of the pass that was found last
    is_passed: NDArray[np.bool_]  # on some pass that is neither too far ahead nor behind


def make_light_scratch(capacity: int) -> LightScratch:
    """Room for `capacity` stop lines within range at once, on the route or not."""
    numbers = np.zeros((2, capacity), np.int32)
    return LightScratch(numbers[0], numbers[1], np.zeros(capacity, np.bool_))


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
    roads: Roads,
    range_m: float,
    scratch: LightScratch,
) -> int:
    """Stop lines of the lights whose trigger volume is within range; how many."""
    count, signals = 0, roads.signals
    for signal in range(roads.ranges.signal[map_index], roads.ranges.signal[map_index + 1]):
        dx, dy, dz = signals.x[signal] - x, signals.y[signal] - y, signals.z[signal] - z
        if dx * dx + dy * dy + dz * dz > range_m * range_m:
            continue
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            if count < scratch.line.shape[0]:
                scratch.line[count], scratch.last_point[count] = line, _NO_PASS
                scratch.is_passed[count] = False
                count += 1
    return count


@device_function
def _lane_behind_start(
    driver: int, map_index: int, car_length_m: float, routes: Routes, roads: Roads
) -> int:
    """Driving lane one car length behind the route's first point, or -1."""
    yaw = routes.yaw_rad[driver, 0]
    x = routes.x[driver, 0] - math.cos(yaw) * car_length_m
    y = routes.y[driver, 0] - math.sin(yaw) * car_length_m
    point = nearest_lane_point(
        roads.grid, roads.points, roads.lanes, map_index, x, y, routes.z[driver, 0], _DRIVING
    )
    return int(roads.points.lane[point]) if point >= 0 else -1


@inlined_function
def _is_shown(last_point: int, index: int) -> bool:
    return -POINTS_BEHIND < last_point - index < POINTS_AHEAD


@device_function
def _note_stretch(
    lane: int,
    first: int,
    last: int,
    index: int,
    count: int,
    roads: Roads,
    scratch: LightScratch,
) -> None:
    """Add the route points `first` to `last`, all on one lane, to the passes of the near lines."""
    lanes = roads.lanes
    for near in range(count):
        approach = roads.stop_lines.lane[scratch.line[near]]
        same_side = (lanes.lane_id[approach] > 0) == (lanes.lane_id[lane] > 0)
        if lanes.road_id[approach] != lanes.road_id[lane] or not same_side:
            continue
        before = int(scratch.last_point[near])
        if first - before > POINTS_BETWEEN_PASSES and _is_shown(before, index):
            scratch.is_passed[near] = True
        scratch.last_point[near] = last


@device_function
def _find_passes(
    driver: int,
    map_index: int,
    car_length_m: float,
    index: int,
    count: int,
    routes: Routes,
    roads: Roads,
    scratch: LightScratch,
) -> None:
    """Which near lines lie on a pass of the route that is shown with the ego at point `index`."""
    if index < POINTS_BEHIND:
        lane = _lane_behind_start(driver, map_index, car_length_m, routes, roads)
        if lane >= 0:
            _note_stretch(lane, -1, -1, index, count, roads, scratch)
    first, num_points = 0, int(routes.num_points[driver])
    for point in range(num_points):
        lane = routes.lane[driver, point]
        if point + 1 < num_points and routes.lane[driver, point + 1] == lane:
            continue
        if lane >= 0:
            _note_stretch(lane, first, point, index, count, roads, scratch)
        first = point + 1
    for near in range(count):
        if _is_shown(int(scratch.last_point[near]), index):
            scratch.is_passed[near] = True


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


@inlined_function
def gather_lights(
    driver: int,
    scene: SceneArrays,
    tracker: RouteTracker,
    roads: Roads,
    history: SceneHistory,
    rules: LightRules,
    scratch: LightScratch,
    rows: BevRows,
) -> int:
    """Stop lines of the lights that matter, the more urgent (brighter) ones later; how many.

    Later ones overwrite earlier ones in the picture, so red wins over yellow over green. A count
    above the row's capacity says that some did not fit.
    """
    motion, lights, stop_lines = scene.motion, scene.lights, roads.stop_lines
    world, own = int(scene.ego.world[driver]), int(scene.ego.slot[driver])
    map_index = int(scene.clocks.map_index[world])
    x, y, z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    yaw = motion.yaw_rad[world, own]
    near_count = _find_near_lines(map_index, x, y, z, roads, rules.range_m, scratch)
    if near_count > 0 and rules.only_on_route:
        length, index = 2.0 * scene.traits.half_length_m[world, own], int(tracker.index[driver])
        _find_passes(driver, map_index, length, index, near_count, scene.routes, roads, scratch)
    capacity, count = rows.light_lines.shape[1], 0
    for near in range(near_count):
        line = int(scratch.line[near])
        if rules.only_on_route and not scratch.is_passed[near]:
            continue
        light = stop_lines.signal[line] - roads.ranges.signal[map_index]
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
