"""Who covers which lane: one linked list of bodies a lane, rebuilt every step.

Traffic enters with its place on the path; everything else (the ego, pedestrians, props, scripted
vehicles that ignore junctions) is projected: it stands on every lane whose centre line comes near
its box.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LANE_GRID_CELL_M, LaneKind, Lanes
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import (
    CURRENT,
    Occupancy,
    Places,
    TrafficState,
)

CORRIDOR_M = 1.8  # bodies further than this from a centre line are in nobody's way
SIDE_GAP_M = 0.25  # free space that a driver wants beside it
_DRIVING = int(LaneKind.DRIVING)
_DEBRIS = int(ActorKind.DEBRIS)


@inlined_function
def clear_occupancy(occupancy: Occupancy, world: int, first_lane: int) -> None:
    """Empty the lists of one world, touching only what was filled."""
    for node in range(occupancy.num_nodes[world]):
        occupancy.head[world, occupancy.lane[world, node] - first_lane] = -1
    occupancy.num_nodes[world] = 0


@inlined_function
def add_node(
    occupancy: Occupancy,
    world: int,
    first_lane: int,
    lane: int,
    slot: int,
    center_m: float,
    half_m: float,
    speed_mps: float,
    clearance_m: float,
    is_projected: bool = False,
) -> None:
    """Enter one body into the list of one lane; a full pool drops it (never seen at 5 a slot)."""
    node = occupancy.num_nodes[world]
    if node >= occupancy.next.shape[1]:
        return
    occupancy.num_nodes[world] = node + 1
    occupancy.lane[world, node] = lane
    occupancy.slot[world, node] = slot
    occupancy.center_m[world, node] = center_m
    occupancy.half_m[world, node] = half_m
    occupancy.speed_mps[world, node] = speed_mps
    occupancy.clearance_m[world, node] = clearance_m
    occupancy.is_projected[world, node] = is_projected
    occupancy.next[world, node] = occupancy.head[world, lane - first_lane]
    occupancy.head[world, lane - first_lane] = node


@inlined_function
def add_vehicle(
    lanes: Lanes,
    places: Places,
    occupancy: Occupancy,
    world: int,
    slot: int,
    half_length_m: float,
    first_lane: int,
) -> None:
    """Enter a vehicle of ours: its lane, the lanes under its tail, the lane it is leaving."""
    s, speed = places.s_m[world, slot], places.speed_mps[world, slot]
    path = places.path[world, slot]
    add_node(occupancy, world, first_lane, path[CURRENT], slot, s, half_length_m, speed, 0.0)
    leaving = places.change_from[world, slot]
    if leaving >= 0:
        add_node(occupancy, world, first_lane, leaving, slot, s, half_length_m, speed, 0.0)
    index = CURRENT
    while s < half_length_m and index > 0 and path[index - 1] >= 0:
        index -= 1
        s += lanes.length_m[path[index]]
        add_node(occupancy, world, first_lane, path[index], slot, s, half_length_m, speed, 0.0)


@inlined_function
def add_body(
    roads: LaneGraph,
    motion: ActorMotion,
    traits: ActorTraits,
    occupancy: Occupancy,
    world: int,
    slot: int,
    map_index: int,
    first_lane: int,
    overlooked_m: float,
) -> None:
    """Project a body onto every driving lane whose centre line is within CORRIDOR_M of its box.

    It counts as `overlooked_m` farther from the centre line than it is.
    """
    grid, points, lanes = roads.grid, roads.points, roads.lanes
    x, y = motion.x[world, slot], motion.y[world, slot]
    column = math.floor((x - grid.origin_x[map_index]) / LANE_GRID_CELL_M)
    row = math.floor((y - grid.origin_y[map_index]) / LANE_GRID_CELL_M)
    if column < 0 or row < 0 or column >= grid.num_x[map_index] or row >= grid.num_y[map_index]:
        return
    yaw = motion.yaw_rad[world, slot]
    cos, sin = math.cos(yaw), math.sin(yaw)
    length, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
    vx, vy = motion.vx_mps[world, slot], motion.vy_mps[world, slot]
    cell = grid.first_cell[map_index] + row * grid.num_x[map_index] + column
    lane, low, high, nearest, along = -1, 0.0, 0.0, 0.0, 0.0
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        point = grid.point[entry]
        dx, dy = points.x[point] - x, points.y[point] - y
        beyond = max(abs(cos * dx + sin * dy) - length, 0.0)
        beside = max(abs(cos * dy - sin * dx) - width, 0.0)
        squared = beyond * beyond + beside * beside
        this = int(points.lane[point])
        if (
            squared > CORRIDOR_M * CORRIDOR_M
            or lanes.kind[this] != _DRIVING
            or abs(points.z[point] - motion.z[world, slot]) > SAME_LEVEL_M
        ):
            continue
        s = float(points.s_m[point])
        if this != lane:
            if lane >= 0:
                add_node(
                    occupancy, world, first_lane, lane, slot,
                    0.5 * (low + high), 0.5 * (high - low) + 0.5, along, nearest, True,
                )  # fmt: skip
            direction = points.yaw_rad[point]
            along = vx * math.cos(direction) + vy * math.sin(direction)
            lane, low, high, nearest = this, s, s, math.sqrt(squared) + overlooked_m
        else:
            low, high = min(low, s), max(high, s)
            nearest = min(nearest, math.sqrt(squared) + overlooked_m)
    if lane >= 0:
        add_node(
            occupancy, world, first_lane, lane, slot,
            0.5 * (low + high), 0.5 * (high - low) + 0.5, along, nearest, True,
        )  # fmt: skip


@inlined_function
def perceive(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    world: int,
    first_lane: int,
) -> None:
    """Enter all bodies of a world into its lane lists."""
    motion, traits, occupancy = scene.motion, scene.traits, traffic.occupancy
    map_index = scene.clocks.map_index[world]
    clear_occupancy(occupancy, world, first_lane)
    for slot in range(motion.x.shape[1]):
        if not traits.valid[world, slot] or traits.kind[world, slot] == _DEBRIS:
            continue
        is_ours = layout.first_vehicle <= slot < layout.first_pedestrian
        if is_ours:
            half = traits.half_length_m[world, slot]
            add_vehicle(roads.lanes, traffic.places, occupancy, world, slot, half, first_lane)
        if not is_ours or traffic.overrides.ignores_junctions[world, slot]:
            add_body(
                roads, motion, traits, occupancy, world, slot, map_index, first_lane,
                settings.overlooked_m if slot == 0 else 0.0,
            )  # fmt: skip


@inlined_function
def nearest_ahead(
    occupancy: Occupancy,
    world: int,
    row: int,
    slot: int,
    base_m: float,
    half_width_m: float,
) -> int:
    """Node of the first body ahead of a vehicle on one lane, or -1.

    `row` is the lane, counted from the map's first one; `base_m` leads from the vehicle's centre
    to the lane's start and is negative on it.
    """
    best, best_m = -1, np.inf
    node = occupancy.head[world, row]
    while node >= 0:
        other = occupancy.slot[world, node]
        ahead = base_m + occupancy.center_m[world, node]
        # Two bodies at one place: the one with the smaller slot counts as ahead
        in_front = ahead > 0.0 or (ahead == 0.0 and other < slot)
        near_side = occupancy.clearance_m[world, node] < half_width_m + SIDE_GAP_M
        rear = ahead - occupancy.half_m[world, node]
        if other != slot and in_front and near_side and rear < best_m:
            best, best_m = node, rear
        node = occupancy.next[world, node]
    return best


@inlined_function
def nearest_forking(
    table: TrafficMap,
    occupancy: Occupancy,
    world: int,
    first_lane: int,
    lane: int,
    slot: int,
    base_m: float,
) -> tuple[int, float]:
    """First body ahead on lanes that fork from `lane` and is still beside it.

    Returns:
        Its node or -1, and the distance from the vehicle's centre to its rear.
    """
    best, best_m = -1, np.inf
    for row in range(table.conflict_first[lane], table.conflict_first[lane + 1]):
        if not table.forks[row]:
            continue
        node = occupancy.head[world, table.conflict[row] - first_lane]
        while node >= 0:
            center, half = occupancy.center_m[world, node], occupancy.half_m[world, node]
            ahead = base_m + table.interval_m[row, 0] + center - table.interval_m[row, 2]
            other = occupancy.slot[world, node]
            in_front = ahead > 0.0 or (ahead == 0.0 and other < slot)
            beside = center - half < table.interval_m[row, 3]
            # Whoever is projected is on this lane too, where it is in the way
            beside &= not occupancy.is_projected[world, node]
            if other != slot and in_front and beside and ahead - half < best_m:
                best, best_m = node, ahead - half
            node = occupancy.next[world, node]
    return best, best_m
