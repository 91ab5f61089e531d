"""What a driver wants at the next junction, and who of two goes first."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_bank import EntryRule, LaneRules, Lanes
from sim_adapters.scene.state import Lights, LightState
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.settings import (
    EMERGENCY_BRAKING_MPS2,
    RESERVE_BRAKING_MPS2,
    YELLOW_BRAKING_MPS2,
    TrafficSettings,
)
from sim_adapters.world.traffic.state import CURRENT, PATH_LANES, Places, TrafficState

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
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    world: int,
    slot: int,
    first_signal: int,
) -> int:
    """What a driver wants of the next junction; notes arrival and obeyed stop signs."""
    rules, places, progress, sight = roads.rules, traffic.places, traffic.progress, traffic.sight
    entry = sight.entry_index[world, slot]
    if entry == 0:
        progress.arrived_s[world, slot] = np.inf
        progress.stopped_for[world, slot] = -1
        return WISH_NONE
    speed = places.speed_mps[world, slot]
    front = sight.entry_m[world, slot] - scene.traits.half_length_m[world, slot]
    if front < ARRIVAL_M and np.isinf(progress.arrived_s[world, slot]):
        progress.arrived_s[world, slot] = scene.clocks.elapsed_s[world]
    lane = places.path[world, slot, entry]
    if progress.stopped_for[world, slot] != lane:
        progress.stopped_for[world, slot] = -1  # a stop holds for once, not for the next round
    heeds_light = settings.obeys_lights and not traffic.overrides.ignores_lights[world, slot]
    if heeds_light and not light_permits(
        rules, scene.lights, world, first_signal, lane, front, speed
    ):
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
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    world: int,
    slot: int,
    first_signal: int,
) -> None:
    """Take back a grant if the light has changed and the vehicle can still stop."""
    lanes, places, progress = roads.lanes, traffic.places, traffic.progress
    reserved_to, heeds_light = progress.reserved_to[world, slot], settings.obeys_lights
    if reserved_to <= CURRENT or not heeds_light or traffic.overrides.ignores_lights[world, slot]:
        return
    path = places.path[world, slot]
    base = -places.s_m[world, slot]
    for index in range(CURRENT, reserved_to):
        base += float(lanes.length_m[path[index]])
        lane = path[index + 1]
        if lanes.junction[lane] < 0 or lanes.junction[lane] == lanes.junction[path[index]]:
            continue
        front = base - scene.traits.half_length_m[world, slot]
        speed = places.speed_mps[world, slot]
        stoppable = speed * speed < 2.0 * (EMERGENCY_BRAKING_MPS2 - 1.0) * (front - 0.2)
        if stoppable and not light_permits(
            roads.rules, scene.lights, world, first_signal, lane, front, speed
        ):
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
    roads: LaneGraph, scene: WorldScene, traffic: TrafficState, world: int, slot: int, other: int
) -> bool:
    """Whether `slot` is asked before `other`.

    Whoever is inside a junction comes first, then long waiting, then priority, then arrival.
    """
    lanes, priority, half_length_m = roads.lanes, roads.rules.priority, scene.traits.half_length_m
    places, progress, sight = traffic.places, traffic.progress, traffic.sight
    inside = stands_inside(lanes, places, world, slot, half_length_m[world, slot])
    other_inside = stands_inside(lanes, places, world, other, half_length_m[world, other])
    if inside != other_inside:
        return inside
    impatient = bool(progress.standing_s[world, slot] > IMPATIENCE_S)
    other_impatient = bool(progress.standing_s[world, other] > IMPATIENCE_S)
    if impatient != other_impatient:
        return impatient
    mine = priority[places.path[world, slot, sight.entry_index[world, slot]]]
    theirs = priority[places.path[world, other, sight.entry_index[world, other]]]
    if mine != theirs and not impatient:
        return bool(mine > theirs)
    arrived, other_arrived = progress.arrived_s[world, slot], progress.arrived_s[world, other]
    if arrived != other_arrived:
        return arrived < other_arrived
    near, other_near = float(sight.entry_m[world, slot]), float(sight.entry_m[world, other])
    return near < other_near or (near == other_near and slot < other)


class JunctionWay(NamedTuple):
    """The way through a junction that a driver asks for."""

    slot: int  # of the driver
    entry_index: int  # path index of its first lane
    entry_m: float  # from the vehicle's centre to the start of that lane
    last_index: int  # path index of its last lane
    end_m: float  # from the vehicle's centre to the end of that lane


@inlined_function
def ways_meet(
    lanes: Lanes, traffic: TrafficState, world: int, way: JunctionWay, other: int
) -> bool:
    """Whether a way meets the first junction that `other` is about to enter."""
    places, table = traffic.places, traffic.map
    theirs, other_entry = places.path[world, other], traffic.sight.entry_index[world, other]
    junction = lanes.junction[theirs[other_entry]]
    for index in range(way.entry_index, way.last_index + 1):
        lane = places.path[world, way.slot, index]
        for row in range(table.conflict_first[lane], table.conflict_first[lane + 1]):
            if table.forks[row]:
                continue
            step = other_entry
            while step < PATH_LANES and theirs[step] >= 0:
                if lanes.junction[theirs[step]] != junction:
                    break
                if theirs[step] == table.conflict[row]:
                    return True
                step += 1
    return False


@inlined_function
def must_give_way(
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    layout: SlotLayout,
    world: int,
    way: JunctionWay,
) -> bool:
    """Whether somebody with priority is about to enter on a way that meets this one.

    Who has waited in vain for gaps in a stream has priority over the rest of the stream.
    """
    lanes, sight = roads.lanes, traffic.sight
    for other in range(layout.first_vehicle, layout.first_pedestrian):
        is_claimed = sight.wish[world, other] == WISH_CLAIMS
        if is_claimed and ways_meet(lanes, traffic, world, way, other):
            return True
    if traffic.progress.standing_s[world, way.slot] > PATIENCE_S:
        return False
    speed_mps = traffic.places.speed_mps
    way_m = way.end_m + scene.traits.half_length_m[world, way.slot]
    clear_s = 1.0 + way_m / max(speed_mps[world, way.slot], 4.0)
    for other in range(layout.first_vehicle, layout.first_pedestrian):
        wish = sight.wish[world, other]
        if other == way.slot or (wish != WISH_FAR and wish != WISH_ASKS):
            continue
        if not has_priority(roads, traffic, world, way, other):
            continue
        speed = speed_mps[world, other]
        arrives_s = sight.entry_m[world, other] / max(speed, 0.1)
        if speed > 1.0 and arrives_s < clear_s and ways_meet(lanes, traffic, world, way, other):
            return True
    return False


@inlined_function
def has_priority(
    roads: LaneGraph, traffic: TrafficState, world: int, way: JunctionWay, other: int
) -> bool:
    """Whether `other` enters the same junction with more right, or from our right for a while."""
    lanes, priority, path = roads.lanes, roads.rules.priority, traffic.places.path
    mine = path[world, way.slot, way.entry_index]
    theirs = path[world, other, traffic.sight.entry_index[world, other]]
    if lanes.junction[theirs] != lanes.junction[mine] or priority[theirs] < priority[mine]:
        return False
    if priority[theirs] > priority[mine]:
        return True
    yaw_rad = roads.points.yaw_rad
    my_yaw, their_yaw = yaw_rad[lanes.first_point[mine]], yaw_rad[lanes.first_point[theirs]]
    is_from_right = 0.25 * math.pi < wrap_angle(float(their_yaw - my_yaw)) < 0.75 * math.pi
    return is_from_right and traffic.progress.standing_s[world, way.slot] <= RIGHT_BEFORE_LEFT_S
