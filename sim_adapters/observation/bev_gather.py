"""Gathering the rows of `bev_rows` from the scene: actors, route and stop signs."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.observation.bev_rows import ROUTE_IN_JUNCTION, ROUTE_POINT, BevRows
from sim_adapters.observation.light_lines import (
    LightRules,
    LightScratch,
    gather_lights,
)
from sim_adapters.scene.history import SceneHistory, past_pose, past_shown_stop
from sim_adapters.scene.map_bank import Roads, Signs
from sim_adapters.scene.memory import RouteTracker, SignTracker
from sim_adapters.scene.state import (
    ActorKind,
    ActorMotion,
    ActorTraits,
    EgoState,
    Routes,
    SceneArrays,
)

SAME_LEVEL_M = 8.0  # CaRL draws actors up to this much above or below
_DEBRIS = int(ActorKind.DEBRIS)


@device_function
def gather_actors(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    history: SceneHistory,
    range_m: float,
    rows: BevRows,
) -> int:
    """All actors but the ego nearer than `range_m` in 3-D, in slot order; how many there are.

    Returns more than the row's capacity if they did not fit.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    ego_yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(ego_yaw), math.sin(ego_yaw)
    capacity, count = rows.actors.shape[1], 0
    for slot in range(traits.valid.shape[1]):
        kind = traits.kind[world, slot]
        if not traits.valid[world, slot] or slot == own or kind == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y
        dz = motion.z[world, slot] - ego_z
        if abs(dz) >= SAME_LEVEL_M or dx * dx + dy * dy + dz * dz >= range_m * range_m:
            continue
        if count < capacity:
            rows.actors[driver, count, 0] = cos * dx + sin * dy
            rows.actors[driver, count, 1] = cos * dy - sin * dx
            rows.actors[driver, count, 2] = motion.yaw_rad[world, slot] - ego_yaw
            rows.actors[driver, count, 3] = traits.half_length_m[world, slot]
            rows.actors[driver, count, 4] = traits.half_width_m[world, slot]
            rows.actors[driver, count, 5] = math.hypot(
                motion.vx_mps[world, slot], motion.vy_mps[world, slot]
            )
            rows.actor_kinds[driver, count, 0] = kind
            rows.actor_kinds[driver, count, 1] = traits.lights[world, slot]
            for past in range(rows.past_actors.shape[1]):
                x, y, yaw = past_pose(history, past, world, slot, traits.actor_id[world, slot])
                dx, dy = x - ego_x, y - ego_y
                rows.past_actors[driver, past, count, 0] = cos * dx + sin * dy
                rows.past_actors[driver, past, count, 1] = cos * dy - sin * dx
                rows.past_actors[driver, past, count, 2] = yaw - ego_yaw
        count += 1
    for row in range(count, capacity):
        rows.actor_kinds[driver, row, 0] = 0
        rows.actor_kinds[driver, row, 1] = 0
        for field in range(6):
            rows.actors[driver, row, field] = 0.0
        rows.past_actors[driver, :, row, :] = 0.0
    return count


@device_function
def gather_route(
    driver: int,
    motion: ActorMotion,
    ego: EgoState,
    routes: Routes,
    tracker: RouteTracker,
    rows: BevRows,
) -> None:
    """The next route points from the last one passed, with their junction flags."""
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    cos, sin = math.cos(motion.yaw_rad[world, own]), math.sin(motion.yaw_rad[world, own])
    first, end = int(tracker.index[driver]), int(routes.num_points[driver])
    for place in range(rows.route.shape[1]):
        point = first + place
        if point >= end:
            rows.route[driver, place, 0], rows.route[driver, place, 1] = 0.0, 0.0
            rows.route_flags[driver, place] = 0
            continue
        dx = routes.x[driver, point] - motion.x[world, own]
        dy = routes.y[driver, point] - motion.y[world, own]
        rows.route[driver, place, 0] = cos * dx + sin * dy
        rows.route[driver, place, 1] = cos * dy - sin * dx
        inside = routes.in_junction[driver, point]
        rows.route_flags[driver, place] = ROUTE_POINT | (ROUTE_IN_JUNCTION if inside else 0)


@device_function
def _write_stop_sign(
    driver: int,
    moment: int,
    sign: int,
    motion: ActorMotion,
    ego: EgoState,
    signs: Signs,
    rows: BevRows,
) -> None:
    """A sign as the present ego sees it: a square as large as the longer side of its box."""
    if sign < 0:
        for field in range(4):
            rows.stop_sign[driver, moment, field] = 0.0
        return
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = signs.x[sign] - motion.x[world, own], signs.y[sign] - motion.y[world, own]
    rows.stop_sign[driver, moment, 0] = cos * dx + sin * dy
    rows.stop_sign[driver, moment, 1] = cos * dy - sin * dx
    rows.stop_sign[driver, moment, 2] = signs.yaw_rad[sign] - yaw
    rows.stop_sign[driver, moment, 3] = max(signs.half_length_m[sign], signs.half_width_m[sign])


@device_function
def gather_stop_signs(
    driver: int,
    motion: ActorMotion,
    ego: EgoState,
    signs: Signs,
    tracker: SignTracker,
    history: SceneHistory,
    rows: BevRows,
) -> None:
    """The stop sign in force now and those that were in the past, which may be others."""
    _write_stop_sign(driver, 0, int(tracker.shown_stop[driver]), motion, ego, signs, rows)
    for past in range(rows.stop_sign.shape[1] - 1):
        sign = past_shown_stop(history, past, int(ego.world[driver]), driver)
        _write_stop_sign(driver, 1 + past, sign, motion, ego, signs, rows)


class GatherRules(NamedTuple):
    """What is gathered."""

    actor_range_m: float  # actors further away (3-D) are left out
    lights: LightRules


@range_kernel
def gather_range(
    first: int,
    last: int,
    scene: SceneArrays,
    route_tracker: RouteTracker,
    sign_tracker: SignTracker,
    roads: Roads,
    history: SceneHistory,
    rules: GatherRules,
    scratch: LightScratch,
    rows: BevRows,
) -> tuple[int, int]:
    """Rows of the drivers `first` to `last - 1`.

    Returns:
        The most actors and the most light lines any driver had, which may be more than fit.
    """
    motion, traits, ego = scene.motion, scene.traits, scene.ego
    most_actors, most_lines = 0, 0
    for driver in range(first, last):
        world, own = int(ego.world[driver]), int(ego.slot[driver])
        rows.pose[driver, 0], rows.pose[driver, 1] = motion.x[world, own], motion.y[world, own]
        rows.pose[driver, 2], rows.pose[driver, 3] = (
            motion.z[world, own],
            motion.yaw_rad[world, own],
        )
        rows.map_index[driver, 0] = scene.clocks.map_index[world]
        num_actors = gather_actors(driver, motion, traits, ego, history, rules.actor_range_m, rows)
        most_actors = max(most_actors, num_actors)
        gather_route(driver, motion, ego, scene.routes, route_tracker, rows)
        num_lines = gather_lights(
            driver, scene, route_tracker, roads, history, rules.lights, scratch, rows
        )
        most_lines = max(most_lines, num_lines)
        gather_stop_signs(driver, motion, ego, roads.signs, sign_tracker, history, rows)
    return most_actors, most_lines
