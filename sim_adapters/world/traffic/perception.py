"""What each driver sees ahead on its own path: a leader, the next junction, how fast to go."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LanePoints,
    LaneRules,
    Lanes,
    MapRanges,
)
from sim_adapters.scene.state import (
    ActorMotion,
    ActorTraits,
    Clocks,
    Lights,
)
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import CURVE_BRAKING_MPS2, TrafficMap
from sim_adapters.world.traffic.occupancy import nearest_ahead, nearest_forking, perceive
from sim_adapters.world.traffic.right_of_way import WISH_NONE, review_grant, wish_of
from sim_adapters.world.traffic.settings import (
    TrafficSettings,
)
from sim_adapters.world.traffic.state import (
    CURRENT,
    PATH_LANES,
    Drivers,
    Occupancy,
    Overrides,
    Places,
    Progress,
    Sight,
)


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
    points: LanePoints,
    lanes: Lanes,
    table: TrafficMap,
    traits: ActorTraits,
    places: Places,
    drivers: Drivers,
    overrides: Overrides,
    occupancy: Occupancy,
    sight: Sight,
    world: int,
    slot: int,
    first_lane: int,
    reserved_to: int,
) -> None:
    """Fill `sight` of one vehicle."""
    path, s = places.path[world, slot], places.s_m[world, slot]
    speed = places.speed_mps[world, slot]
    range_m = 20.0 + 6.0 * speed + 0.15 * speed * speed
    node, index, rear = find_leader(
        lanes, table, occupancy, path, world, slot, s, traits.half_width_m[world, slot],
        first_lane, range_m,
    )  # fmt: skip
    sight.leader[world, slot] = occupancy.slot[world, node] if node >= 0 else -1
    sight.leader_index[world, slot] = index
    sight.gap_m[world, slot] = rear - traits.half_length_m[world, slot]
    sight.lead_speed_mps[world, slot] = occupancy.speed_mps[world, node] if node >= 0 else 0.0
    entry_index, entry_m = find_entry(lanes, path, s, reserved_to, range_m)
    sight.entry_index[world, slot], sight.entry_m[world, slot] = entry_index, entry_m
    scripted = overrides.scripted_speed_mps[world, slot]
    sight.desired_mps[world, slot] = (
        scripted
        if scripted >= 0.0
        else desired_speed_mps(
            points, lanes, table, path, s, drivers.desired_factor[world, slot],
            drivers.top_speed_mps[world, slot],
        )
    )  # fmt: skip


@range_kernel
def see_traffic_range(
    first_world: int,
    last_world: int,
    ranges: MapRanges,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    rules: LaneRules,
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    clocks: Clocks,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    occupancy: Occupancy,
    sight: Sight,
    table: TrafficMap,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> None:
    """Fill lane lists and sight of all worlds of the range, and review grants."""
    for world in range(first_world, last_world):
        map_index, now_s = clocks.map_index[world], clocks.elapsed_s[world]
        first_lane, first_signal = int(ranges.lane[map_index]), int(ranges.signal[map_index])
        perceive(
            grid, points, lanes, motion, traits, places, overrides.ignores_junctions, occupancy,
            world, map_index, first_lane, layout.first_vehicle, layout.first_pedestrian,
        )  # fmt: skip
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            sight.wish[world, slot] = WISH_NONE
            if not traits.valid[world, slot]:
                continue
            half = traits.half_length_m[world, slot]
            review_grant(
                lanes, rules, lights, places, progress, overrides, settings, world, slot, half,
                first_signal,
            )  # fmt: skip
            look_ahead(
                points, lanes, table, traits, places, drivers, overrides, occupancy, sight, world,
                slot, first_lane, progress.reserved_to[world, slot],
            )  # fmt: skip
            sight.wish[world, slot] = wish_of(
                rules, lights, places, progress, overrides, sight, settings, world, slot,
                half, first_signal, now_s,
            )  # fmt: skip
