"""Right of way: who may enter which junction, and never two on ways that meet.

A driver asks for its whole way through a junction before it would have to brake for it. The way
is granted if nobody who holds a way that meets it still has the meeting place before or under it,
if the exit has room (nobody blocks the box), and if lights, signs and priority allow. A granted
way stays reserved until the tail has left each lane; until the bumper crosses the line the grant
can be taken back. Drivers are asked in order of long waiting, priority and arrival, so the result
depends on no order of slots and a junction cannot lock up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.map_bank import Lanes
from sim_adapters.scene.state import ActorTraits
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.occupancy import SIDE_GAP_M, nearest_ahead
from sim_adapters.world.traffic.right_of_way import (
    PATIENCE_S,
    WISH_ASKS,
    WISH_CLAIMS,
    WISH_NONE,
    WISH_REFUSED,
    JunctionWay,
    goes_before,
    must_give_way,
    stands_inside,
)
from sim_adapters.world.traffic.state import (
    CURRENT,
    PATH_LANES,
    Places,
    Reservations,
    TrafficState,
)

CLEAR_MARGIN_M = 0.7  # a tail this far past a meeting place has cleared it


@inlined_function
def add_reservation(
    table: Reservations, world: int, first_lane: int, lane: int, slot: int, offset_m: float
) -> None:
    """Note that `slot` holds the right to cross `lane`, whose start is `offset_m` ahead of it."""
    node = table.num_nodes[world]
    if node >= table.next.shape[1]:
        return
    table.num_nodes[world] = node + 1
    table.lane[world, node] = lane
    table.slot[world, node] = slot
    table.offset_m[world, node] = offset_m
    table.next[world, node] = table.head[world, lane - first_lane]
    table.head[world, lane - first_lane] = node


@inlined_function
def reserve_way(
    lanes: Lanes,
    places: Places,
    table: Reservations,
    world: int,
    slot: int,
    half_length_m: float,
    first_lane: int,
    reserved_to: int,
) -> None:
    """Enter all junction lanes up to path index `reserved_to` that the tail has not left."""
    path, base = places.path[world, slot], -places.s_m[world, slot]
    index = CURRENT
    while index > 0 and path[index - 1] >= 0 and base > -half_length_m - CLEAR_MARGIN_M:
        index -= 1
        base -= lanes.length_m[path[index]]
    while index <= max(reserved_to, CURRENT) and path[index] >= 0:
        if lanes.junction[path[index]] >= 0:
            add_reservation(table, world, first_lane, path[index], slot, base)
        base += float(lanes.length_m[path[index]])
        index += 1


@inlined_function
def collect_reservations(
    lanes: Lanes,
    traits: ActorTraits,
    traffic: TrafficState,
    layout: SlotLayout,
    world: int,
    first_lane: int,
) -> None:
    """Rebuild the lists of reserved junction lanes of one world."""
    places, table = traffic.places, traffic.reservations
    for node in range(table.num_nodes[world]):
        table.head[world, table.lane[world, node] - first_lane] = -1
    table.num_nodes[world] = 0
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot]:
            continue
        reserved_to = traffic.progress.reserved_to[world, slot]
        if traffic.overrides.ignores_junctions[world, slot]:
            # Others must expect it: it takes every junction within four seconds
            reach = places.s_m[world, slot] + 4.0 * places.speed_mps[world, slot]
            reserved_to = CURRENT
            while reserved_to < PATH_LANES - 1 and places.path[world, slot, reserved_to + 1] >= 0:
                reach -= lanes.length_m[places.path[world, slot, reserved_to]]
                if reach < 0.0:
                    break
                reserved_to += 1
        half = traits.half_length_m[world, slot]
        reserve_way(lanes, places, table, world, slot, half, first_lane, reserved_to)


LONGEST_WAY_M = 30.0  # beyond it a driver may wait inside for the next stretch
WAY_CLEAR, WAY_PASSED, WAY_BLOCKED = 0, 1, 2
STREAM_MPS = 1.0  # slower ones may be stuck inside: holding others back would not help
EXIT_GAP_M = 2.5  # kept free between vehicles behind a junction


@inlined_function
def way_end(
    lanes: Lanes,
    path: NDArray[np.int32],
    entry_index: int,
    entry_m: float,
    room_m: float,
) -> tuple[int, float]:
    """Last lane of the way from an entry to the first place outside with room to stand.

    Junctions joined by shorter links are one way, up to LONGEST_WAY_M: a roundabout is taken in
    stretches, standing on its ring if need be.

    Returns:
        Path index of the way's last lane and the distance from the centre to its end.
    """
    base, index = entry_m, entry_index
    last, end_m = entry_index, entry_m
    while index < PATH_LANES and path[index] >= 0:
        while index < PATH_LANES and path[index] >= 0 and lanes.junction[path[index]] >= 0:
            base += float(lanes.length_m[path[index]])
            index += 1
        last, end_m, free = index - 1, base, 0.0
        if end_m - entry_m > LONGEST_WAY_M:
            break
        while index < PATH_LANES and path[index] >= 0 and lanes.junction[path[index]] < 0:
            free += float(lanes.length_m[path[index]])
            if free >= room_m:
                return last, end_m
            base += float(lanes.length_m[path[index]])
            index += 1
    return last, end_m


@inlined_function
def exit_has_room(
    lanes: Lanes,
    scene: WorldScene,
    traffic: TrafficState,
    world: int,
    first_lane: int,
    way: JunctionWay,
) -> bool:
    """Whether a vehicle fits behind the junction, after all who are on their way there."""
    traits, occupancy, table = scene.traits, traffic.occupancy, traffic.reservations
    slot, end_m = way.slot, way.end_m
    path, width = traffic.places.path[world, slot], traits.half_width_m[world, slot]
    length = 2.0 * traits.half_length_m[world, slot]
    needed = length + EXIT_GAP_M
    last = path[way.last_index]
    node = table.head[world, last - first_lane]
    while node >= 0:
        other = table.slot[world, node]
        if other != slot and table.offset_m[world, node] + lanes.length_m[last] > 0.0:
            needed += 2.0 * traits.half_length_m[world, other] + EXIT_GAP_M
        node = table.next[world, node]
    base = end_m
    for index in range(way.last_index + 1, PATH_LANES):
        if path[index] < 0 or base > end_m + needed:
            break
        node = nearest_ahead(occupancy, world, path[index] - first_lane, slot, base, width)
        if node >= 0:
            room = base + occupancy.center_m[world, node] - occupancy.half_m[world, node] - end_m
            speed = occupancy.speed_mps[world, node]
            return room + (speed if speed > 3.0 else 0.0) >= needed
        base += float(lanes.length_m[path[index]])
    return True


@inlined_function
def stands_in_way(
    traffic: TrafficState, world: int, row: int, slot: int, half_width_m: float
) -> bool:
    """Whether a body reaches into a lane, here `row` of the map's, farther than a driver bears."""
    occupancy = traffic.occupancy
    node = occupancy.head[world, row]
    while node >= 0:
        near_side = occupancy.clearance_m[world, node] < half_width_m + SIDE_GAP_M
        if occupancy.slot[world, node] == slot and near_side:
            return True
        node = occupancy.next[world, node]
    return False


