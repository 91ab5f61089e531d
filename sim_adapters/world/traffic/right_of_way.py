"""What a driver wants at the next junction, and who of two goes first."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import (
    EntryRule,
    LanePoints,
    LaneRules,
    Lanes,
)
from sim_adapters.scene.state import (
    ActorTraits,
    Lights,
    LightState,
)
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.settings import (
    EMERGENCY_BRAKING_MPS2,
    RESERVE_BRAKING_MPS2,
    YELLOW_BRAKING_MPS2,
    TrafficSettings,
)
from sim_adapters.world.traffic.state import (
    CURRENT,
    PATH_LANES,
    Overrides,
    Places,
    Progress,
    Sight,
)

# Sight.wish: no junction in sight, held by light or sign, far from one, asks, was refused, was
# refused for a stream that nobody else may join before
WISH_NONE, WISH_WAITS, WISH_FAR, WISH_ASKS, WISH_REFUSED, WISH_CLAIMS = 0, 1, 2, 3, 4, 5

ARRIVAL_M = 8.0  # bumper to line: has arrived
STOP_LINE_M = 3.0  # a standing bumper this near has obeyed the stop sign
STOP_SIGN_S = 1.0  # standing time that a stop sign asks for
PATIENCE_S = 12.0  # after this wait priority no longer binds, after 30 s it comes first
IMPATIENCE_S = 30.0
RIGHT_BEFORE_LEFT_S = 3.0  # waits shorter than this give way to the right

_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)
_LIGHT, _STOP = int(EntryRule.LIGHT), int(EntryRule.STOP)


@inlined_function
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


@inlined_function
def wish_of(
    rules: LaneRules,
    lights: Lights,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    sight: Sight,
    settings: TrafficSettings,
    world: int,
    slot: int,
    half_length_m: float,
    first_signal: int,
    now_s: float,
) -> int:
    """What a driver wants of the next junction; notes arrival and obeyed stop signs."""
    entry = sight.entry_index[world, slot]
    if entry == 0:
        progress.arrived_s[world, slot] = np.inf
        progress.stopped_for[world, slot] = -1
        return WISH_NONE
    speed = places.speed_mps[world, slot]
    front = sight.entry_m[world, slot] - half_length_m
    if front < ARRIVAL_M and np.isinf(progress.arrived_s[world, slot]):
        progress.arrived_s[world, slot] = now_s
    lane = places.path[world, slot, entry]
    if progress.stopped_for[world, slot] != lane:
        progress.stopped_for[world, slot] = -1  # a stop holds for once, not for the next round
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


@inlined_function
def review_grant(
    lanes: Lanes,
    rules: LaneRules,
    lights: Lights,
    places: Places,
    progress: Progress,
    overrides: Overrides,
    settings: TrafficSettings,
    world: int,
    slot: int,
    half_length_m: float,
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
        front = base - half_length_m
        speed = places.speed_mps[world, slot]
        stoppable = speed * speed < 2.0 * (EMERGENCY_BRAKING_MPS2 - 1.0) * (front - 0.2)
        if stoppable and not light_permits(rules, lights, world, first_signal, lane, front, speed):
            progress.reserved_to[world, slot] = index if lanes.junction[path[index]] >= 0 else 0
            return


@inlined_function
def stands_inside(
    lanes: Lanes, places: Places, world: int, slot: int, half_length_m: float
) -> bool:
    """Whether a vehicle is still on the lanes of a junction with its centre or its tail."""
    path = places.path[world, slot]
    if lanes.junction[path[CURRENT]] >= 0:
        return True
    s, index = places.s_m[world, slot], CURRENT
    while s < half_length_m and index > 0 and path[index - 1] >= 0:
        index -= 1
        if lanes.junction[path[index]] >= 0:
            return True
        s += lanes.length_m[path[index]]
    return False


@inlined_function
def goes_before(
    lanes: Lanes,
    rules: LaneRules,
    traits: ActorTraits,
    places: Places,
    progress: Progress,
    sight: Sight,
    world: int,
    slot: int,
    other: int,
) -> bool:
    """Whether `slot` is asked before `other`.

    Whoever is inside a junction comes first, then long waiting, then priority, then arrival.
    """
    inside = stands_inside(lanes, places, world, slot, traits.half_length_m[world, slot])
    other_inside = stands_inside(lanes, places, world, other, traits.half_length_m[world, other])
    if inside != other_inside:
        return inside
    impatient = bool(progress.standing_s[world, slot] > IMPATIENCE_S)
    other_impatient = bool(progress.standing_s[world, other] > IMPATIENCE_S)
    if impatient != other_impatient:
        return impatient
    mine = rules.priority[places.path[world, slot, sight.entry_index[world, slot]]]
    theirs = rules.priority[places.path[world, other, sight.entry_index[world, other]]]
    if mine != theirs and not impatient:
        return bool(mine > theirs)
    arrived, other_arrived = progress.arrived_s[world, slot], progress.arrived_s[world, other]
    if arrived != other_arrived:
        return arrived < other_arrived
    near, other_near = float(sight.entry_m[world, slot]), float(sight.entry_m[world, other])
    return near < other_near or (near == other_near and slot < other)


@inlined_function
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


@inlined_function
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
    """Whether somebody with priority is about to enter on a way that meets this one.

    Who has waited in vain for gaps in a stream has priority over the rest of the stream.
    """
    entry = sight.entry_index[world, slot]
    for other in range(first_vehicle, first_other):
        if sight.wish[world, other] == WISH_CLAIMS and ways_meet(
            map_table, lanes, places, world, slot, entry, last_index, other,
            sight.entry_index[world, other],
        ):  # fmt: skip
            return True
    waited = progress.standing_s[world, slot]
    if waited > PATIENCE_S:
        return False
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
