"""Blocks of the vector observation about other actors: who is ahead on the path, who matters."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.observation.actor_choice import ActorSlots, distance_m
from sim_adapters.observation.conflicts import (
    CONFLICT_FEATURES,
    NUM_CONFLICT_FEATURES,
    NUM_MARGINS,
    write_conflict,
)
from sim_adapters.observation.route_window import (
    INSTANT_S,
    NUM_INSTANTS,
    EgoRoute,
    project_on_window,
)
from sim_adapters.observation.vector_road import SPEED_SCALE_MPS, put
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    EgoState,
)

FORWARD_SCALE_M = 50.0
LEFT_SCALE_M = 20.0
PATH_OFFSET_SCALE_M = 5.0
HALF_LENGTH_SCALE_M = 4.0
HALF_WIDTH_SCALE_M = 1.5
HEADWAY_SCALE_S = 5.0
APPROACH_SCALE_M = 10.0

_PATH_MARGIN_M = 0.35  # beside both half widths, still on the path
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)

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
NUM_ACTOR_FEATURES = len(ACTOR_FEATURES)
# Order "approach" has slots by kind: how near it comes at present speeds, and when, instead
_BY_APPROACH = {"is_vehicle": "approach_distance", "is_pedestrian": "approach_time"}


def actor_features(wanted: ActorSlots) -> tuple[str, ...]:
    """Names of what is said about an actor."""
    if not wanted.by_approach:
        return ACTOR_FEATURES
    names = tuple(_BY_APPROACH.get(name, name) for name in ACTOR_FEATURES)
    return names + CONFLICT_FEATURES if wanted.conflicts else names


class _AlongRoute(NamedTuple):
    """Where another actor is on the ego's route, and how fast."""

    s_m: float  # in the route's window
    gap_m: float  # bumper to bumper, negative beside or behind the ego
    offset_m: float  # left is positive
    reach_m: float  # the offset from which on its box and the ego's pass each other
    speed_mps: float
    cross_speed_mps: float  # to the left


_CLEAR = CONFLICT_FEATURES.index("conflict_clear")
_CLEAR_NOW = CONFLICT_FEATURES.index("conflict_clear_now")


@device_function
def _along_route(
    world: int, own: int, slot: int, motion: ActorMotion, traits: ActorTraits, path: EgoRoute
) -> _AlongRoute:
    """An actor seen along the ego's route, at the route's point nearest to it."""
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx = motion.x[world, slot] - motion.x[world, own]
    dy = motion.y[world, slot] - motion.y[world, own]
    x, y = cos * dx + sin * dy, cos * dy - sin * dx
    s, offset, nearest = project_on_window(path.window, path.count, x, y)
    tangent = yaw + path.window[nearest, 3]
    along_x, along_y = math.cos(tangent), math.sin(tangent)
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    angle = motion.yaw_rad[world, slot] - tangent
    c, t = abs(math.cos(angle)), abs(math.sin(angle))
    length, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
    return _AlongRoute(
        s,
        s - path.ego_s - traits.half_length_m[world, own] - (c * length + t * width),
        offset,
        traits.half_width_m[world, own] + _PATH_MARGIN_M + t * length + c * width,
        along_x * vx + along_y * vy,
        along_x * vy - along_y * vx,
    )


