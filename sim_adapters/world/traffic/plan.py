"""Plans one step of one driver from the old state, and carries it out."""

from __future__ import annotations

import numpy as np

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.state import LightState
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.body import (
    STANDING_MPS,
    vehicle_lights,
    write_motion,
)
from sim_adapters.world.traffic.lane_change import blend_offset
from sim_adapters.world.traffic.path import extend_path, shift_path
from sim_adapters.world.traffic.settings import EMERGENCY_BRAKING_MPS2, STOP_MARGIN_M
from sim_adapters.world.traffic.state import CURRENT, PATH_LANES, TrafficState

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
