"""How many vehicles a world has and where: all over the town, or kept up around the ego."""

from __future__ import annotations

import math

from numba import njit

from sim_adapters.scene.map_bank import LaneGrid, LaneLinks, LanePoints, Lanes
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic_body import remove_vehicle
from sim_adapters.world.traffic_map import TrafficMap
from sim_adapters.world.traffic_settings import STUCK_S, TrafficSettings
from sim_adapters.world.traffic_spawn import draw_point_around, draw_town_point, try_spawn_at
from sim_adapters.world.traffic_state import Drivers, Overrides, Places, Progress, Tally

EGO_SLOT = 0
RESET_NEAREST_M = 8.0  # to the ego, for vehicles that are there from the start
_RESET_ATTEMPTS = 30  # draws per wanted vehicle at a reset
_STEP_ATTEMPTS = 2  # draws of a new vehicle per step
_FIRST_STEP_DRAW = 100_000  # draws of steps come after all of a reset


@njit(cache=True)
def free_slot(traits: ActorTraits, world: int, first: int, last: int) -> int:
    """The first empty slot of [first, last), or -1."""
    for slot in range(first, last):
        if not traits.valid[world, slot]:
            return slot
    return -1


@njit(cache=True)
def keep_up_around_ego(
    world: int,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    motion: ActorMotion,
    traits: ActorTraits,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
    attempts: int,
    first_attempt: int,
    nearest_m: float,
) -> None:
    """Remove who is far from the ego or stuck, and let new vehicles appear around it."""
    first, last = layout.first_vehicle, layout.first_pedestrian
    x, y = motion.x[world, EGO_SLOT], motion.y[world, EGO_SLOT]
    count = 0
    for slot in range(first, last):
        if not traits.valid[world, slot]:
            continue
        away = math.hypot(motion.x[world, slot] - x, motion.y[world, slot] - y)
        stuck = progress.standing_s[world, slot] > STUCK_S and away > settings.out_of_view_m
        scripted = overrides.keeps_path[world, slot]
        if (away > settings.despawn_m or stuck) and not scripted:
            tally.removed_stuck[world] += stuck
            remove_vehicle(motion, traits, world, slot)
        elif away < settings.radius_m:
            count += 1
    map_index, seed = clocks.map_index[world], clocks.seed[world]
    for attempt in range(first_attempt, first_attempt + attempts):
        free = free_slot(traits, world, first, last)
        if count >= settings.num_vehicles or free < 0:
            return
        point = draw_point_around(
            grid, points, lanes, map_index, x, y, motion.z[world, EGO_SLOT],
            nearest_m, settings.radius_m, seed, attempt,
        )  # fmt: skip
        if point >= 0 and try_spawn_at(
            points, lanes, links, table, motion, traits, places, drivers, progress, overrides,
            settings, world, free, point, seed,
        ):  # fmt: skip
            count += 1


@njit(cache=True)
def fill_town(
    world: int,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    motion: ActorMotion,
    traits: ActorTraits,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> None:
    """Spread the wanted number of vehicles over the whole town."""
    map_index, seed = clocks.map_index[world], clocks.seed[world]
    slot = layout.first_vehicle
    last = min(layout.first_pedestrian, slot + settings.num_vehicles)
    for attempt in range(_RESET_ATTEMPTS * settings.num_vehicles):
        if slot >= last:
            return
        point = draw_town_point(table, map_index, seed, attempt)
        if point >= 0 and try_spawn_at(
            points, lanes, links, table, motion, traits, places, drivers, progress, overrides,
            settings, world, slot, point, seed,
        ):  # fmt: skip
            slot += 1


@njit(cache=True, nogil=True)
def populate_range(
    first_world: int,
    last_world: int,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    motion: ActorMotion,
    traits: ActorTraits,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
    dt: float,
    is_reset: bool,
) -> None:
    """Let vehicles appear and vanish; at a reset all at once, in empty worlds."""
    for world in range(first_world, last_world):
        if settings.around_ego:
            tick = round(clocks.elapsed_s[world] / dt)
            attempts = _RESET_ATTEMPTS * settings.num_vehicles if is_reset else _STEP_ATTEMPTS
            draw = 0 if is_reset else (tick + _FIRST_STEP_DRAW) * _STEP_ATTEMPTS
            nearest = RESET_NEAREST_M if is_reset else settings.out_of_view_m
            keep_up_around_ego(
                world, grid, points, lanes, links, motion, traits, clocks, places, drivers,
                progress, overrides, tally, table, settings, layout, attempts, draw, nearest,
            )  # fmt: skip
        elif is_reset:
            fill_town(
                world, points, lanes, links, motion, traits, clocks, places, drivers, progress,
                overrides, table, settings, layout,
            )  # fmt: skip
