"""Lane changes for a gain in acceleration, where gaps and markings allow.

A change is decided by MOBIL's rule and carried out over a fixed distance: the path becomes that of
the target lane, the lateral offset goes smoothly to zero, and both lanes count as occupied.

Source: Kesting, Treiber, Helbing 2007 (MOBIL).
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.geometry import left_offset_m
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, Lanes, MapRanges
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.occupancy import add_node, nearest_ahead
from sim_adapters.world.traffic.path import start_path
from sim_adapters.world.traffic.right_of_way import WISH_NONE
from sim_adapters.world.traffic.settings import EMERGENCY_BRAKING_MPS2
from sim_adapters.world.traffic.state import (
    CURRENT,
    Drivers,
    Occupancy,
    Overrides,
    Places,
    Progress,
    Sight,
    Tally,
)

CHANGE_S = 4.0  # a change takes the distance of this time, at least
MIN_CHANGE_M = 20.0
MIN_SPEED_MPS = 5.0
PAUSE_S = 8.0  # between two changes of one driver
DECISION_STEPS = 10  # drivers decide in turn, each once in so many steps
GAIN_MPS2 = 0.4  # MOBIL's threshold
POLITENESS = 0.3
NEW_FOLLOWER_BRAKING_MPS2 = 2.0  # MOBIL's safety bound
_MAX_BASE_M = 60.0  # how far behind a follower may be to count
_HEADWAY_S, _MIN_GAP_M = 1.2, 2.0  # taken for the ego as a follower


@inlined_function
def blend_offset(places: Places, world: int, slot: int, moved_m: float) -> None:
    """Let the lateral offset of a change go smoothly to zero with the distance driven."""
    if places.offset_start_m[world, slot] == 0.0:
        return
    places.change_m[world, slot] += moved_m
    t = places.change_m[world, slot] / places.change_length_m[world, slot]
    if t >= 1.0:
        places.offset_m[world, slot] = places.offset_start_m[world, slot] = 0.0
        places.change_from[world, slot] = -1
        return
    # Quintic blend: no jump in heading or curvature at either end
    blend = t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
    places.offset_m[world, slot] = places.offset_start_m[world, slot] * (1.0 - blend)


@inlined_function
def nearest_behind(
    occupancy: Occupancy, world: int, row: int, slot: int, base_m: float
) -> tuple[int, float]:
    """Last body behind a place on one lane.

    `base_m` leads from the place to the lane's start. Returns its node (-1 none) and the distance
    from the place back to its front.
    """
    best, best_m = -1, np.inf
    node = occupancy.head[world, row]
    while node >= 0:
        behind = -(base_m + occupancy.center_m[world, node])
        front = behind - occupancy.half_m[world, node]
        if occupancy.slot[world, node] != slot and behind >= 0.0 and front < best_m:
            best, best_m = node, front
        node = occupancy.next[world, node]
    return best, best_m


@inlined_function
def find_follower(
    lanes: Lanes,
    links: LaneLinks,
    occupancy: Occupancy,
    world: int,
    slot: int,
    first_lane: int,
    lane: int,
    s_m: float,
) -> tuple[int, float]:
    """Nearest body behind `s_m` on a lane, its predecessors and theirs; node and distance."""
    best, best_m = nearest_behind(occupancy, world, lane - first_lane, slot, -s_m)
    if best >= 0:
        return best, best_m
    for row in range(links.predecessor_first[lane], links.predecessor_first[lane + 1]):
        before = links.predecessor[row]
        base = -s_m - float(lanes.length_m[before])
        node, front = nearest_behind(occupancy, world, before - first_lane, slot, base)
        if node >= 0 and front < best_m:
            best, best_m = node, front
        if -base > _MAX_BASE_M:
            continue
        for deeper in range(links.predecessor_first[before], links.predecessor_first[before + 1]):
            further = links.predecessor[deeper]
            node, front = nearest_behind(
                occupancy, world, further - first_lane, slot, base - float(lanes.length_m[further])
            )
            if node >= 0 and front < best_m:
                best, best_m = node, front
    return best, best_m


@inlined_function
def follower_loss_mps2(
    occupancy: Occupancy,
    sight: Sight,
    world: int,
    node: int,
    gap_m: float,
    speed_mps: float,
    dt: float,
) -> float:
    """Acceleration that the new follower would lose; +inf if it could not bear it."""
    if node < 0:
        return 0.0
    other, its_speed = occupancy.slot[world, node], occupancy.speed_mps[world, node]
    if gap_m < _MIN_GAP_M + 0.5 * its_speed:
        return np.inf
    if its_speed > safe_speed_mps(gap_m - _MIN_GAP_M, speed_mps, 0.5 * EMERGENCY_BRAKING_MPS2, dt):
        return np.inf
    desired = sight.desired_mps[world, other]
    desired = desired if desired > 0.0 else its_speed
    before = idm_acceleration(
        its_speed, desired, sight.gap_m[world, other], sight.lead_speed_mps[world, other],
        2.0, 2.5, _HEADWAY_S, _MIN_GAP_M,
    )  # fmt: skip
    after = idm_acceleration(its_speed, desired, gap_m, speed_mps, 2.0, 2.5, _HEADWAY_S, _MIN_GAP_M)
    return np.inf if after < -NEW_FOLLOWER_BRAKING_MPS2 else max(before - after, 0.0)


@inlined_function
def change_gain_mps2(
    lanes: Lanes,
    links: LaneLinks,
    drivers: Drivers,
    places: Places,
    occupancy: Occupancy,
    sight: Sight,
    world: int,
    slot: int,
    first_lane: int,
    target: int,
    s_m: float,
    half_length_m: float,
    half_width_m: float,
    dt: float,
) -> float:
    """MOBIL's gain of a change to `s_m` of lane `target`; -inf if a gap is too small."""
    speed = places.speed_mps[world, slot]
    node = nearest_ahead(occupancy, world, target - first_lane, slot, -s_m, half_width_m)
    gap, lead_speed = np.inf, 0.0
    if node >= 0:
        rear = occupancy.center_m[world, node] - occupancy.half_m[world, node] - s_m
        gap, lead_speed = rear - half_length_m, occupancy.speed_mps[world, node]
        near = _MIN_GAP_M + 0.5 * speed
        if gap < near or speed > safe_speed_mps(
            gap - _MIN_GAP_M, lead_speed, 0.5 * EMERGENCY_BRAKING_MPS2, dt
        ):
            return -np.inf
    behind, front = find_follower(lanes, links, occupancy, world, slot, first_lane, target, s_m)
    loss = follower_loss_mps2(occupancy, sight, world, behind, front - half_length_m, speed, dt)
    desired = sight.desired_mps[world, slot]
    limit, brake = (
        drivers.max_acceleration_mps2[world, slot],
        drivers.comfortable_braking_mps2[world, slot],
    )
    headway, min_gap = drivers.headway_s[world, slot], drivers.min_gap_m[world, slot]
    now = idm_acceleration(
        speed, desired, sight.gap_m[world, slot], sight.lead_speed_mps[world, slot], limit, brake,
        headway, min_gap,
    )  # fmt: skip
    then = idm_acceleration(speed, desired, gap, lead_speed, limit, brake, headway, min_gap)
    return then - now - POLITENESS * loss


