"""Right of way: who may enter which junction, and never two on ways that meet.

A driver asks for its whole way through a junction before it would have to brake for it. The way
is granted if nobody who holds a way that meets it still has the meeting place before or under it,
if the exit has room (nobody blocks the box), and if lights, signs and priority allow. A granted
way stays reserved until the tail has left each lane; until the bumper crosses the line the grant
can be taken back. Drivers are asked in order of long waiting, priority and arrival, so the result
depends on no order of slots and a junction cannot lock up.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import EntryRule, LanePoints, LaneRules, Lanes
from sim_adapters.scene.state import ActorTraits, Lights, LightState
from sim_adapters.world.traffic_map import TrafficMap
from sim_adapters.world.traffic_perception import nearest_ahead
from sim_adapters.world.traffic_settings import (
    EMERGENCY_BRAKING_MPS2,
    RESERVE_BRAKING_MPS2,
    YELLOW_BRAKING_MPS2,
    TrafficSettings,
)
from sim_adapters.world.traffic_state import (
    CURRENT,
    PATH_LANES,
    Occupancy,
    Overrides,
    Places,
    Progress,
    Reservations,
    Sight,
)

# Sight.wish: no junction in sight, held by light or sign, far from one, asks, was refused
WISH_NONE, WISH_WAITS, WISH_FAR, WISH_ASKS, WISH_REFUSED = 0, 1, 2, 3, 4

EXIT_GAP_M = 2.5  # kept free between vehicles behind a junction
CLEAR_MARGIN_M = 0.7  # a tail this far past a meeting place has cleared it
ARRIVAL_M = 8.0  # bumper to line: has arrived
STOP_LINE_M = 3.0  # a standing bumper this near has obeyed the stop sign
STOP_SIGN_S = 1.0  # standing time that a stop sign asks for
PATIENCE_S = 12.0  # after this wait priority no longer binds, after 30 s it comes first
IMPATIENCE_S = 30.0
RIGHT_BEFORE_LEFT_S = 3.0  # waits shorter than this give way to the right

_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)
_LIGHT, _STOP = int(EntryRule.LIGHT), int(EntryRule.STOP)


@njit(cache=True)
def light_permits(
    rules: LaneRules,
    lights: Lights,
    world: int,
    first_signal: int,
    lane: int,
    front_m: float,
    speed_mps: float,
) -> bool:
    """Whether the light of a junction lane lets a vehicle enter whose bumper is `front_m` away.

    At yellow it drives on if it arrives before red and could not stop comfortably.
    """
    signal = rules.signal[lane]
    if rules.entry[lane] != _LIGHT or signal < 0:
        return True
    state = lights.state[world, signal - first_signal]
    if state == _RED:
        return False
    if state == _YELLOW:
        arrives = front_m < speed_mps * lights.remaining_s[world, signal - first_signal]
        return arrives and speed_mps * speed_mps > 2.0 * YELLOW_BRAKING_MPS2 * front_m
    return True


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def way_end(
    lanes: Lanes,
    places: Places,
    world: int,
    slot: int,
    entry_index: int,
    entry_m: float,
    room: float,
) -> tuple[int, float]:
    """Last lane of the way from an entry to the first place outside with `room` to stand.

    Returns:
        Path index of the way's last lane and the distance from the centre to its end. The index
        is 0 if the known path ends before.
    """
    path, base = places.path[world, slot], entry_m
    index = entry_index
    while index < PATH_LANES and path[index] >= 0:
        while index < PATH_LANES and path[index] >= 0 and lanes.junction[path[index]] >= 0:
            base += float(lanes.length_m[path[index]])
            index += 1
        last, end_m, free = index - 1, base, 0.0
        while index < PATH_LANES and path[index] >= 0 and lanes.junction[path[index]] < 0:
            free += float(lanes.length_m[path[index]])
            if free >= room:
                return last, end_m
            base += float(lanes.length_m[path[index]])
            index += 1
    return 0, base


@njit(cache=True)
def exit_has_room(
    lanes: Lanes,
    traits: ActorTraits,
    places: Places,
    occupancy: Occupancy,
    table: Reservations,
    world: int,
    slot: int,
    last_index: int,
    end_m: float,
    first_lane: int,
) -> bool:
    """Whether a vehicle fits behind the junction, after all who are on their way there."""
    path, width = places.path[world, slot], traits.half_width_m[world, slot]
    length = 2.0 * traits.half_length_m[world, slot]
    needed = length + EXIT_GAP_M
    last = path[last_index]
    node = table.head[world, last - first_lane]
    while node >= 0:
        other = table.slot[world, node]
        if other != slot and table.offset_m[world, node] + lanes.length_m[last] > 0.0:
            needed += 2.0 * traits.half_length_m[world, other] + EXIT_GAP_M
        node = table.next[world, node]
    base = end_m
    for index in range(last_index + 1, PATH_LANES):
        if path[index] < 0 or base > end_m + needed:
            break
        node = nearest_ahead(occupancy, world, path[index] - first_lane, slot, base, width)
        if node >= 0:
            room = base + occupancy.center_m[world, node] - occupancy.half_m[world, node] - end_m
            speed = occupancy.speed_mps[world, node]
            return room + (speed if speed > 3.0 else 0.0) >= needed
        base += float(lanes.length_m[path[index]])
    return True


@njit(cache=True)
def way_is_clear(
    lanes: Lanes,
    map_table: TrafficMap,
    traits: ActorTraits,
    places: Places,
    occupancy: Occupancy,
    table: Reservations,
    world: int,
    slot: int,
    entry_index: int,
    last_index: int,
    first_lane: int,
    first_vehicle: int,
    first_other: int,
) -> bool:
    """Whether nobody else's reserved way, and no body in the junction, meets this way."""
    path = places.path[world, slot]
    for index in range(entry_index, last_index + 1):
        lane = path[index]
        for row in range(map_table.conflict_first[lane], map_table.conflict_first[lane + 1]):
            if map_table.forks[row]:
                continue
            other_lane = map_table.conflict[row] - first_lane
            end = map_table.interval_m[row, 3]
            node = table.head[world, other_lane]
            while node >= 0:
                other = table.slot[world, node]
                tail = -table.offset_m[world, node] - traits.half_length_m[world, other]
                if other != slot and tail < end + CLEAR_MARGIN_M:
                    return False
                node = table.next[world, node]
            node = occupancy.head[world, other_lane]
            while node >= 0:
                other = occupancy.slot[world, node]
                is_ours = first_vehicle <= other < first_other
                tail = occupancy.center_m[world, node] - occupancy.half_m[world, node]
                moves = occupancy.speed_mps[world, node] > 0.3
                front = occupancy.center_m[world, node] + occupancy.half_m[world, node]
                # Foreign bodies block where they are and, moving, everything ahead of them
                if (
                    not is_ours
                    and tail < end + CLEAR_MARGIN_M
                    and (moves or front > map_table.interval_m[row, 2])
                ):
                    return False
                node = occupancy.next[world, node]
    return True