@device_function
def _write_actor(
    driver: int,
    slot: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    along: _AlongRoute,
    by_approach: bool,
    places: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """ACTOR_FEATURES of one actor."""
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx = motion.x[world, slot] - motion.x[world, own]
    dy = motion.y[world, slot] - motion.y[world, own]
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
    if by_approach:
        vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        forward, left = cos * vx + sin * vy, cos * vy - sin * vx
        nearest, when = math.inf, 0.0
        for instant in range(NUM_INSTANTS):
            time_s = INSTANT_S * instant
            distance = distance_m(places, 1, instant, x + forward * time_s, y + left * time_s)
            if distance < nearest:
                nearest, when = distance, time_s
        k = put(row, k, nearest / APPROACH_SCALE_M)
        k = put(row, k, when / (INSTANT_S * (NUM_INSTANTS - 1)))
    else:
        k = put(row, k, 1.0 if kind <= LAST_VEHICLE_KIND else 0.0)
        k = put(row, k, 1.0 if kind == _PEDESTRIAN else 0.0)
    k = put(row, k, along.gap_m / FORWARD_SCALE_M)
    k = put(row, k, along.offset_m / PATH_OFFSET_SCALE_M)
    k = put(row, k, along.speed_mps / SPEED_SCALE_MPS)
    return put(row, k, along.cross_speed_mps / SPEED_SCALE_MPS)


@inlined_function
def _write_lead(
    row: NDArray, k: int, gap_m: float, speed_mps: float, ego_speed_mps: float, sight_m: float
) -> None:
    """LEAD_FEATURES; without a lead, at an infinite gap, there is one at the end of sight."""
    if gap_m < math.inf:
        put(row, k, 1.0)
        put(row, k + 1, gap_m / FORWARD_SCALE_M)
        put(row, k + 2, speed_mps / SPEED_SCALE_MPS)
        put(row, k + 3, (ego_speed_mps - speed_mps) / SPEED_SCALE_MPS)
        put(row, k + 4, max(gap_m, 0.0) / max(ego_speed_mps, 1.0) / HEADWAY_SCALE_S)
    else:  # that drives as fast as the ego
        row[k], row[k + 1], row[k + 2], row[k + 3] = 0.0, sight_m / FORWARD_SCALE_M, 1.0, 0.0
        row[k + 4] = 2.0


@device_function
def write_traffic(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    path: EgoRoute,
    wanted: ActorSlots,
    slots: NDArray,
    places: NDArray,
    row: NDArray,
    k: int,
) -> int:
    """LEAD_FEATURES, then ACTOR_FEATURES of the actors found, zeros where there is none.

    With conflicts, MARGIN_FEATURES stand between them; those of lights are not written here.

    `path_gap` is bumper to bumper along the route, negative for those beside or behind. The lead
    is the nearest actor ahead whose box, seen along the route, touches the ego's swept width.
    """
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    ego_speed = cos * motion.vx_mps[world, own] + sin * motion.vy_mps[world, own]
    num_written = wanted.num_vehicles + wanted.num_pedestrians + wanted.num_statics
    size = NUM_ACTOR_FEATURES + (NUM_CONFLICT_FEATURES if wanted.conflicts else 0)
    lead_gap, lead_speed, clear, clear_now = math.inf, 0.0, math.inf, math.inf
    at = k + len(LEAD_FEATURES) + (NUM_MARGINS if wanted.conflicts else 0)
    for place in range(slots.shape[0]):
        slot = int(slots[place])
        if slot < 0:
            if place < num_written:
                row[at : at + size] = 0.0
                at += size
            continue
        along = _along_route(world, own, slot, motion, traits, path)
        ahead = along.s_m > path.ego_s and abs(along.offset_m) < along.reach_m
        if ahead and along.gap_m < lead_gap:
            lead_gap, lead_speed = along.gap_m, along.speed_mps
        if place < num_written:
            at = _write_actor(
                driver, slot, motion, traits, ego, along, wanted.by_approach, places, row, at
            )
            if wanted.conflicts:
                first, at = at, write_conflict(driver, slot, motion, traits, ego, path, row, at)
                if place < wanted.num_vehicles + wanted.num_pedestrians:
                    clear = min(clear, row[first + _CLEAR])
                    clear_now = min(clear_now, row[first + _CLEAR_NOW])
    _write_lead(row, k, lead_gap, lead_speed, ego_speed, wanted.sight_m)
    if wanted.conflicts:
        last = put(row, k + len(LEAD_FEATURES) + NUM_MARGINS - 2, clear)
        put(row, last, clear_now)
    return at