@inlined_function
def may_change(
    lanes: Lanes,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    sight: Sight,
    world: int,
    slot: int,
    now_s: float,
) -> bool:
    """Whether a driver wants out of its lane and has the time and place for it."""
    speed = places.speed_mps[world, slot]
    lane = places.path[world, slot, CURRENT]
    needed = max(CHANGE_S * speed, MIN_CHANGE_M) + 8.0
    slowed = (
        sight.leader[world, slot] >= 0
        and sight.lead_speed_mps[world, slot] < sight.desired_mps[world, slot] - 1.0
        and sight.gap_m[world, slot] < 20.0 + 2.0 * speed
    )
    s = places.s_m[world, slot]
    return bool(
        slowed
        and speed > MIN_SPEED_MPS
        and places.offset_start_m[world, slot] == 0.0
        and progress.reserved_to[world, slot] <= CURRENT
        and not overrides.keeps_path[world, slot]
        and now_s - progress.changed_at_s[world, slot] > PAUSE_S
        and lanes.junction[lane] < 0
        and s > 2.0 * traits.half_length_m[world, slot] + 2.0
        and lanes.length_m[lane] - s > needed
        and sight.entry_m[world, slot] > needed
    )


@inlined_function
def begin_change(
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    table: TrafficMap,
    motion: ActorMotion,
    places: Places,
    progress: Progress,
    sight: Sight,
    world: int,
    slot: int,
    target: int,
    s_m: float,
    seed: np.uint64,
    now_s: float,
) -> None:
    """Put the path on the target lane, with the present place as lateral offset."""
    point = lanes.first_point[target] + int(s_m)
    yaw = points.yaw_rad[point]
    dx = motion.x[world, slot] - points.x[point]
    dy = motion.y[world, slot] - points.y[point]
    offset = left_offset_m(dx, dy, math.cos(yaw), math.sin(yaw))
    places.change_from[world, slot] = places.path[world, slot, CURRENT]
    places.s_m[world, slot] = s_m
    places.offset_m[world, slot] = places.offset_start_m[world, slot] = offset
    places.change_m[world, slot] = 0.0
    places.change_length_m[world, slot] = max(
        CHANGE_S * places.speed_mps[world, slot], MIN_CHANGE_M
    )
    progress.changed_at_s[world, slot] = now_s
    progress.reserved_to[world, slot] = 0
    start_path(links, table, places, progress, world, slot, target, seed)
    # What was seen of the next junction belongs to the old path
    sight.wish[world, slot] = WISH_NONE
    sight.entry_index[world, slot], sight.entry_m[world, slot] = 0, np.inf


