"""Each driver's step: what it sees ahead on its own path, how it accelerates, and where it gets.

Everybody looks and plans by the old state, so the order of slots changes nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import LanePoints, Lanes
from sim_adapters.scene.state import LightState
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.lane_change import blend_offset
from sim_adapters.world.traffic.map import CURVE_BRAKING_MPS2, TrafficMap
from sim_adapters.world.traffic.occupancy import nearest_ahead, nearest_forking, perceive
from sim_adapters.world.traffic.path import (
    STANDING_MPS,
    extend_path,
    shift_path,
    vehicle_lights,
    write_motion,
)
from sim_adapters.world.traffic.right_of_way import WISH_NONE, review_grant, wish_of
from sim_adapters.world.traffic.settings import (
    EMERGENCY_BRAKING_MPS2,
    STOP_MARGIN_M,
    TrafficSettings,
)
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
        perceive(roads, scene, traffic, settings, layout, world, first_lane)
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            wish[world, slot] = WISH_NONE
            if not scene.traits.valid[world, slot]:
                continue
            review_grant(roads, scene, traffic, settings, world, slot, first_signal)
            look_ahead(roads, scene, traffic, world, slot, first_lane)
            wish[world, slot] = wish_of(roads, scene, traffic, settings, world, slot, first_signal)


FORCED_BRAKING_MPS2 = 7.0  # HardBreak scenarios
_RED = int(LightState.RED)


@inlined_function
def plan_acceleration(
    scene: WorldScene, traffic: TrafficState, world: int, slot: int, dt: float
) -> float:
    """IDM behind the leader and before the junction it may not enter, bounded to stay safe."""
    drivers, overrides, sight = traffic.drivers, traffic.overrides, traffic.sight
    speed = traffic.places.speed_mps[world, slot]
    if overrides.heeds_nobody[world, slot]:
        return (overrides.scripted_speed_mps[world, slot] - speed) / dt
    brake = drivers.comfortable_braking_mps2[world, slot]
    limit = drivers.max_acceleration_mps2[world, slot]
    headway, min_gap = drivers.headway_s[world, slot], drivers.min_gap_m[world, slot]
    desired = sight.desired_mps[world, slot]
    gap, lead_speed = sight.gap_m[world, slot], sight.lead_speed_mps[world, slot]
    acceleration = idm_acceleration(speed, desired, gap, lead_speed, limit, brake, headway, min_gap)
    safe = safe_speed_mps(gap - 0.5 * min_gap, lead_speed, EMERGENCY_BRAKING_MPS2, dt)
    # Slowing for a limit or a curve is comfortable; for somebody ahead it may be hard
    if np.isinf(gap):
        acceleration = max(acceleration, -brake)
    if sight.entry_index[world, slot] > 0 and not overrides.ignores_junctions[world, slot]:
        line = sight.entry_m[world, slot] - scene.traits.half_length_m[world, slot]
        stop = idm_acceleration(
            speed, desired, line - STOP_MARGIN_M + min_gap, 0.0, limit, brake, 0.5, min_gap
        )
        acceleration = min(acceleration, stop)
        safe = min(safe, safe_speed_mps(line - 0.2, 0.0, EMERGENCY_BRAKING_MPS2, dt))
    if scene.clocks.elapsed_s[world] < overrides.brake_until_s[world, slot]:
        acceleration = -FORCED_BRAKING_MPS2
    acceleration = min(acceleration, (safe - speed) / dt)
    return max(acceleration, -EMERGENCY_BRAKING_MPS2, -speed / dt)


@inlined_function
def advance(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    first_signal: int,
    dt: float,
) -> bool:
    """Move a vehicle along its path by its planned acceleration; False at the path's end."""
    lanes, places, progress, tally = roads.lanes, traffic.places, traffic.progress, traffic.tally
    old = places.speed_mps[world, slot]
    speed = max(0.0, old + places.acceleration_mps2[world, slot] * dt)
    moved = 0.5 * (old + speed) * dt
    places.speed_mps[world, slot] = speed
    tally.distance_m[world] += moved
    if speed < STANDING_MPS:
        progress.standing_s[world, slot] += dt
    else:
        progress.standing_s[world, slot] = 0.0
    count_red_entry(roads, scene, traffic, world, slot, first_signal, moved)
    places.s_m[world, slot] += moved
    blend_offset(places, world, slot, moved)
    path = places.path[world, slot]
    while places.s_m[world, slot] >= lanes.length_m[path[CURRENT]]:
        if path[CURRENT + 1] < 0:
            return False
        places.s_m[world, slot] -= lanes.length_m[path[CURRENT]]
        left = lanes.junction[path[CURRENT]]
        shift_path(places, progress, world, slot)
        places.change_from[world, slot] = -1
        if left >= 0 and lanes.junction[path[CURRENT]] != left:
            tally.crossings[world] += 1
        if not traffic.overrides.keeps_path[world, slot]:
            seed = scene.clocks.seed[world]
            extend_path(roads.links, traffic.map, places, progress, world, slot, seed)
    return True


@inlined_function
def count_red_entry(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    first_signal: int,
    moved_m: float,
) -> None:
    """Tally a front bumper that crosses into a junction whose light is red."""
    lanes, path = roads.lanes, traffic.places.path[world, slot]
    front = traffic.places.s_m[world, slot] + scene.traits.half_length_m[world, slot]
    index = CURRENT
    while index < PATH_LANES - 1 and path[index + 1] >= 0:
        length = lanes.length_m[path[index]]
        if front > length:
            front -= length
            index += 1
            continue
        if front + moved_m <= length:
            return
        entered = path[index + 1]
        signal = roads.rules.signal[entered]
        if (
            lanes.junction[entered] >= 0
            and lanes.junction[entered] != lanes.junction[path[index]]
            and signal >= 0
            and scene.lights.state[world, signal - first_signal] == _RED
        ):
            traffic.tally.red_entries[world] += 1
        return


@range_kernel
def move_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Plan each vehicle's step from what it saw, move it and write the scene."""
    points, lanes, rules = roads.points, roads.lanes, roads.rules
    motion, traits, places = scene.motion, scene.traits, traffic.places
    for world in range(first_world, last_world):
        first_signal = int(roads.ranges.signal[scene.clocks.map_index[world]])
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            if not traits.valid[world, slot]:
                continue
            places.acceleration_mps2[world, slot] = plan_acceleration(
                scene, traffic, world, slot, dt
            )
            if not advance(roads, scene, traffic, world, slot, first_signal, dt):
                clear_slot(motion, traits, world, slot)
                traffic.tally.removed_at_dead_end[world] += 1
                continue
            write_motion(points, lanes, motion, places, world, slot, dt)
            traits.lights[world, slot] = vehicle_lights(lanes, rules, places, world, slot)