@njit(cache=True)
def ways_meet(
    map_table: TrafficMap,
    lanes: Lanes,
    places: Places,
    world: int,
    slot: int,
    entry_index: int,
    last_index: int,
    other: int,
    other_entry: int,
) -> bool:
    """Whether the way of `slot` meets the first junction that `other` is about to enter."""
    theirs = places.path[world, other]
    junction = lanes.junction[theirs[other_entry]]
    for index in range(entry_index, last_index + 1):
        lane = places.path[world, slot, index]
        for row in range(map_table.conflict_first[lane], map_table.conflict_first[lane + 1]):
            if map_table.forks[row]:
                continue
            step = other_entry
            while step < PATH_LANES and theirs[step] >= 0:
                if lanes.junction[theirs[step]] != junction:
                    break
                if theirs[step] == map_table.conflict[row]:
                    return True
                step += 1
    return False


@njit(cache=True)
def must_give_way(
    points: LanePoints,
    lanes: Lanes,
    rules: LaneRules,
    map_table: TrafficMap,
    places: Places,
    progress: Progress,
    sight: Sight,
    world: int,
    slot: int,
    last_index: int,
    way_m: float,
    first_vehicle: int,
    first_other: int,
) -> bool:
    """Whether somebody with priority is about to enter on a way that meets this one."""
    waited = progress.standing_s[world, slot]
    if waited > PATIENCE_S:
        return False
    entry = sight.entry_index[world, slot]
    mine = places.path[world, slot, entry]
    my_yaw = points.yaw_rad[lanes.first_point[mine]]
    clear_s = 1.0 + way_m / max(places.speed_mps[world, slot], 4.0)
    for other in range(first_vehicle, first_other):
        wish = sight.wish[world, other]
        if other == slot or (wish != WISH_FAR and wish != WISH_ASKS):
            continue
        lane = places.path[world, other, sight.entry_index[world, other]]
        if (
            lanes.junction[lane] != lanes.junction[mine]
            or rules.priority[lane] < rules.priority[mine]
        ):
            continue
        if rules.priority[lane] == rules.priority[mine]:
            turn = wrap_angle(float(points.yaw_rad[lanes.first_point[lane]] - my_yaw))
            from_right = 0.25 * math.pi < turn < 0.75 * math.pi
            if not from_right or waited > RIGHT_BEFORE_LEFT_S:
                continue
        speed = places.speed_mps[world, other]
        arrives_s = sight.entry_m[world, other] / max(speed, 0.1)
        if (
            speed > 1.0
            and arrives_s < clear_s
            and ways_meet(
                map_table, lanes, places, world, slot, entry, last_index, other,
                sight.entry_index[world, other],
            )
        ):  # fmt: skip
            return True
    return False


