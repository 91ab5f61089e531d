"""What pedestrians of the embedded world are: settings, state, body, and place on a lane."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import LanePoints, Lanes
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.slots import new_actor_id
from sim_adapters.world.vehicle_catalogue import (
    WALKER_HALF_HEIGHT_M,
    WALKER_HALF_LENGTH_M,
    WALKER_HALF_WIDTH_M,
    WALKER_SHARE,
)

WALK, WAIT, GO_STRAIGHT = 0, 1, 2  # values of `Walkers.mode`
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
SLOWEST_MPS, FASTEST_MPS = 1.0, 1.8  # CARLA's walking speed is 1.4 m/s
SIDE_OFFSET_SHARE = 0.3  # people keep up to this share of the width off the middle
_DRAW_SPEED, _DRAW_BODY, _DRAW_DIRECTION, _DRAW_OFFSET = 2202, 2203, 2206, 2207


class PedestrianSettings(NamedTuple):
    """How many people walk around the ego."""

    num_pedestrians: int = 6
    radius_m: float = 60.0
    despawn_m: float = 90.0
    out_of_view_m: float = 20.0  # nobody appears nearer to the ego than this after the reset
    crossing_share: float = 0.5  # of the people who come past a crossing


class Walkers(NamedTuple):
    """What people do, (B, A) over all slots of the scene."""

    mode: NDArray[np.uint8]
    lane: NDArray[np.int32]  # sidewalk lane they are on or go to
    s_m: NDArray[np.float64]  # along it
    direction: NDArray[np.int32]  # +1 along the lane's points, -1 back
    offset_m: NDArray[np.float64]  # from its middle, left of the lane's direction
    speed_mps: NDArray[np.float64]
    crossing: NDArray[np.int32]  # waited for or crossed, -1 none
    side: NDArray[np.int32]  # end of the crossing they start from
    waited_s: NDArray[np.float64]
    generation: NDArray[np.int32]  # how many people this slot has held


def empty_walkers(num_worlds: int, num_slots: int) -> Walkers:
    """Nobody."""
    actors = (num_worlds, num_slots)

    def ints() -> NDArray[np.int32]:
        return np.zeros(actors, np.int32)

    def floats() -> NDArray[np.float64]:
        return np.zeros(actors)

    return Walkers(
        np.zeros(actors, np.uint8),
        lane=ints(),
        s_m=floats(),
        direction=ints(),
        offset_m=floats(),
        speed_mps=floats(),
        crossing=ints(),
        side=ints(),
        waited_s=floats(),
        generation=ints(),
    )


@device_function
def lane_place(
    points: LanePoints, lanes: Lanes, lane: int, s_m: float, offset_m: float
) -> tuple[float, float, float, float]:
    """x, y, z and yaw at `s_m` along a lane, `offset_m` to the left of it; points are 1 m apart."""
    first, last = lanes.first_point[lane], lanes.first_point[lane + 1] - 1
    point = min(max(first + int(s_m), first), max(last - 1, first))
    following = min(point + 1, last)
    gap = points.s_m[following] - points.s_m[point]
    fraction = (s_m - points.s_m[point]) / gap if gap > 1e-6 else 0.0
    fraction = min(max(fraction, 0.0), 1.0)
    x = points.x[point] + fraction * (points.x[following] - points.x[point])
    y = points.y[point] + fraction * (points.y[following] - points.y[point])
    z = points.z[point] + fraction * (points.z[following] - points.z[point])
    yaw = points.yaw_rad[point]
    x, y = x - offset_m * math.sin(yaw), y + offset_m * math.cos(yaw)
    return float(x), float(y), float(z), float(yaw)


@device_function
def set_pedestrian_body(
    traits: ActorTraits, world: int, slot: int, body: int, generation: int
) -> None:
    """Make a slot a pedestrian of row `body` of the walker catalogue."""
    traits.valid[world, slot] = True
    traits.kind[world, slot] = _PEDESTRIAN
    traits.half_length_m[world, slot] = WALKER_HALF_LENGTH_M[body]
    traits.half_width_m[world, slot] = WALKER_HALF_WIDTH_M[body]
    traits.half_height_m[world, slot] = WALKER_HALF_HEIGHT_M[body]
    traits.lights[world, slot] = 0
    traits.actor_id[world, slot] = new_actor_id(generation, slot, traits.valid.shape[1])


@device_function
def place_pedestrian(
    points: LanePoints,
    lanes: Lanes,
    motion: ActorMotion,
    traits: ActorTraits,
    walkers: Walkers,
    world: int,
    slot: int,
    seed: np.uint64,
    point: int,
) -> None:
    """Let a new pedestrian walk from a sidewalk point."""
    walkers.generation[world, slot] += 1
    generation = walkers.generation[world, slot]
    share, body = uniform(seed, generation, slot, _DRAW_BODY), 0
    while body < WALKER_SHARE.shape[0] - 1 and share >= WALKER_SHARE[body]:
        share -= WALKER_SHARE[body]
        body += 1
    set_pedestrian_body(traits, world, slot, body, generation)
    lane, s_m = points.lane[point], points.s_m[point]
    side = 2.0 * uniform(seed, generation, slot, _DRAW_OFFSET) - 1.0
    pace = uniform(seed, generation, slot, _DRAW_SPEED)
    direction = 1 if uniform(seed, generation, slot, _DRAW_DIRECTION) < 0.5 else -1
    walkers.mode[world, slot], walkers.crossing[world, slot] = WALK, -1
    walkers.lane[world, slot], walkers.s_m[world, slot] = lane, s_m
    walkers.direction[world, slot] = direction
    walkers.offset_m[world, slot] = side * SIDE_OFFSET_SHARE * points.width_m[point]
    walkers.speed_mps[world, slot] = SLOWEST_MPS + pace * (FASTEST_MPS - SLOWEST_MPS)
    walkers.waited_s[world, slot] = 0.0
    x, y, z, yaw = lane_place(points, lanes, lane, s_m, walkers.offset_m[world, slot])
    motion.x[world, slot], motion.y[world, slot], motion.z[world, slot] = x, y, z
    motion.yaw_rad[world, slot] = yaw if direction > 0 else yaw + math.pi
    motion.vx_mps[world, slot] = motion.vy_mps[world, slot] = 0.0
