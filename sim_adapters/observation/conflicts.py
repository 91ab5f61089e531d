"""Where another actor's way and the ego's meet, who is there first, and by how many seconds.

The other keeps its velocity, the ego its route. A place of the route belongs to the conflict where
the ego's box, standing there along the route, would touch the swath of the other's box; the
conflict is all such places on STRETCH_M from the first: who is merged with or follows sees the ego
from then on and brakes. A car that crosses makes a short one. What counts are the times at which
either could be there: the post-encroachment time of conflict studies (Allen, Shin and Cooper 1978),
before the encounter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.observation.route_window import CREEP_MPS, REACH_M, EgoRoute, brisk_s
from sim_adapters.observation.vector_road import DISTANCE_SCALE_M, put
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState, Lights, LightState

CONFLICT_FEATURES = (
    "conflict",  # 1 where the ways meet; else the rest reads as of a conflict far away
    "conflict_gap",  # the ego's way to its beginning
    "conflict_enters",  # seconds until the other touches it
    "conflict_leaves",  # and until it has left it
    "conflict_ahead",  # by how many seconds the ego is ahead of it everywhere, at full throttle
    "conflict_ahead_now",  # the same at the present speed
    "conflict_behind_now",  # by how many seconds the ego is behind it everywhere, likewise
    "conflict_behind",  # and at full throttle
    "conflict_clear",  # the larger of ahead and behind: what going now leaves between them
    "conflict_clear_now",  # and what driving on leaves
    "conflict_near",  # that way again, in metres: who waits stands short of it
)
MARGIN_FEATURES = (
    "light_clears",  # by how many seconds the ego's rear has passed before red, at full throttle
    "light_clears_now",  # the same at the present speed
    "light_stops",  # what is left to the line after full braking
    "clear",  # the least conflict_clear of vehicles and pedestrians
    "clear_now",  # and the least conflict_clear_now
)
NUM_MARGINS = len(MARGIN_FEATURES)
NUM_CONFLICT_FEATURES = len(CONFLICT_FEATURES)
TIME_SCALE_S = 5.0
NEAR_SCALE_M = 2.0
MARGIN_SCALE_S = 2.5

_BESIDE_M = 0.3  # that boxes may pass each other at
STRETCH_M = 20.0
_LATEST_S = 20.0
_BRAKING_MPS2 = 8.0
STOPPING_SCALE_M = 10.0
_YELLOW_S = 3.0  # between green and red
_BEHIND_REAR_M = 1.0  # the leaderboard looks that far behind the rear for a line
_RED, _GREEN, _OFF = int(LightState.RED), int(LightState.GREEN), int(LightState.OFF)


class _Other(NamedTuple):
    """Another actor in the ego's frame: the line that it moves along, and its half sizes."""

    x: float
    y: float
    cos: float
    sin: float
    speed_mps: float
    half_length_m: float
    half_width_m: float


@device_function
def _other_of(world: int, own: int, slot: int, motion: ActorMotion, traits: ActorTraits) -> _Other:
    """The line of its velocity; who all but stands is taken to creep where it looks."""
    yaw = motion.yaw_rad[world, own]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx = motion.x[world, slot] - motion.x[world, own]
    dy = motion.y[world, slot] - motion.y[world, own]
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    speed = math.hypot(vx, vy)
    if speed > CREEP_MPS:
        along, left = (cos * vx + sin * vy) / speed, (cos * vy - sin * vx) / speed
    else:
        angle = motion.yaw_rad[world, slot] - yaw
        along, left, speed = math.cos(angle), math.sin(angle), CREEP_MPS
    # A body that moves sideways is as long across its way as it is wide, and the other way round
    turn = motion.yaw_rad[world, slot] - yaw - math.atan2(left, along)
    c, t = abs(math.cos(turn)), abs(math.sin(turn))
    length, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
    return _Other(
        cos * dx + sin * dy, cos * dy - sin * dx, along, left, speed,
        c * length + t * width, t * length + c * width,
    )  # fmt: skip


class WayConflict(NamedTuple):
    """Where and when the ways of the ego and one other meet; +-inf without one."""

    found: bool
    gap_m: float  # the ego's way to its beginning
    enters_s: float  # until the other touches it; negative if it does
    leaves_s: float
    ahead_s: float  # the least by which the ego is ahead of it, at full throttle
    ahead_now_s: float  # and at the present speed
    behind_s: float
    behind_now_s: float