@njit(cache=True)
def wish_of(
    lanes: Lanes,
    rules: LaneRules,
    lights: Lights,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    sight: Sight,
    settings: TrafficSettings,
    world: int,
    slot: int,
    first_signal: int,
    now_s: float,
) -> int:
    """What a driver wants of the next junction; notes arrival and obeyed stop signs."""
    entry = sight.entry_index[world, slot]
    if entry == 0:
        progress.arrived_s[world, slot] = np.inf
        return WISH_NONE
    speed = places.speed_mps[world, slot]
    front = sight.entry_m[world, slot] - traits.half_length_m[world, slot]
    if front < ARRIVAL_M and np.isinf(progress.arrived_s[world, slot]):
        progress.arrived_s[world, slot] = now_s
    lane = places.path[world, slot, entry]
    heeds_light = settings.obeys_lights and not overrides.ignores_lights[world, slot]
    if heeds_light and not light_permits(rules, lights, world, first_signal, lane, front, speed):
        return WISH_WAITS
    if settings.obeys_signs and rules.entry[lane] == _STOP:
        if front < STOP_LINE_M and progress.standing_s[world, slot] > STOP_SIGN_S:
            progress.stopped_for[world, slot] = lane
        if progress.stopped_for[world, slot] != lane:
            return WISH_WAITS
    if front > speed * speed / (2.0 * RESERVE_BRAKING_MPS2) + 1.5 * speed + 5.0:
        return WISH_FAR
    return WISH_ASKS


@njit(cache=True)
def review_grant(
    lanes: Lanes,
    rules: LaneRules,
    lights: Lights,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    settings: TrafficSettings,
    world: int,
    slot: int,
    first_signal: int,
) -> None:
    """Take back a grant if the light has changed and the vehicle can still stop."""
    reserved_to = progress.reserved_to[world, slot]
    if reserved_to <= CURRENT or not settings.obeys_lights or overrides.ignores_lights[world, slot]:
        return
    path = places.path[world, slot]
    base = -places.s_m[world, slot]
    for index in range(CURRENT, reserved_to):
        base += float(lanes.length_m[path[index]])
        lane = path[index + 1]
        if lanes.junction[lane] < 0 or lanes.junction[lane] == lanes.junction[path[index]]:
            continue
        front = base - traits.half_length_m[world, slot]
        speed = places.speed_mps[world, slot]
        stoppable = speed * speed < 2.0 * (EMERGENCY_BRAKING_MPS2 - 1.0) * (front - 0.2)
        if stoppable and not light_permits(rules, lights, world, first_signal, lane, front, speed):
            progress.reserved_to[world, slot] = index if lanes.junction[path[index]] >= 0 else 0
            return


@njit(cache=True)
def may_follow(places: Places, progress: Progress, sight: Sight, world: int, slot: int,
               first_vehicle: int, first_other: int) -> bool:  # fmt: skip
    """Whether nobody without a grant stands between a driver and its junction."""
    leader = int(sight.leader[world, slot])
    if leader < 0 or sight.leader_index[world, slot] >= sight.entry_index[world, slot]:
        return True
    if not first_vehicle <= leader < first_other:
        return False
    reserved_to = int(progress.reserved_to[world, leader])
    return reserved_to > CURRENT