@inlined_function
def way_is_clear(
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
    world: int,
    first_lane: int,
    way: JunctionWay,
) -> int:
    """Whether somebody's reserved way or a body in the junction meets this way.

    Returns:
        WAY_CLEAR, WAY_PASSED (by a moving vehicle with a reservation) or WAY_BLOCKED.
    """
    half_length_m, places = scene.traits.half_length_m, traffic.places
    occupancy, table, overlaps = traffic.occupancy, traffic.reservations, traffic.map
    for index in range(way.entry_index, way.last_index + 1):
        lane = places.path[world, way.slot, index]
        for row in range(overlaps.conflict_first[lane], overlaps.conflict_first[lane + 1]):
            if overlaps.forks[row]:
                continue
            other_lane = overlaps.conflict[row] - first_lane
            end = overlaps.interval_m[row, 3]
            node = table.head[world, other_lane]
            while node >= 0:
                other = table.slot[world, node]
                tail = -table.offset_m[world, node] - half_length_m[world, other]
                if other != way.slot and tail < end + CLEAR_MARGIN_M:
                    moves = places.speed_mps[world, other] > STREAM_MPS
                    return WAY_PASSED if moves else WAY_BLOCKED
                node = table.next[world, node]
            node = occupancy.head[world, other_lane]
            while node >= 0:
                other = occupancy.slot[world, node]
                is_ours = layout.first_vehicle <= other < layout.first_pedestrian
                tail = occupancy.center_m[world, node] - occupancy.half_m[world, node]
                moves = occupancy.speed_mps[world, node] > 0.3
                front = occupancy.center_m[world, node] + occupancy.half_m[world, node]
                # A foreign body that moves blocks all ahead of it, a standing one where it is
                is_before_or_in = not is_ours and tail < end + CLEAR_MARGIN_M
                if is_before_or_in and moves:
                    return WAY_BLOCKED
                if is_before_or_in and front > overlaps.interval_m[row, 2]:
                    width = scene.traits.half_width_m[world, way.slot]
                    if stands_in_way(traffic, world, lane - first_lane, other, width):
                        return WAY_BLOCKED
                node = occupancy.next[world, node]
    return WAY_CLEAR


