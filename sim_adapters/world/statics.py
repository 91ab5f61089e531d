"""Parked cars and street furniture around the ego.

Every place beside the road where something may stand is known from the map; whether and what stands
there follows from the world's seed and the place alone, so it is still there when the ego returns.
As in the leaderboard, where parked cars are static meshes, they are STATIC and not vehicles.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.handles import WorldScene
from sim_adapters.world.slots import SlotRange, clear_slot, new_actor_id
from sim_adapters.world.vehicle_catalogue import (
    FIRST_VEHICLE_OF_KIND,
    PROP_HALF_HEIGHT_M,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    PROP_NAMES,
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
)

PARKING_SPACING_M = 6.5
FURNITURE_SPACING_M = 23.0
LANE_END_MARGIN_M = 4.0
MIN_PARKING_WIDTH_M = 2.0
MIN_SHOULDER_WIDTH_M = 2.4  # narrower ones leave no room to park
MAX_SHOULDER_LIMIT_MPS = 51.0 / 3.6  # nobody parks beside fast roads
LOOK_EVERY_TICKS = 5
_FURNITURE = np.array([PROP_NAMES.index("bin"), PROP_NAMES.index("vendingmachine")])
_FIRST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR])
_LAST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR + 1])
_STATIC = int(ActorKind.STATIC)
_DRAW_SHARE, _DRAW_BODY = 2301, 2302


class StaticSettings(NamedTuple):
    """How much stands beside the road."""

    parked_share: float = 0.25  # of the places where a car may park
    furniture_share: float = 0.2  # of the places on sidewalks
    radius_m: float = 60.0
    despawn_m: float = 80.0


class StandingPlaces(NamedTuple):
    """Places of all maps where something may stand, (N,)."""

    first: NDArray[np.int32]  # (M + 1,) CSR per map
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    width_m: NDArray[np.float64]
    is_parking: NDArray[np.bool_]  # else furniture on a sidewalk


class StandingThings(NamedTuple):
    """Which place each static slot shows, (B, A); -1 none."""

    place: NDArray[np.int32]
    generation: NDArray[np.int32]  # how many things this slot has held


def empty_standing_things(num_worlds: int, num_slots: int) -> StandingThings:
    """Nothing stands anywhere."""
    actors = (num_worlds, num_slots)
    return StandingThings(np.full(actors, -1, np.int32), np.zeros(actors, np.int32))


def build_standing_places(maps: MapBank) -> StandingPlaces:
    """Parking places on parking lanes and wide shoulders, furniture on the edge of sidewalks."""
    rows: list[tuple[float, float, float, float, float, bool]] = []
    counts = []
    for index in range(len(maps.towns)):
        before = len(rows)
        for lane in range(maps.ranges.lane[index], maps.ranges.lane[index + 1]):
            rows.extend(_places_on_lane(maps, index, lane))
        counts.append(len(rows) - before)
    table = np.array(rows, np.float64).reshape(-1, 6)
    return StandingPlaces(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        *(np.ascontiguousarray(table[:, column]) for column in range(5)),
        is_parking=table[:, 5] > 0.0,
    )


def _places_on_lane(
    maps: MapBank, index: int, lane: int
) -> list[tuple[float, float, float, float, float, bool]]:
    """Places along one lane: (x, y, z, yaw, width, is for parking)."""
    points, kind = maps.points, maps.lanes.kind[lane]
    first, last = maps.lanes.first_point[lane], maps.lanes.first_point[lane + 1]
    if maps.lanes.junction[lane] >= 0 or kind in (LaneKind.DRIVING, LaneKind.BIKING):
        return []
    is_parking = kind != LaneKind.SIDEWALK
    spacing_m = PARKING_SPACING_M if is_parking else FURNITURE_SPACING_M
    s_m = points.s_m[first:last]
    places = []
    for at in np.arange(LANE_END_MARGIN_M, s_m[-1] - LANE_END_MARGIN_M, spacing_m):
        row = first + int(np.searchsorted(s_m, at))
        width = float(points.width_m[row])
        if kind == LaneKind.PARKING and width < MIN_PARKING_WIDTH_M:
            continue
        is_fast = points.speed_limit_mps[row] > MAX_SHOULDER_LIMIT_MPS
        if kind == LaneKind.SHOULDER and (width < MIN_SHOULDER_WIDTH_M or is_fast):
            continue
        yaw = float(points.yaw_rad[row])
        # Furniture stands at the edge away from the road and keeps the middle free
        left = 0.0 if is_parking else -0.45 * width
        x = float(points.x[row]) - left * math.sin(yaw)
        y = float(points.y[row]) + left * math.cos(yaw)
        if not (is_parking and _reaches_driving_lane(maps, index, x, y, yaw)):
            places.append((x, y, float(points.z[row]), yaw, width, is_parking))
    return places


def _reaches_driving_lane(maps: MapBank, index: int, x: float, y: float, yaw: float) -> bool:
    """Whether a car parked here would stand in a driving lane (roads overlap at forks)."""
    layers = maps.layers
    ppm = float(layers.pixels_per_meter[index])
    for along in (-2.5, 0.0, 2.5):
        for left in (-0.8, 0.0, 0.8):
            at_x = x + along * math.cos(yaw) - left * math.sin(yaw)
            at_y = y + along * math.sin(yaw) + left * math.cos(yaw)
            column = round((at_x - float(layers.origin_x[index])) * ppm)
            row = round((at_y - float(layers.origin_y[index])) * ppm)
            if layer_pixel(layers, index, column, row) & LayerBit.DRIVING:
                return True
    return False


@device_function
def _fill(
    motion: ActorMotion,
    traits: ActorTraits,
    things: StandingThings,
    places: StandingPlaces,
    world: int,
    slot: int,
    place: int,
    local: int,
    seed: np.uint64,
) -> None:
    """Show what stands at a place; a car too wide for it is left out."""
    draw = uniform(seed, local, 0, _DRAW_BODY)
    if places.is_parking[place]:
        body = _FIRST_CAR + int(draw * (_LAST_CAR - _FIRST_CAR))
        half_length = float(VEHICLE_HALF_LENGTH_M[body])
        half_width = float(VEHICLE_HALF_WIDTH_M[body])
        half_height = float(VEHICLE_HALF_HEIGHT_M[body])
        if 2.0 * half_width > places.width_m[place]:
            return
    else:
        prop = _FURNITURE[int(draw * _FURNITURE.shape[0])]
        half_length = float(PROP_HALF_LENGTH_M[prop])
        half_width = float(PROP_HALF_WIDTH_M[prop])
        half_height = float(PROP_HALF_HEIGHT_M[prop])
    things.place[world, slot] = place
    things.generation[world, slot] += 1
    traits.valid[world, slot] = True
    traits.kind[world, slot] = _STATIC
    traits.half_length_m[world, slot] = half_length
    traits.half_width_m[world, slot] = half_width
    traits.half_height_m[world, slot] = half_height
    generation = things.generation[world, slot]
    traits.actor_id[world, slot] = new_actor_id(generation, slot, traits.valid.shape[1])
    motion.x[world, slot], motion.y[world, slot] = places.x[place], places.y[place]
    motion.z[world, slot], motion.yaw_rad[world, slot] = places.z[place], places.yaw_rad[place]


@device_function
def look_around(
    scene: WorldScene,
    things: StandingThings,
    places: StandingPlaces,
    settings: StaticSettings,
    slots: SlotRange,
    world: int,
) -> None:
    """Take away what is far from the ego and show what has come near."""
    motion, traits, clocks = scene.motion, scene.traits, scene.clocks
    x, y = motion.x[world, 0], motion.y[world, 0]
    free = -1
    for slot in range(slots.first, slots.last):
        if traits.valid[world, slot]:
            away = math.hypot(motion.x[world, slot] - x, motion.y[world, slot] - y)
            if away > settings.despawn_m:
                clear_slot(motion, traits, world, slot)
        if not traits.valid[world, slot]:
            things.place[world, slot] = -1
            free = slot
    map_index, seed = clocks.map_index[world], clocks.seed[world]
    first, last = int(places.first[map_index]), int(places.first[map_index + 1])
    for place in range(first, last):
        if free < 0:
            return
        dx, dy = places.x[place] - x, places.y[place] - y
        if dx * dx + dy * dy > settings.radius_m * settings.radius_m:
            continue
        share = settings.parked_share if places.is_parking[place] else settings.furniture_share
        if uniform(seed, place - first, 0, _DRAW_SHARE) >= share:
            continue
        is_shown = False
        for slot in range(slots.first, slots.last):
            is_shown = is_shown or things.place[world, slot] == place
        if is_shown:
            continue
        _fill(motion, traits, things, places, world, free, place, place - first, seed)
        free = -1
        for slot in range(slots.first, slots.last):
            if not traits.valid[world, slot]:
                free = slot


@range_kernel
def reset_statics_range(
    first: int,
    last: int,
    scene: WorldScene,
    things: StandingThings,
    places: StandingPlaces,
    settings: StaticSettings,
    slots: SlotRange,
) -> None:
    """Show what stands around the ego of worlds `first` to `last`; the ego must be in place."""
    for world in range(first, last):
        for slot in range(slots.first, slots.last):
            clear_slot(scene.motion, scene.traits, world, slot)
            things.generation[world, slot] = 0
        look_around(scene, things, places, settings, slots, world)


@range_kernel
def step_statics_range(
    first: int,
    last: int,
    scene: WorldScene,
    things: StandingThings,
    places: StandingPlaces,
    settings: StaticSettings,
    slots: SlotRange,
    dt: float,
) -> None:
    """Look around every few steps: things beside the road do not move."""
    for world in range(first, last):
        if round(scene.clocks.elapsed_s[world] / dt) % LOOK_EVERY_TICKS == 0:
            look_around(scene, things, places, settings, slots, world)
