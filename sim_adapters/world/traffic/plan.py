"""Plans one step of one driver from the old state, and carries it out."""

from __future__ import annotations

import numpy as np

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, LaneRules, Lanes, MapRanges
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks, Lights, LightState
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.body import (
    STANDING_MPS,
    vehicle_lights,
    write_motion,
)
from sim_adapters.world.traffic.lane_change import blend_offset
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.path import extend_path, shift_path
from sim_adapters.world.traffic.settings import EMERGENCY_BRAKING_MPS2, STOP_MARGIN_M
from sim_adapters.world.traffic.state import (
    CURRENT,
    PATH_LANES,
    Drivers,
    Overrides,
    Places,
    Progress,
    Sight,
    Tally,
)

FORCED_BRAKING_MPS2 = 7.0  # HardBreak scenarios
_RED = int(LightState.RED)


@inlined_function
def plan_acceleration(
    drivers: Drivers,
    overrides: Overrides,
    places: Places,
    sight: Sight,
    half_length_m: float,
    world: int,
    slot: int,
    now_s: float,
    dt: float,
) -> float:
    """IDM behind the leader and before the junction it may not enter, bounded to stay safe."""
    speed = places.speed_mps[world, slot]
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
        line = sight.entry_m[world, slot] - half_length_m
        stop = idm_acceleration(
            speed, desired, line - STOP_MARGIN_M + min_gap, 0.0, limit, brake, 0.5, min_gap
        )
        acceleration = min(acceleration, stop)
        safe = min(safe, safe_speed_mps(line - 0.2, 0.0, EMERGENCY_BRAKING_MPS2, dt))
    if now_s < overrides.brake_until_s[world, slot]:
        acceleration = -FORCED_BRAKING_MPS2
    acceleration = min(acceleration, (safe - speed) / dt)
    return max(acceleration, -EMERGENCY_BRAKING_MPS2, -speed / dt)


@inlined_function
def advance(
    lanes: Lanes,
    links: LaneLinks,
    rules: LaneRules,
    table: TrafficMap,
    lights: Lights,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    tally: Tally,
    world: int,
    slot: int,
    half_length_m: float,
    first_signal: int,
    seed: np.uint64,
    dt: float,
) -> bool:
    """Move a vehicle along its path by its planned acceleration; False at the path's end."""
    old = places.speed_mps[world, slot]
    speed = max(0.0, old + places.acceleration_mps2[world, slot] * dt)
    moved = 0.5 * (old + speed) * dt
    places.speed_mps[world, slot] = speed
    tally.distance_m[world] += moved
    if speed < STANDING_MPS:
        progress.standing_s[world, slot] += dt
    else:
        progress.standing_s[world, slot] = 0.0
    count_red_entry(
        lanes, rules, lights, places, tally, world, slot, half_length_m, first_signal, moved
    )
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
        if not overrides.keeps_path[world, slot]:
            extend_path(links, table, places, progress, world, slot, seed)
    return True


@inlined_function
def count_red_entry(
    lanes: Lanes,
    rules: LaneRules,
    lights: Lights,
    places: Places,
    tally: Tally,
    world: int,
    slot: int,
    half_length_m: float,
    first_signal: int,
    moved_m: float,
) -> None:
    """Tally a front bumper that crosses into a junction whose light is red."""
    path = places.path[world, slot]
    front = places.s_m[world, slot] + half_length_m
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
        signal = rules.signal[entered]
        if (
            lanes.junction[entered] >= 0
            and lanes.junction[entered] != lanes.junction[path[index]]
            and signal >= 0
            and lights.state[world, signal - first_signal] == _RED
        ):
            tally.red_entries[world] += 1
        return


@range_kernel
def move_traffic_range(
    first_world: int,
    last_world: int,
    ranges: MapRanges,
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
    sight: Sight,
    table: TrafficMap,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Plan each vehicle's step from what it saw, move it and write the scene."""
    for world in range(first_world, last_world):
        now_s, seed = clocks.elapsed_s[world], clocks.seed[world]
        first_signal = int(ranges.signal[clocks.map_index[world]])
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            if not traits.valid[world, slot]:
                continue
            half = traits.half_length_m[world, slot]
            places.acceleration_mps2[world, slot] = plan_acceleration(
                drivers, overrides, places, sight, half, world, slot, now_s, dt
            )
            goes_on = advance(
                lanes, links, rules, table, lights, places, progress, overrides, tally, world,
                slot, half, first_signal, seed, dt,
            )  # fmt: skip
            if not goes_on:
                clear_slot(motion, traits, world, slot)
                tally.removed_at_dead_end[world] += 1
                continue
            write_motion(points, lanes, motion, places, world, slot, dt)
            traits.lights[world, slot] = vehicle_lights(lanes, rules, places, world, slot)
