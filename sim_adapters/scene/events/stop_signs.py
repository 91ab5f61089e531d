"""Stop signs: which one the ego approaches, whether it stopped there, whether it ran it.

Three trackers run side by side: the reward's, one with a longer sight for the raster, and this one
again for the vector observation, by another rule at forks.
Source: CaRL's stop-sign detector; the leaderboard's differs in its range.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import InfractionFacts
from sim_adapters.scene.events.settings import StopSignSettings
from sim_adapters.scene.geometry import boxes_overlap, forward_offset_m, segments_cross
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M, nearest_lane_point
from sim_adapters.scene.map_bank import (
    IntArray,
    LaneKind,
    LaneLinks,
    Roads,
    SignKind,
    Signs,
)
from sim_adapters.scene.memory import SignTracker
from sim_adapters.scene.state import SceneArrays


class LevelBox(NamedTuple):
    """A world-aligned box on one level."""

    x: float  # [m] of its centre
    y: float
    z: float
    half_x_m: float
    half_y_m: float


@inlined_function
def lane_after(links: LaneLinks, lane: int, as_carla: bool) -> int:
    """The lane that follows, -1 where none does: CARLA's first or the first of our successors."""
    if as_carla:
        return int(links.first_ahead[lane])
    successor = links.successor_first[lane]
    if successor == links.successor_first[lane + 1]:
        return -1
    return int(links.successor[successor])


@inlined_function
def lane_ahead_enters_box(
    roads: Roads,
    point: int,
    x: float,
    y: float,
    range_m: float,
    step_m: float,
    box: LevelBox,
    as_carla: bool,
) -> bool:
    """Whether the centre line ahead of (x, y) enters a box within `range_m`.

    `point` is the lane point nearest to (x, y); a box smaller than `step_m` may be missed. In z
    only the level of the box counts. At a fork the way goes on as CARLA's `next(d)[0]` does, or
    along the first of our successors.
    """
    points, lanes, links = roads.points, roads.lanes, roads.links
    lane = points.lane[point]
    yaw = points.yaw_rad[point]
    along = forward_offset_m(x - points.x[point], y - points.y[point], math.cos(yaw), math.sin(yaw))
    s = min(max(points.s_m[point] + along, 0.0), lanes.length_m[lane])
    at = lanes.first_point[lane]
    for _ in range(math.floor(range_m / step_m + 0.5) + 1):
        while s > lanes.length_m[lane]:
            s -= lanes.length_m[lane]
            lane = lane_after(links, lane, as_carla)
            if lane < 0:
                return False
            at = lanes.first_point[lane]
        last = lanes.first_point[lane + 1] - 1
        while at < last - 1 and points.s_m[at + 1] <= s:
            at += 1
        after = min(at + 1, last)
        gap = points.s_m[after] - points.s_m[at]
        t = (s - points.s_m[at]) / gap if gap > 0.0 else 0.0
        dx = points.x[at] + t * (points.x[after] - points.x[at]) - box.x
        dy = points.y[at] + t * (points.y[after] - points.y[at]) - box.y
        is_level = abs(points.z[at] - box.z) < SAME_LEVEL_M
        if abs(dx) < box.half_x_m and abs(dy) < box.half_y_m and is_level:
            return True
        s += step_m
    return False


_DRIVING = int(LaneKind.DRIVING)
_STOP = int(SignKind.STOP)


@inlined_function
def is_within(signs: Signs, sign: int, car: EgoCar, range_m: float) -> bool:
    """Whether a sign's trigger centre is that near and on the same level."""
    dx, dy = signs.x[sign] - car.x, signs.y[sign] - car.y
    return dx * dx + dy * dy <= range_m * range_m and abs(signs.z[sign] - car.z) < SAME_LEVEL_M


@inlined_function
def leads_to_sign(
    point: int,
    sign: int,
    car: EgoCar,
    range_m: float,
    roads: Roads,
    settings: StopSignSettings,
    as_carla: bool,
) -> bool:
    """Whether the lane ahead of the car, which is at lane point `point`, enters a sign's box."""
    signs = roads.signs
    # A client sees a sign's box as the world-aligned hull of the turned one
    cos, sin = abs(math.cos(signs.yaw_rad[sign])), abs(math.sin(signs.yaw_rad[sign]))
    half_length, half_width = signs.half_length_m[sign], signs.half_width_m[sign]
    box = LevelBox(
        signs.x[sign],
        signs.y[sign],
        signs.z[sign],
        settings.box_scale * (cos * half_length + sin * half_width),
        settings.box_scale * (sin * half_length + cos * half_width),
    )
    step_m = settings.look_ahead_step_m
    return lane_ahead_enters_box(roads, point, car.x, car.y, range_m, step_m, box, as_carla)


@inlined_function
def find_stop_sign(
    map_index: int,
    car: EgoCar,
    range_m: float,
    roads: Roads,
    settings: StopSignSettings,
    as_carla: bool,
) -> int:
    """First stop sign of the map whose box the ego's lane enters within `range_m`, or -1."""
    signs, x, y, z = roads.signs, car.x, car.y, car.z
    point = -2  # the ego's lane is looked up only when some sign is near
    for sign in range(roads.ranges.sign[map_index], roads.ranges.sign[map_index + 1]):
        if signs.kind[sign] != _STOP or not is_within(signs, sign, car, range_m):
            continue
        if point == -2:
            point = nearest_lane_point(
                roads.grid, roads.points, roads.lanes, map_index, x, y, z, _DRIVING
            )
        if point < 0:
            return -1
        if leads_to_sign(point, sign, car, range_m, roads, settings, as_carla):
            return sign
    return -1


