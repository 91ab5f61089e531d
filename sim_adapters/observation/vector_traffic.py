"""Blocks of the vector observation about other actors: who is ahead on the path, who is near."""

from __future__ import annotations

import math

from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.observation.route_window import project_on_window
from sim_adapters.observation.vector_ego import SPEED_SCALE_MPS, put
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    EgoState,
)

SIGHT_M = 80.0
FORWARD_SCALE_M = 50.0
LEFT_SCALE_M = 20.0
PATH_OFFSET_SCALE_M = 5.0
HALF_LENGTH_SCALE_M = 4.0
HALF_WIDTH_SCALE_M = 1.5
HEADWAY_SCALE_S = 5.0
_SAME_LEVEL_M = 3.5
_BEHIND_PENALTY_M = 15.0  # an actor behind counts as this much further away
_PATH_MARGIN_M = 0.35  # beside both half widths, still on the path
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
_DEBRIS = int(ActorKind.DEBRIS)

LEAD_FEATURES = ("lead_found", "lead_gap", "lead_speed", "lead_closing", "lead_headway")
ACTOR_FEATURES = (
    "present",
    "forward",
    "left",
    "forward_speed",
    "left_speed",
    "sin",
    "cos",
    "half_length",
    "half_width",
    "is_vehicle",
    "is_pedestrian",
    "path_gap",
    "path_offset",
    "path_speed",
    "path_cross_speed",
)


@device_function
def find_near_actors(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    slots: NDArray,
    ranks: NDArray,
) -> int:
    """Slots in sight, sorted by distance (those behind later); returns how many are filled.

    `slots` and `ranks` are scratch rows as long as the most actors to consider.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    ego_x, ego_y, ego_z = motion.x[world, own], motion.y[world, own], motion.z[world, own]
    cos, sin = math.cos(motion.yaw_rad[world, own]), math.sin(motion.yaw_rad[world, own])
    count, capacity = 0, slots.shape[0]
    for slot in range(traits.valid.shape[1]):
        if not traits.valid[world, slot] or slot == own or traits.kind[world, slot] == _DEBRIS:
            continue
        dx, dy = motion.x[world, slot] - ego_x, motion.y[world, slot] - ego_y
        squared = dx * dx + dy * dy
        if squared > SIGHT_M * SIGHT_M or abs(motion.z[world, slot] - ego_z) > _SAME_LEVEL_M:
            continue
        rank = math.sqrt(squared)
        if cos * dx + sin * dy < 0.0:
            rank += _BEHIND_PENALTY_M
        if count == capacity and rank >= ranks[count - 1]:
            continue
        place = count if count < capacity else capacity - 1
        while place > 0 and ranks[place - 1] > rank:
            slots[place], ranks[place] = slots[place - 1], ranks[place - 1]
            place -= 1
        slots[place], ranks[place] = slot, rank
        count = min(count + 1, capacity)
    return count


@device_function
def _write_actor(
    driver: int,
    slot: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    path: tuple[float, float, float, float],
    row: NDArray,
    k: int,
) -> int:
    """ACTOR_FEATURES; `path` is (gap, offset, speed along, speed across), left is positive."""
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = (
        motion.x[world, slot] - motion.x[world, own],
        motion.y[world, slot] - motion.y[world, own],
    )
    vx = motion.vx_mps[world, slot] - motion.vx_mps[world, own]
    vy = motion.vy_mps[world, slot] - motion.vy_mps[world, own]
    angle = motion.yaw_rad[world, slot] - yaw
    kind = traits.kind[world, slot]
    k = put(row, k, 1.0)
    k = put(row, k, (cos * dx + sin * dy) / FORWARD_SCALE_M)
    k = put(row, k, (cos * dy - sin * dx) / LEFT_SCALE_M)
    k = put(row, k, (cos * vx + sin * vy) / SPEED_SCALE_MPS)
    k = put(row, k, (cos * vy - sin * vx) / SPEED_SCALE_MPS)
    k = put(row, k, math.sin(angle))
    k = put(row, k, math.cos(angle))
    k = put(row, k, traits.half_length_m[world, slot] / HALF_LENGTH_SCALE_M)
    k = put(row, k, traits.half_width_m[world, slot] / HALF_WIDTH_SCALE_M)
    k = put(row, k, 1.0 if kind <= LAST_VEHICLE_KIND else 0.0)
    k = put(row, k, 1.0 if kind == _PEDESTRIAN else 0.0)
    k = put(row, k, path[0] / FORWARD_SCALE_M)
    k = put(row, k, path[1] / PATH_OFFSET_SCALE_M)
    k = put(row, k, path[2] / SPEED_SCALE_MPS)
    return put(row, k, path[3] / SPEED_SCALE_MPS)


@device_function
def write_traffic(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    window: NDArray,
    count: int,
    ego_s: float,
    slots: NDArray,
    ranks: NDArray,
    num_written: int,
    row: NDArray,
    k: int,
) -> int:
    """LEAD_FEATURES, then ACTOR_FEATURES of the nearest actors, zeros where there is none.

    `path_gap` is bumper to bumper along the route, negative for those beside or behind. The lead
    is the nearest actor ahead whose box, seen along the route, touches the ego's swept width.
    """
    num_near = find_near_actors(driver, motion, traits, ego, slots, ranks)
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    front, half_width = traits.half_length_m[world, own], traits.half_width_m[world, own]
    ego_speed = cos * motion.vx_mps[world, own] + sin * motion.vy_mps[world, own]
    lead_gap, lead_speed = math.inf, 0.0
    at = k + 5
    for place in range(num_near):
        slot = int(slots[place])
        dx = motion.x[world, slot] - motion.x[world, own]
        dy = motion.y[world, slot] - motion.y[world, own]
        s, offset, nearest = project_on_window(
            window, count, cos * dx + sin * dy, cos * dy - sin * dx
        )
        tangent = yaw + window[nearest, 3]
        along_x, along_y = math.cos(tangent), math.sin(tangent)
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        speed, cross_speed = along_x * vx + along_y * vy, along_x * vy - along_y * vx
        angle = motion.yaw_rad[world, slot] - tangent
        c, t = abs(math.cos(angle)), abs(math.sin(angle))
        length, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
        gap = s - ego_s - front - (c * length + t * width)
        reach = half_width + _PATH_MARGIN_M + t * length + c * width
        if s > ego_s and abs(offset) < reach and gap < lead_gap:
            lead_gap, lead_speed = gap, speed
        if place < num_written:
            path = (gap, offset, speed, cross_speed)
            at = _write_actor(driver, slot, motion, traits, ego, path, row, at)
    row[at : k + 5 + 15 * num_written] = 0.0
    if lead_gap < math.inf:
        put(row, k, 1.0)
        put(row, k + 1, lead_gap / FORWARD_SCALE_M)
        put(row, k + 2, lead_speed / SPEED_SCALE_MPS)
        put(row, k + 3, (ego_speed - lead_speed) / SPEED_SCALE_MPS)
        put(row, k + 4, max(lead_gap, 0.0) / max(ego_speed, 1.0) / HEADWAY_SCALE_S)
    else:  # a free road reads like a lead at the end of sight that drives as fast
        row[k], row[k + 1], row[k + 2], row[k + 3] = 0.0, SIGHT_M / FORWARD_SCALE_M, 1.0, 0.0
        row[k + 4] = 2.0
    return k + 5 + 15 * num_written
