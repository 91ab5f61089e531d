"""Background traffic of all worlds: reset and step, from perception to the scene.

A step is: see (lane lists, leaders), decide who may enter junctions, plan every acceleration from
the old state, then move everybody. So the order of slots changes nothing. Calls are made for
ranges of worlds; all members of `TrafficState` are passed flat.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneLinks,
    LanePoints,
    LaneRules,
    Lanes,
    MapBank,
    MapRanges,
)
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks, Lights, SceneBatch
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic_junctions import (
    WISH_NONE,
    arbitrate,
    collect_reservations,
    review_grant,
    wish_of,
)
from sim_adapters.world.traffic_map import TrafficMap
from sim_adapters.world.traffic_perception import look_ahead, perceive
from sim_adapters.world.traffic_plan import (
    advance,
    blend_lane_change,
    plan_acceleration,
    vehicle_lights,
    write_motion,
)
from sim_adapters.world.traffic_settings import STUCK_S, TrafficSettings
from sim_adapters.world.traffic_spawn import (
    draw_point_around,
    draw_town_point,
    remove_vehicle,
    try_spawn_at,
)
from sim_adapters.world.traffic_state import (
    Drivers,
    Occupancy,
    Overrides,
    Places,
    Progress,
    Reservations,
    Sight,
    Tally,
    TrafficState,
)

_RESET_ATTEMPTS = 30  # draws per wanted vehicle at a reset
_STEP_ATTEMPTS = 2  # draws of a new vehicle per step
_FIRST_STEP_DRAW = 100_000  # draws of steps come after all of a reset
EGO_SLOT = 0


def traffic_arguments(
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> tuple[Any, ...]:
    """Arguments of both range kernels after (first_world, last_world)."""
    return (
        maps.ranges,
        maps.grid,
        maps.points,
        maps.lanes,
        maps.links,
        maps.rules,
        scene.motion,
        scene.traits,
        scene.lights,
        scene.clocks,
        traffic.places,
        traffic.drivers,
        traffic.progress,
        traffic.overrides,
        traffic.tally,
        traffic.occupancy,
        traffic.reservations,
        traffic.sight,
        traffic.map,
        settings,
        layout,
        scene.step_s,
    )


@njit(cache=True)
def see(
    points: LanePoints,
    lanes: Lanes,
    rules: LaneRules,
    traits: ActorTraits,
    lights: Lights,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    occupancy: Occupancy,
    sight: Sight,
    table: TrafficMap,
    settings: TrafficSettings,
    world: int,
    slot: int,
    first_lane: int,
    first_signal: int,
    now_s: float,
) -> None:
    """What one driver sees and wants, from the old state."""
    review_grant(
        lanes, rules, lights, traits, places, progress, overrides, settings, world, slot,
        first_signal,
    )  # fmt: skip
    speed = places.speed_mps[world, slot]
    factor = drivers.desired_factor[world, slot]
    scripted = overrides.scripted_speed_mps[world, slot]
    look_ahead(
        points, lanes, table, traits, places, occupancy, sight, world, slot, first_lane,
        progress.reserved_to[world, slot], 20.0 + 6.0 * speed + 0.15 * speed * speed,
        factor, drivers.top_speed_mps[world, slot],
    )  # fmt: skip
    if scripted >= 0.0:
        sight.desired_mps[world, slot] = scripted
    sight.wish[world, slot] = wish_of(
        lanes, rules, lights, traits, places, progress, overrides, sight, settings, world, slot,
        first_signal, now_s,
    )  # fmt: skip


@njit(cache=True)
def step_world(
    world: int,
    ranges: MapRanges,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    rules: LaneRules,
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    occupancy: Occupancy,
    reservations: Reservations,
    sight: Sight,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
    dt: float,
) -> None:
    """One step of one world's traffic."""
    map_index, seed, now_s = clocks.map_index[world], clocks.seed[world], clocks.elapsed_s[world]
    first_lane, first_signal = int(ranges.lane[map_index]), int(ranges.signal[map_index])
    first, last = layout.first_vehicle, layout.first_pedestrian
    perceive(
        grid, points, lanes, motion, traits, places, overrides.ignores_junctions, occupancy, world,
        map_index, first_lane, first, last,
    )  # fmt: skip
    for slot in range(first, last):
        sight.wish[world, slot] = WISH_NONE
        if traits.valid[world, slot]:
            see(
                points, lanes, rules, traits, lights, places, drivers, progress, overrides,
                occupancy, sight, table, settings, world, slot, first_lane, first_signal, now_s,
            )  # fmt: skip
    collect_reservations(
        lanes, traits, places, progress, overrides, reservations, world, first_lane, first, last
    )
    arbitrate(
        points, lanes, rules, table, traits, places, progress, occupancy, reservations, sight,
        world, first_lane, first, last,
    )  # fmt: skip
    for slot in range(first, last):
        if traits.valid[world, slot]:
            places.acceleration_mps2[world, slot] = plan_acceleration(
                drivers, overrides, places, sight, traits.half_length_m[world, slot], world, slot,
                now_s, dt,
            )  # fmt: skip
    for slot in range(first, last):
        if not traits.valid[world, slot]:
            continue
        goes_on = advance(
            lanes, links, rules, table, traits, lights, places, progress, overrides, tally, world,
            slot, first_signal, seed, dt,
        )  # fmt: skip
        if not goes_on:
            remove_vehicle(motion, traits, world, slot)
            tally.removed_at_dead_end[world] += 1
            continue
        blend_lane_change(places, world, slot, dt)
        write_motion(points, lanes, motion, places, world, slot, dt)
        traits.lights[world, slot] = vehicle_lights(lanes, rules, places, world, slot)


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
    count, free = 0, -1
    for slot in range(first, last):
        if not traits.valid[world, slot]:
            free = slot if free < 0 else free
            continue
        away = math.hypot(motion.x[world, slot] - x, motion.y[world, slot] - y)
        stuck = progress.standing_s[world, slot] > STUCK_S and away > settings.out_of_view_m
        scripted = overrides.keeps_path[world, slot]
        if (away > settings.despawn_m or stuck) and not scripted:
            tally.removed_stuck[world] += stuck
            remove_vehicle(motion, traits, world, slot)
            free = slot if free < 0 else free
        elif away < settings.radius_m:
            count += 1
    map_index, seed = clocks.map_index[world], clocks.seed[world]
    for attempt in range(first_attempt, first_attempt + attempts):
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
            while free < last and traits.valid[world, free]:
                free += 1
            free = free if free < last else -1


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
def step_traffic_range(
    first_world: int,
    last_world: int,
    ranges: MapRanges,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    rules: LaneRules,
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    occupancy: Occupancy,
    reservations: Reservations,
    sight: Sight,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
    dt: float,
) -> None:
    """One step of the traffic of worlds [first_world, last_world), in place.

    `lights` are the states that hold during the step, `clocks.elapsed_s` the time it begins.
    """
    for world in range(first_world, last_world):
        step_world(
            world, ranges, grid, points, lanes, links, rules, motion, traits, lights, clocks,
            places, drivers, progress, overrides, tally, occupancy, reservations, sight, table,
            settings, layout, dt,
        )  # fmt: skip
        if settings.around_ego:
            tick = round(clocks.elapsed_s[world] / dt)
            keep_up_around_ego(
                world, grid, points, lanes, links, motion, traits, clocks, places, drivers,
                progress, overrides, tally, table, settings, layout, _STEP_ATTEMPTS,
                (tick + _FIRST_STEP_DRAW) * _STEP_ATTEMPTS, settings.out_of_view_m,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def reset_traffic_range(
    first_world: int,
    last_world: int,
    ranges: MapRanges,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    rules: LaneRules,
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    occupancy: Occupancy,
    reservations: Reservations,
    sight: Sight,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Start the traffic of worlds [first_world, last_world) anew.

    The ego (and whatever else has a place) must be in the scene already; nobody starts near it.
    """
    for world in range(first_world, last_world):
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            remove_vehicle(motion, traits, world, slot)
            progress.generation[world, slot] = 0
        tally.crossings[world] = tally.red_entries[world] = tally.lane_changes[world] = 0
        tally.removed_stuck[world] = tally.removed_at_dead_end[world] = 0
        tally.distance_m[world] = 0.0
        if settings.around_ego:
            keep_up_around_ego(
                world, grid, points, lanes, links, motion, traits, clocks, places, drivers,
                progress, overrides, tally, table, settings, layout,
                _RESET_ATTEMPTS * settings.num_vehicles, 0, 8.0,
            )  # fmt: skip
        else:
            fill_town(
                world, points, lanes, links, motion, traits, clocks, places, drivers, progress,
                overrides, table, settings, layout,
            )  # fmt: skip