@device_function
def conflict_of(
    driver: int, slot: int, motion: ActorMotion, traits: ActorTraits, ego: EgoState, path: EgoRoute
) -> WayConflict:
    """The conflict of a driver with the actor in a slot of its world; `path` has its timetable."""
    world, own, table = int(ego.world[driver]), int(ego.slot[driver]), path.table
    other = _other_of(world, own, slot, motion, traits)
    length, width = traits.half_length_m[world, own], traits.half_width_m[world, own]
    found, first_m, last_m, last_room_m = False, math.inf, 0.0, 0.0
    enters, leaves = math.inf, -math.inf
    ahead, ahead_now, behind, behind_now = math.inf, math.inf, math.inf, math.inf
    for point in range(max(path.ego_row - 1, 0), path.count):
        ahead_m = path.window[point, 2] - path.ego_s
        if ahead_m > REACH_M or (found and ahead_m > first_m + STRETCH_M):
            break
        dx, dy = path.window[point, 0] - other.x, path.window[point, 1] - other.y
        along, across = other.cos * dx + other.sin * dy, other.cos * dy - other.sin * dx
        # The ego's box at this point, seen along and across the other's way
        c = abs(other.cos * table.cos[point] + other.sin * table.sin[point])
        t = abs(other.cos * table.sin[point] - other.sin * table.cos[point])
        reach = c * length + t * width + other.half_length_m
        room_m = abs(across) - (t * length + c * width + other.half_width_m + _BESIDE_M)
        if room_m > 0.0 or along + reach < 0.0 or point < path.ego_row:
            last_m, last_room_m = ahead_m, room_m
            continue
        if not found:
            found, first_m = True, ahead_m
            if last_room_m > 0.0:  # between the points: a waiting car's nose is told to centimetres
                first_m -= (ahead_m - last_m) * room_m / (room_m - last_room_m)
            first_m = max(first_m, 0.0)
        enter, leave = (along - reach) / other.speed_mps, (along + reach) / other.speed_mps
        enters, leaves = min(enters, enter), max(leaves, leave)
        brisk_s, now_s = table.brisk_s[point], table.now_s[point]
        ahead, ahead_now = min(ahead, enter - brisk_s), min(ahead_now, enter - now_s)
        behind, behind_now = min(behind, brisk_s - leave), min(behind_now, now_s - leave)
    return WayConflict(found, first_m, enters, leaves, ahead, ahead_now, behind, behind_now)


@device_function
def write_conflict(
    driver: int,
    slot: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    path: EgoRoute,
    row: NDArray,
    k: int,
) -> int:
    """CONFLICT_FEATURES of one actor, from index `k` of `row`; the index behind them."""
    it = conflict_of(driver, slot, motion, traits, ego, path)
    enters, leaves = (it.enters_s, it.leaves_s) if it.found else (_LATEST_S, _LATEST_S)
    k = put(row, k, 1.0 if it.found else 0.0)
    k = put(row, k, min(it.gap_m, 2.0 * DISTANCE_SCALE_M) / DISTANCE_SCALE_M)
    k = put(row, k, max(enters, 0.0) / TIME_SCALE_S)
    k = put(row, k, leaves / TIME_SCALE_S)
    k = put(row, k, it.ahead_s / MARGIN_SCALE_S)
    k = put(row, k, it.ahead_now_s / MARGIN_SCALE_S)
    k = put(row, k, it.behind_now_s / MARGIN_SCALE_S)
    k = put(row, k, it.behind_s / MARGIN_SCALE_S)
    k = put(row, k, max(it.ahead_s, it.behind_s) / MARGIN_SCALE_S)
    k = put(row, k, max(it.ahead_now_s, it.behind_now_s) / MARGIN_SCALE_S)
    return put(row, k, it.gap_m / NEAR_SCALE_M)


@device_function
def write_light_margins(
    world: int,
    light: int,
    distance_m: float,
    lights: Lights,
    speed_mps: float,
    half_length_m: float,
    row: NDArray,
    k: int,
) -> int:
    """MARGIN_FEATURES of the next light on the route, `distance_m` ahead; -1 is none."""
    if light < 0 or lights.state[world, light] == _OFF:
        k = put(row, k, math.inf)
        k = put(row, k, math.inf)
        return put(row, k, math.inf)
    state, speed = lights.state[world, light], max(speed_mps, 0.0)
    red_s = 0.0 if state == _RED else max(lights.remaining_s[world, light], 0.0)
    if state == _GREEN:
        red_s += _YELLOW_S
    rear_m = max(distance_m + half_length_m + _BEHIND_REAR_M, 0.0)
    k = put(row, k, (red_s - brisk_s(rear_m, speed)) / MARGIN_SCALE_S)
    k = put(row, k, (red_s - rear_m / max(speed, CREEP_MPS)) / MARGIN_SCALE_S)
    room_m = distance_m - half_length_m - speed * speed / (2.0 * _BRAKING_MPS2)
    return put(row, k, room_m / STOPPING_SCALE_M)
