"""Blocks of the vector observation about rules: the next traffic light and the stop sign."""

from __future__ import annotations

import math

from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.observation.route_window import project_on_window
from sim_adapters.observation.vector_ego import put
from sim_adapters.scene.map_bank import MapRanges, Signals, Signs, StopLines
from sim_adapters.scene.memory import SignTracker
from sim_adapters.scene.state import ActorMotion, EgoState, Lights, LightState

LIGHT_SIGHT_M = 80.0
DISTANCE_SCALE_M = 50.0
REMAINING_SCALE_S = 3.0  # CARLA's yellow lasts three seconds
_PASSED_M = 4.0  # the rear may still run the light until the ego's centre is this far past the line
_SAME_LEVEL_M = 4.0
_ALIGNED_COS = 0.5  # a stop line of the route points within 60 degrees of it
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)

LIGHT_FEATURES = (
    "light_found",
    "light_distance",
    "light_red",
    "light_yellow",
    "light_green",
    "light_remaining",
)
STOP_FEATURES = ("stop_found", "stop_distance")


@device_function
def next_stop_line(
    driver: int,
    map_index: int,
    motion: ActorMotion,
    ego: EgoState,
    ranges: MapRanges,
    signals: Signals,
    stop_lines: StopLines,
    window: NDArray,
    count: int,
    ego_s: float,
) -> tuple[int, float]:
    """The nearest stop line of a light on the route, and its distance [m] along it; (-1, inf)."""
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_z = motion.x[world, slot], motion.y[world, slot], motion.z[world, slot]
    yaw = motion.yaw_rad[world, slot]
    cos, sin = math.cos(yaw), math.sin(yaw)
    first = signals.first_stop_line[ranges.signal[map_index]]
    last = signals.first_stop_line[ranges.signal[map_index + 1]]
    best, best_distance = -1, math.inf
    for line in range(first, last):
        dx, dy = stop_lines.x[line] - ego_x, stop_lines.y[line] - ego_y
        if dx * dx + dy * dy > LIGHT_SIGHT_M * LIGHT_SIGHT_M:
            continue
        if abs(stop_lines.z[line] - ego_z) > _SAME_LEVEL_M:
            continue
        s, offset, row = project_on_window(window, count, cos * dx + sin * dy, cos * dy - sin * dx)
        if abs(offset) > 0.6 * stop_lines.lane_width_m[line]:
            continue
        if math.cos(stop_lines.yaw_rad[line] - yaw - window[row, 3]) < _ALIGNED_COS:
            continue
        distance = s - ego_s
        if -_PASSED_M < distance < best_distance:
            best, best_distance = line, distance
    return best, best_distance


@device_function
def write_light(
    world: int,
    map_index: int,
    line: int,
    distance_m: float,
    ranges: MapRanges,
    stop_lines: StopLines,
    lights: Lights,
    row: NDArray,
    k: int,
) -> int:
    """LIGHT_FEATURES of the light at a stop line; no light reads like one far away."""
    if line < 0:
        row[k : k + 6] = 0.0
        row[k + 1] = LIGHT_SIGHT_M / DISTANCE_SCALE_M
        return k + 6
    light = stop_lines.signal[line] - ranges.signal[map_index]
    state = lights.state[world, light]
    remaining = min(max(lights.remaining_s[world, light], 0.0), REMAINING_SCALE_S)
    k = put(row, k, 1.0)
    k = put(row, k, distance_m / DISTANCE_SCALE_M)
    k = put(row, k, 1.0 if state == _RED else 0.0)
    k = put(row, k, 1.0 if state == _YELLOW else 0.0)
    k = put(row, k, 1.0 if state == _GREEN else 0.0)
    return put(row, k, remaining / REMAINING_SCALE_S)


@device_function
def write_stop_sign(
    driver: int,
    motion: ActorMotion,
    ego: EgoState,
    tracker: SignTracker,
    signs: Signs,
    window: NDArray,
    count: int,
    ego_s: float,
    row: NDArray,
    k: int,
) -> int:
    """STOP_FEATURES of the sign that the raster would show: ahead and not yet stopped at."""
    sign = int(tracker.shown_stop[driver])
    if sign < 0:
        row[k], row[k + 1] = 0.0, LIGHT_SIGHT_M / DISTANCE_SCALE_M
        return k + 2
    world, slot = int(ego.world[driver]), int(ego.slot[driver])
    cos, sin = math.cos(motion.yaw_rad[world, slot]), math.sin(motion.yaw_rad[world, slot])
    dx, dy = signs.x[sign] - motion.x[world, slot], signs.y[sign] - motion.y[world, slot]
    s, _, _ = project_on_window(window, count, cos * dx + sin * dy, cos * dy - sin * dx)
    k = put(row, k, 1.0)
    return put(row, k, (s - ego_s) / DISTANCE_SCALE_M)
