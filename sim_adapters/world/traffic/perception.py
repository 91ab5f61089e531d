"""What each driver sees ahead on its own path: a leader, the next junction, how fast to go."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import LanePoints, Lanes
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import CURVE_BRAKING_MPS2, TrafficMap
from sim_adapters.world.traffic.occupancy import nearest_ahead, nearest_forking, perceive
from sim_adapters.world.traffic.right_of_way import WISH_NONE, review_grant, wish_of
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import CURRENT, PATH_LANES, Occupancy, TrafficState


@inlined_function
def desired_speed_mps(
    points: LanePoints,
    lanes: Lanes,
    table: TrafficMap,
    path: NDArray[np.int32],
    s_m: float,
    desired_factor: float,
    top_speed_mps: float,
) -> float:
    """Limit and curve here, lowered so that comfortable braking meets those of the lanes ahead."""
    lane = path[CURRENT]
    first, last = lanes.first_point[lane], lanes.first_point[lane + 1] - 1
    here = min(first + max(int(s_m), 0), last)
    desired = min(
        points.speed_limit_mps[here] * desired_factor, top_speed_mps, table.curve_speed_mps[here]
    )
    base = lanes.length_m[lane] - s_m
    for index in range(CURRENT + 1, PATH_LANES):
        reach = 2.0 * CURVE_BRAKING_MPS2 * base
        if path[index] < 0 or reach > desired * desired:
            break
        first = lanes.first_point[path[index]]
        coming = min(points.speed_limit_mps[first] * desired_factor, table.curve_speed_mps[first])
        desired = min(desired, math.sqrt(coming * coming + reach))
        base += lanes.length_m[path[index]]
    return float(desired)


@inlined_function
def find_entry(
    lanes: Lanes,
    path: NDArray[np.int32],
    s_m: float,
    reserved_to: int,
    range_m: float,
) -> tuple[int, float]:
    """The next junction lane beyond those reserved.

    Returns:
        Its path index (0: none within `range_m`) and the distance from the centre to its start.
    """
    base = float(lanes.length_m[path[CURRENT]]) - s_m
    for index in range(CURRENT + 1, PATH_LANES):
        if path[index] < 0 or base > range_m:
            break
        junction = lanes.junction[path[index]]
        if index > reserved_to and junction >= 0 and junction != lanes.junction[path[index - 1]]:
            return index, base
        base += float(lanes.length_m[path[index]])
    return 0, np.inf


@inlined_function
def find_leader(
    lanes: Lanes,
    table: TrafficMap,
    occupancy: Occupancy,
    path: NDArray[np.int32],
    world: int,
    slot: int,
    s_m: float,
    half_width_m: float,
    first_lane: int,
    range_m: float,
) -> tuple[int, int, float]:
    """The nearest body ahead on the path or on lanes that fork from it.

    Returns:
        Its occupancy node (-1: none within `range_m`), the path index where it is, and the
        distance from the vehicle's centre to its rear.
    """
    base = -s_m
    for index in range(CURRENT, PATH_LANES):
        lane = path[index]
        if lane < 0 or base > range_m:
            break
        node = nearest_ahead(occupancy, world, lane - first_lane, slot, base, half_width_m)
        rear = np.inf
        if node >= 0:
            rear = base + occupancy.center_m[world, node] - occupancy.half_m[world, node]
        if lanes.junction[lane] >= 0:
            other, other_rear = nearest_forking(
                table, occupancy, world, first_lane, lane, slot, base
            )
            if other >= 0 and other_rear < rear:
                node, rear = other, other_rear
        if node >= 0:
            return node, index, rear
        base += float(lanes.length_m[lane])
    return -1, PATH_LANES, np.inf


@inlined_function
def look_ahead(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    first_lane: int,
) -> None:
    """Fill `sight` of one vehicle."""
    lanes, places, sight = roads.lanes, traffic.places, traffic.sight
    drivers, occupancy = traffic.drivers, traffic.occupancy
    path, s = places.path[world, slot], places.s_m[world, slot]
    speed = places.speed_mps[world, slot]
    range_m = 20.0 + 6.0 * speed + 0.15 * speed * speed
    node, index, rear = find_leader(
        lanes, traffic.map, occupancy, path, world, slot, s,
        scene.traits.half_width_m[world, slot], first_lane, range_m,
    )  # fmt: skip
    sight.leader[world, slot] = occupancy.slot[world, node] if node >= 0 else -1
    sight.leader_index[world, slot] = index
    sight.gap_m[world, slot] = rear - scene.traits.half_length_m[world, slot]
    sight.lead_speed_mps[world, slot] = occupancy.speed_mps[world, node] if node >= 0 else 0.0
    reserved_to = traffic.progress.reserved_to[world, slot]
    entry_index, entry_m = find_entry(lanes, path, s, reserved_to, range_m)
    sight.entry_index[world, slot], sight.entry_m[world, slot] = entry_index, entry_m
    scripted = traffic.overrides.scripted_speed_mps[world, slot]
    sight.desired_mps[world, slot] = (
        scripted
        if scripted >= 0.0
        else desired_speed_mps(
            roads.points, lanes, traffic.map, path, s, drivers.desired_factor[world, slot],
            drivers.top_speed_mps[world, slot],
        )
    )  # fmt: skip


@range_kernel
def see_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> None:
    """Fill lane lists and sight of all worlds of the range, and review grants."""
    wish = traffic.sight.wish
    for world in range(first_world, last_world):
        map_index = scene.clocks.map_index[world]
        first_lane = int(roads.ranges.lane[map_index])
        first_signal = int(roads.ranges.signal[map_index])
        perceive(roads, scene, traffic, layout, world, first_lane)
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            wish[world, slot] = WISH_NONE
            if not scene.traits.valid[world, slot]:
                continue
            review_grant(roads, scene, traffic, settings, world, slot, first_signal)
            look_ahead(roads, scene, traffic, world, slot, first_lane)
            wish[world, slot] = wish_of(roads, scene, traffic, settings, world, slot, first_signal)