@range_kernel
def change_lanes_range(
    first_world: int,
    last_world: int,
    ranges: MapRanges,
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
    occupancy: Occupancy,
    sight: Sight,
    table: TrafficMap,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Let drivers whose turn it is begin a lane change that pays and hurts nobody."""
    for world in range(first_world, last_world):
        now_s, seed = clocks.elapsed_s[world], clocks.seed[world]
        first_lane = int(ranges.lane[clocks.map_index[world]])
        first = layout.first_vehicle
        turn = (round(now_s / dt) - first) % DECISION_STEPS
        for slot in range(first + turn, layout.first_pedestrian, DECISION_STEPS):
            if not traits.valid[world, slot] or not may_change(
                lanes, traits, places, progress, overrides, sight, world, slot, now_s
            ):
                continue
            lane = int(places.path[world, slot, CURRENT])
            half, width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
            best, best_gain, best_s = -1, GAIN_MPS2, 0.0
            for side in range(2):
                target = int(lanes.left[lane] if side == 0 else lanes.right[lane])
                if target < 0 or not table.leads_on[target] or lanes.junction[target] >= 0:
                    continue
                s = places.s_m[world, slot] * lanes.length_m[target] / lanes.length_m[lane]
                gain = change_gain_mps2(
                    lanes, links, drivers, places, occupancy, sight, world, slot, first_lane,
                    target, s, half, width, dt,
                )  # fmt: skip
                if gain > best_gain:
                    best, best_gain, best_s = target, gain, s
            if best >= 0:
                begin_change(
                    points, lanes, links, table, motion, places, progress, sight, world, slot,
                    best, best_s, seed, now_s,
                )  # fmt: skip
                # Later drivers of this step see the place taken
                speed = places.speed_mps[world, slot]
                add_node(occupancy, world, first_lane, best, slot, best_s, half, speed, 0.0)
                tally.lane_changes[world] += 1
