"""Background traffic of all worlds: what a reset and a step consist of.

A step is: see (lane lists, leaders, wishes), decide who may enter junctions, change lanes, plan
every acceleration from what was seen and move, then let vehicles appear and vanish. Everybody sees
the old state, so the order of slots changes nothing. Each part is a kernel over a range of worlds.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.world.handles import LaneGraph, WorldScene, lane_graph, world_scene
from sim_adapters.world.slots import SlotLayout, clear_slot, last_background_vehicle
from sim_adapters.world.traffic.company import (
    company_piece,
    keep_company,
    missing_company,
    room_elsewhere,
    start_company,
)
from sim_adapters.world.traffic.driver import move_traffic_range, see_traffic_range
from sim_adapters.world.traffic.junctions import arbitrate_range
from sim_adapters.world.traffic.lane_change import change_lanes_range
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.settings import STUCK_S, TrafficSettings
from sim_adapters.world.traffic.spawn import (
    BESIDE_GAP_M,
    SPAWN_GAP_M,
    Cast,
    Ring,
    Room,
    draw_point_around,
    draw_town_point,
    free_slot,
    try_spawn_at,
)
from sim_adapters.world.traffic.state import TrafficState

EGO_SLOT = 0
RESET_NEAREST_M = 8.0  # to the ego, for vehicles that are there from the start
_RESET_DRAWS = 30  # draws per wanted vehicle at a reset
_STEP_DRAWS = 2  # draws of a new vehicle per step
_FIRST_STEP_DRAW = 100_000  # draws of steps come after all of a reset


@inlined_function
def remove_unwanted(
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    world: int,
) -> int:
    """Remove who is far from the ego, or stuck and unseen; how many are left near the ego."""
    motion, traits = scene.motion, scene.traits
    x, y = motion.x[world, EGO_SLOT], motion.y[world, EGO_SLOT]
    count = 0
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot]:
            continue
        away = math.hypot(motion.x[world, slot] - x, motion.y[world, slot] - y)
        stuck = traffic.progress.standing_s[world, slot] > STUCK_S and away > settings.out_of_view_m
        scripted = traffic.overrides.keeps_path[world, slot]
        if (away > settings.despawn_m or stuck) and not scripted:
            traffic.tally.removed_stuck[world] += stuck
            clear_slot(motion, traits, world, slot)
        elif away < settings.radius_m:
            count += 1
    return count


@inlined_function
def draw_place(
    roads: LaneGraph,
    scene: WorldScene,
    table: TrafficMap,
    settings: TrafficSettings,
    world: int,
    nearest_m: float,
    draw: int,
) -> int:
    """A random lane point for a new vehicle, around the ego or in the town; -1 if none is met."""
    motion, map_index = scene.motion, scene.clocks.map_index[world]
    seed = scene.clocks.seed[world]
    if not settings.around_ego:
        return draw_town_point(table, map_index, seed, draw)
    x, y, z = motion.x[world, EGO_SLOT], motion.y[world, EGO_SLOT], motion.z[world, EGO_SLOT]
    ring = Ring(x, y, z, nearest_m, settings.radius_m)
    return draw_point_around(roads.grid, roads.points, roads.lanes, map_index, ring, seed, draw)


@range_kernel
def populate_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    dt: float,
    is_reset: bool,
) -> None:
    """Let vehicles appear and vanish; at a reset all at once, in empty worlds.

    After the reset a whole town's traffic stays as it is.
    """
    clocks, table = scene.clocks, traffic.map
    cast = Cast(
        scene.motion, scene.traits, traffic.places, traffic.drivers, traffic.progress,
        traffic.overrides, roads.points, roads.lanes, roads.links, table,
    )  # fmt: skip
    first = layout.first_vehicle
    last = last_background_vehicle(layout, settings.num_vehicles)
    draws = _RESET_DRAWS * settings.num_vehicles if is_reset else _STEP_DRAWS
    nearest_m = RESET_NEAREST_M if is_reset else settings.out_of_view_m
    for world in range(first_world, last_world):
        count = 0
        if settings.around_ego:
            count = remove_unwanted(scene, traffic, settings, layout, world)
        wanted = settings.num_vehicles
        if settings.company > 0:
            if is_reset:
                count += start_company(roads, scene, cast, traffic, settings, layout, world)
            else:
                count += keep_company(roads, scene, cast, traffic, settings, layout, world)
                wanted -= missing_company(traffic.company, world, settings.company)
        tick = round(clocks.elapsed_s[world] / dt)
        first_draw = 0 if is_reset else (tick + _FIRST_STEP_DRAW) * _STEP_DRAWS
        for draw in range(first_draw, first_draw + draws):
            slot = free_slot(scene.traits, world, first, last)
            if count >= wanted or slot < 0:
                break
            point = draw_place(roads, scene, table, settings, world, nearest_m, draw)
            if point < 0:
                continue
            lane = int(roads.points.lane[point])
            room = Room(SPAWN_GAP_M, BESIDE_GAP_M)
            if settings.company > 0:
                if company_piece(traffic.company, world, lane) >= 0:
                    continue
                room = room_elsewhere(roads.lanes, roads.links, lane, roads.points.s_m[point])
            seed = clocks.seed[world]
            count += try_spawn_at(cast, settings, world, slot, point, seed, np.inf, room)


TrafficArguments = tuple[LaneGraph, WorldScene, TrafficState, TrafficSettings, SlotLayout, float]


def traffic_arguments(
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> TrafficArguments:
    """Arguments of reset and step after (first_world, last_world)."""
    return lane_graph(maps), world_scene(scene), traffic, settings, layout, scene.step_s


@range_kernel
def step_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    step_s: float,
) -> None:
    """One step of the traffic of worlds [first_world, last_world), in place.

    `scene.lights` are the states that hold during the step, `clocks.elapsed_s` its beginning.
    """
    see_traffic_range(first_world, last_world, roads, scene, traffic, settings, layout)
    if settings.changes_lanes:
        change_lanes_range(first_world, last_world, roads, scene, traffic, layout, step_s)
    arbitrate_range(first_world, last_world, roads, scene, traffic, layout)
    move_traffic_range(first_world, last_world, roads, scene, traffic, layout, step_s)
    if settings.around_ego:
        populate_range(
            first_world, last_world, roads, scene, traffic, settings, layout, step_s, False
        )


@range_kernel
def reset_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    step_s: float,
) -> None:
    """Start the traffic of worlds [first_world, last_world) anew.

    The ego (and whatever else has a place) must be in the scene already; nobody starts near it.
    """
    tally = traffic.tally
    for world in range(first_world, last_world):
        # The lists are cleared by the lanes of the present town, and the last one was another.
        traffic.occupancy.head[world, :] = -1
        traffic.occupancy.num_nodes[world] = 0
        traffic.reservations.head[world, :] = -1
        traffic.reservations.num_nodes[world] = 0
        traffic.company.num_pieces[world] = traffic.company.num_columns[world] = 0
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            clear_slot(scene.motion, scene.traits, world, slot)
        traffic.progress.generation[world, :] = 0
        tally.crossings[world] = tally.red_entries[world] = tally.lane_changes[world] = 0
        tally.removed_stuck[world] = tally.removed_at_dead_end[world] = 0
        tally.distance_m[world] = 0.0
    populate_range(first_world, last_world, roads, scene, traffic, settings, layout, step_s, True)