@inlined_function
def has_stopped_at(
    sign: int,
    car: EgoCar,
    signs: Signs,
    settings: StopSignSettings,
) -> bool:
    """Whether the ego stands with its box on the sign's trigger box."""
    if car.speed_mps >= settings.stop_speed_mps:
        return False
    return boxes_overlap(
        car.x,
        car.y,
        car.yaw_rad,
        car.half_length_m,
        car.half_width_m,
        signs.x[sign],
        signs.y[sign],
        signs.yaw_rad[sign],
        signs.half_length_m[sign],
        signs.half_width_m[sign],
    )


@inlined_function
def crosses_sign_line(
    sign: int,
    map_index: int,
    car: EgoCar,
    roads: Roads,
    settings: StopSignSettings,
) -> bool:
    """Whether the ego's rear half lies across the line through the lane at the trigger's centre."""
    grid, points, lanes, signs = roads.grid, roads.points, roads.lanes, roads.signs
    sign_x, sign_y, sign_z = signs.x[sign], signs.y[sign], signs.z[sign]
    point = nearest_lane_point(grid, points, lanes, map_index, sign_x, sign_y, sign_z, _DRIVING)
    if point < 0:
        return False
    half_width = settings.line_half_lanes * points.width_m[point]
    lane_yaw = points.yaw_rad[point]
    left_x, left_y = -math.sin(lane_yaw) * half_width, math.cos(lane_yaw) * half_width
    rear_x = car.x - math.cos(car.yaw_rad) * car.half_length_m
    rear_y = car.y - math.sin(car.yaw_rad) * car.half_length_m
    return segments_cross(
        car.x,
        car.y,
        rear_x,
        rear_y,
        points.x[point] + left_x,
        points.y[point] + left_y,
        points.x[point] - left_x,
        points.y[point] - left_y,
    )


@inlined_function
def track_stop_sign(
    agent: int,
    map_index: int,
    car: EgoCar,
    roads: Roads,
    tracker: SignTracker,
    settings: StopSignSettings,
) -> bool:
    """Run the reward's tracker for one driver.

    Returns:
        Whether the driver ran a stop sign in this step.
    """
    sign = tracker.target_stop[agent]
    if sign < 0:
        if car.forward_mps >= -settings.max_reverse_mps:
            tracker.target_stop[agent] = find_stop_sign(
                map_index, car, settings.range_m, roads, settings, True
            )
            tracker.stop_completed[agent] = False
        return False
    if has_stopped_at(sign, car, roads.signs, settings):
        tracker.stop_completed[agent] = True
    is_near = is_within(roads.signs, sign, car, settings.range_m)
    ran = False
    if is_near and not tracker.stop_completed[agent] and sign != tracker.last_failed_stop[agent]:
        ran = crosses_sign_line(sign, map_index, car, roads, settings)
    if ran:
        tracker.last_failed_stop[agent] = sign
    if ran or not is_near:
        tracker.target_stop[agent] = -1
    return ran


@inlined_function
def track_shown_stop_sign(
    agent: int,
    map_index: int,
    car: EgoCar,
    roads: Roads,
    approached_stop: IntArray,
    shown_stop: IntArray,
    settings: StopSignSettings,
    as_carla: bool,
) -> None:
    """Run an observation's tracker for one driver.

    A sign vanishes once the ego has stopped at it, and is forgotten as soon as the lane ahead
    enters its box no more, so that it hides no other.
    """
    sign = approached_stop[agent]
    if sign >= 0:
        point = nearest_lane_point(
            roads.grid, roads.points, roads.lanes, map_index, car.x, car.y, car.z, _DRIVING
        )
        range_m = settings.shown_range_m
        if point < 0 or not leads_to_sign(point, sign, car, range_m, roads, settings, as_carla):
            sign = -1
            approached_stop[agent] = shown_stop[agent] = -1
    if sign < 0:
        sign = find_stop_sign(map_index, car, settings.shown_range_m, roads, settings, as_carla)
        approached_stop[agent] = shown_stop[agent] = sign
    if sign >= 0 and has_stopped_at(sign, car, roads.signs, settings):
        shown_stop[agent] = -1


@range_kernel
def detect_stop_sign_events_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    tracker: SignTracker,
    settings: StopSignSettings,
    facts: InfractionFacts,
) -> None:
    """Run all trackers for drivers first to last - 1."""
    for agent in range(first, last):
        car = ego_car(agent, scene.motion, scene.traits, scene.ego)
        map_index = int(scene.clocks.map_index[car.world])
        facts.ran_stop_sign[agent] = track_stop_sign(
            agent, map_index, car, roads, tracker, settings
        )
        approached, shown = tracker.approached_stop, tracker.shown_stop
        track_shown_stop_sign(agent, map_index, car, roads, approached, shown, settings, True)
        approached, shown = tracker.vector_approached_stop, tracker.vector_shown_stop
        track_shown_stop_sign(agent, map_index, car, roads, approached, shown, settings, False)