@inlined_function
def may_follow(traffic: TrafficState, layout: SlotLayout, world: int, slot: int) -> bool:
    """Whether nobody without a grant stands between a driver and its junction."""
    sight = traffic.sight
    leader = int(sight.leader[world, slot])
    if leader < 0 or sight.leader_index[world, slot] >= sight.entry_index[world, slot]:
        return True
    if not layout.first_vehicle <= leader < layout.first_pedestrian:
        return False
    reserved_to = int(traffic.progress.reserved_to[world, leader])
    return reserved_to > CURRENT


@inlined_function
def grant_way(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
    world: int,
    slot: int,
    first_lane: int,
) -> None:
    """Grant one driver its way through the next junction if all conditions hold.

    Who is refused for a moving vehicle after a long wait claims the next gap: each of a stream asks
    while the one before it is still inside, and a waiting driver would never find the way clear.
    """
    if not may_follow(traffic, layout, world, slot):
        return
    lanes, places = roads.lanes, traffic.places
    progress, sight = traffic.progress, traffic.sight
    entry, entry_m = sight.entry_index[world, slot], sight.entry_m[world, slot]
    half, path = scene.traits.half_length_m[world, slot], places.path[world, slot]
    last, end_m = way_end(lanes, path, entry, entry_m, 2.0 * half + 1.0)
    way = JunctionWay(slot, entry, entry_m, last, end_m)
    if not exit_has_room(lanes, scene, traffic, world, first_lane, way):
        return
    state = way_is_clear(scene, traffic, layout, world, first_lane, way)
    if state != WAY_CLEAR:
        if state == WAY_PASSED and progress.standing_s[world, slot] > PATIENCE_S:
            sight.wish[world, slot] = WISH_CLAIMS
        return
    is_inside = stands_inside(lanes, places, world, slot, half)
    if not is_inside and must_give_way(roads, scene, traffic, layout, world, way):
        return
    progress.reserved_to[world, slot] = last
    progress.arrived_s[world, slot] = np.inf
    base = entry_m
    for index in range(entry, last + 1):
        if lanes.junction[path[index]] >= 0:
            add_reservation(traffic.reservations, world, first_lane, path[index], slot, base)
        base += float(lanes.length_m[path[index]])
    sight.entry_index[world, slot], sight.entry_m[world, slot] = 0, np.inf
    sight.wish[world, slot] = WISH_NONE


@inlined_function
def next_to_ask(
    roads: LaneGraph, scene: WorldScene, traffic: TrafficState, layout: SlotLayout, world: int
) -> int:
    """The driver with the best right among those who ask, or -1."""
    chosen = -1
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if traffic.sight.wish[world, slot] == WISH_ASKS and (
            chosen < 0 or goes_before(roads, scene, traffic, world, slot, chosen)
        ):
            chosen = slot
    return chosen


@range_kernel
def arbitrate_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
) -> None:
    """Ask all drivers who want to enter a junction, one after the other in the order of right."""
    for world in range(first_world, last_world):
        first_lane = int(roads.ranges.lane[scene.clocks.map_index[world]])
        collect_reservations(roads.lanes, scene.traits, traffic, layout, world, first_lane)
        while True:
            slot = next_to_ask(roads, scene, traffic, layout, world)
            if slot < 0:
                break
            traffic.sight.wish[world, slot] = WISH_REFUSED
            grant_way(roads, scene, traffic, layout, world, slot, first_lane)