@njit(cache=True)
def goes_before(
    rules: LaneRules,
    places: Places,
    progress: Progress,
    sight: Sight,
    world: int,
    slot: int,
    other: int,
) -> bool:
    """Whether `slot` is asked before `other`: long waiting, then priority, then arrival."""
    impatient = progress.standing_s[world, slot] > IMPATIENCE_S
    other_impatient = progress.standing_s[world, other] > IMPATIENCE_S
    if impatient != other_impatient:
        return impatient
    mine = rules.priority[places.path[world, slot, sight.entry_index[world, slot]]]
    theirs = rules.priority[places.path[world, other, sight.entry_index[world, other]]]
    if mine != theirs and not impatient:
        return mine > theirs
    arrived, other_arrived = progress.arrived_s[world, slot], progress.arrived_s[world, other]
    if arrived != other_arrived:
        return arrived < other_arrived
    near, other_near = sight.entry_m[world, slot], sight.entry_m[world, other]
    return near < other_near or (near == other_near and slot < other)


@njit(cache=True)
def grant_way(
    points: LanePoints,
    lanes: Lanes,
    rules: LaneRules,
    map_table: TrafficMap,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    occupancy: Occupancy,
    table: Reservations,
    sight: Sight,
    world: int,
    slot: int,
    first_lane: int,
    first_vehicle: int,
    first_other: int,
) -> None:
    """Grant one driver its way through the next junction if all conditions hold."""
    if not may_follow(places, progress, sight, world, slot, first_vehicle, first_other):
        return
    entry, entry_m = sight.entry_index[world, slot], sight.entry_m[world, slot]
    half = traits.half_length_m[world, slot]
    last, end_m = way_end(lanes, places, world, slot, entry, entry_m, 2.0 * half + 1.0)
    if last == 0 or not exit_has_room(
        lanes, traits, places, occupancy, table, world, slot, last, end_m, first_lane
    ):
        return
    if not way_is_clear(
        lanes, map_table, traits, places, occupancy, table, world, slot, entry, last,
        first_lane, first_vehicle, first_other,
    ):  # fmt: skip
        return
    if must_give_way(
        points, lanes, rules, map_table, places, progress, sight, world, slot, last,
        end_m + half, first_vehicle, first_other,
    ):  # fmt: skip
        return
    progress.reserved_to[world, slot] = last
    progress.arrived_s[world, slot] = np.inf
    base, path = entry_m, places.path[world, slot]
    for index in range(entry, last + 1):
        if lanes.junction[path[index]] >= 0:
            add_reservation(table, world, first_lane, path[index], slot, base)
        base += float(lanes.length_m[path[index]])
    sight.entry_index[world, slot], sight.entry_m[world, slot] = 0, np.inf
    sight.wish[world, slot] = WISH_NONE


@njit(cache=True)
def collect_reservations(
    lanes: Lanes,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    table: Reservations,
    world: int,
    first_lane: int,
    first_vehicle: int,
    first_other: int,
) -> None:
    """Rebuild the lists of reserved junction lanes of one world."""
    for node in range(table.num_nodes[world]):
        table.head[world, table.lane[world, node] - first_lane] = -1
    table.num_nodes[world] = 0
    for slot in range(first_vehicle, first_other):
        if not traits.valid[world, slot]:
            continue
        reserved_to = progress.reserved_to[world, slot]
        if overrides.ignores_junctions[world, slot]:
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


@njit(cache=True)
def arbitrate(
    points: LanePoints,
    lanes: Lanes,
    rules: LaneRules,
    map_table: TrafficMap,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    occupancy: Occupancy,
    table: Reservations,
    sight: Sight,
    world: int,
    first_lane: int,
    first_vehicle: int,
    first_other: int,
) -> None:
    """Ask all drivers who want to enter a junction, one after the other in the order of right."""
    while True:
        chosen = -1
        for slot in range(first_vehicle, first_other):
            if sight.wish[world, slot] == WISH_ASKS and (
                chosen < 0 or goes_before(rules, places, progress, sight, world, slot, chosen)
            ):
                chosen = slot
        if chosen < 0:
            return
        sight.wish[world, chosen] = WISH_REFUSED
        grant_way(
            points, lanes, rules, map_table, traits, places, progress, occupancy, table, sight,
            world, chosen, first_lane, first_vehicle, first_other,
        )  # fmt: skip
