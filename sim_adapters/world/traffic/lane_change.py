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
from sim_adapters.scene.map_bank import LaneLinks, Lanes
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.idm import idm_acceleration, safe_speed_mps
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.occupancy import add_node, nearest_ahead
from sim_adapters.world.traffic.path import start_path
from sim_adapters.world.traffic.right_of_way import WISH_NONE
from sim_adapters.world.traffic.settings import EMERGENCY_BRAKING_MPS2
from sim_adapters.world.traffic.state import CURRENT, Occupancy, Places, Sight, TrafficState

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
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    first_lane: int,
    target: int,
    s_m: float,
    dt: float,
) -> float:
    """MOBIL's gain of a change to `s_m` of lane `target`; -inf if a gap is too small."""
    traits, drivers = scene.traits, traffic.drivers
    occupancy, sight = traffic.occupancy, traffic.sight
    half_length, half_width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
    speed = traffic.places.speed_mps[world, slot]
    node = nearest_ahead(occupancy, world, target - first_lane, slot, -s_m, half_width)
    gap, lead_speed = np.inf, 0.0
    if node >= 0:
        rear = occupancy.center_m[world, node] - occupancy.half_m[world, node] - s_m
        gap, lead_speed = rear - half_length, occupancy.speed_mps[world, node]
        near = _MIN_GAP_M + 0.5 * speed
        if gap < near or speed > safe_speed_mps(
            gap - _MIN_GAP_M, lead_speed, 0.5 * EMERGENCY_BRAKING_MPS2, dt
        ):
            return -np.inf
    behind, front = find_follower(
        roads.lanes, roads.links, occupancy, world, slot, first_lane, target, s_m
    )
    loss = follower_loss_mps2(occupancy, sight, world, behind, front - half_length, speed, dt)
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
    lanes: Lanes, scene: WorldScene, traffic: TrafficState, world: int, slot: int
) -> bool:
    """Whether a driver wants out of its lane and has the time and place for it."""
    places, progress, sight = traffic.places, traffic.progress, traffic.sight
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
        and not traffic.overrides.keeps_path[world, slot]
        and scene.clocks.elapsed_s[world] - progress.changed_at_s[world, slot] > PAUSE_S
        and lanes.junction[lane] < 0
        and s > 2.0 * scene.traits.half_length_m[world, slot] + 2.0
        and lanes.length_m[lane] - s > needed
        and sight.entry_m[world, slot] > needed
    )


@inlined_function
def begin_change(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    target: int,
    s_m: float,
) -> None:
    """Put the path on the target lane, with the present place as lateral offset."""
    points, motion, clocks = roads.points, scene.motion, scene.clocks
    places, progress, sight = traffic.places, traffic.progress, traffic.sight
    point = roads.lanes.first_point[target] + int(s_m)
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
    progress.changed_at_s[world, slot] = clocks.elapsed_s[world]
    progress.reserved_to[world, slot] = 0
    start_path(roads.links, traffic.map, places, progress, world, slot, target, clocks.seed[world])
    # What was seen of the next junction belongs to the old path
    sight.wish[world, slot] = WISH_NONE
    sight.entry_index[world, slot], sight.entry_m[world, slot] = 0, np.inf


@inlined_function
def best_change(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    slot: int,
    first_lane: int,
    dt: float,
) -> tuple[int, float]:
    """Neighbouring lane of the largest gain above the threshold (-1 none), and the place on it."""
    lanes, places = roads.lanes, traffic.places
    lane = int(places.path[world, slot, CURRENT])
    best, best_gain, best_s = -1, GAIN_MPS2, 0.0
    for side in range(2):
        target = int(lanes.left[lane] if side == 0 else lanes.right[lane])
        if target < 0 or not traffic.map.leads_on[target] or lanes.junction[target] >= 0:
            continue
        s = places.s_m[world, slot] * lanes.length_m[target] / lanes.length_m[lane]
        gain = change_gain_mps2(roads, scene, traffic, world, slot, first_lane, target, s, dt)
        if gain > best_gain:
            best, best_gain, best_s = target, gain, s
    return best, best_s


@range_kernel
def change_lanes_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Let drivers whose turn it is begin a lane change that pays and hurts nobody."""
    traits = scene.traits
    for world in range(first_world, last_world):
        first_lane = int(roads.ranges.lane[scene.clocks.map_index[world]])
        first = layout.first_vehicle
        turn = (round(scene.clocks.elapsed_s[world] / dt) - first) % DECISION_STEPS
        for slot in range(first + turn, layout.first_pedestrian, DECISION_STEPS):
            if not traits.valid[world, slot]:
                continue
            if not may_change(roads.lanes, scene, traffic, world, slot):
                continue
            target, s_m = best_change(roads, scene, traffic, world, slot, first_lane, dt)
            if target >= 0:
                begin_change(roads, scene, traffic, world, slot, target, s_m)
                # Later drivers of this step see the place taken
                half, speed = (
                    traits.half_length_m[world, slot],
                    traffic.places.speed_mps[world, slot],
                )
                add_node(traffic.occupancy, world, first_lane, target, slot, s_m, half, speed, 0.0)
                traffic.tally.lane_changes[world] += 1
