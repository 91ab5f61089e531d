"""Plays scenarios in which somebody crosses the road: a pedestrian from behind a prop, a cyclist.

As scenario_runner plays them: the prop (or the cyclist) stands there from afar, the pedestrian from
the trigger on. Somebody starts when the ego's centre is a reaction time or a few metres away from
where they would meet, goes straight on whatever the ego does, and is gone on the other side.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function
from sim_adapters.scene.map_bank import Lanes
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.pedestrian_state import set_pedestrian_body
from sim_adapters.world.scenarios.state import Crossers, Phase, Triggers
from sim_adapters.world.slots import (
    SlotLayout,
    clear_slot,
    first_scripted_pedestrian,
    first_scripted_static,
    new_actor_id,
)
from sim_adapters.world.traffic.state import CURRENT, Overrides, Places
from sim_adapters.world.vehicle_catalogue import (
    PROP_HALF_HEIGHT_M,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
)

SHORT_NOTICE_M = 6.0  # an ego whose centre is this near starts the crosser whatever its speed
LEFT_BEHIND_M, PATIENCE_S = 60.0, 60.0  # who has not started by then and is so far away again goes
ONCOMING_M = 20.0  # oncoming traffic this near to where they meet is taken away
BESIDE_M = 2.0  # from the route's line to the middle of who drives in its lane
STANDING_MPS = 1e-6
FIRST_SCRIPTED_GENERATION = 1_000_000  # that of the first trigger; no other actor gets there
_READY, _ACTING = int(Phase.READY), int(Phase.ACTING)
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)


@device_function
def last_free_slot(traits: ActorTraits, world: int, first: int, last: int) -> int:
    """The last empty slot of a range, -1 if all are taken."""
    for slot in range(last - 1, first - 1, -1):
        if not traits.valid[world, slot]:
            return slot
    return -1


@device_function
def scripted_id(traits: ActorTraits, slot: int, row: int) -> int:
    """Identity of what trigger `row` puts into a slot."""
    return new_actor_id(FIRST_SCRIPTED_GENERATION + row, slot, traits.valid.shape[1])


@device_function
def ego_distance_m(triggers: Triggers, motion: ActorMotion, world: int, row: int) -> float:
    """From the ego's centre to the meeting point."""
    dx = triggers.meeting_x[world, row] - motion.x[world, 0]
    dy = triggers.meeting_y[world, row] - motion.y[world, 0]
    return math.hypot(dx, dy)


@device_function
def arrives_soon(
    distance_m: float, speed_mps: float, reaction_s: float, short_notice_m: float
) -> bool:
    """InTimeToArrivalToLocation or InTriggerDistanceToLocation of scenario_runner.

    Args:
        distance_m: From the ego's centre to where the two would meet.
        speed_mps: Of the ego.
        reaction_s: At this speed the ego is there in less than this time, ...
        short_notice_m: ... or it is nearer than this already.
    """
    if distance_m < short_notice_m:
        return True
    return speed_mps > STANDING_MPS and distance_m / speed_mps < reaction_s


@device_function
def enter_phase(triggers: Triggers, world: int, row: int, phase: int, now_s: float) -> None:
    """Note a new phase and when it began."""
    triggers.phase[world, row] = phase
    triggers.since_s[world, row] = now_s


@device_function
def place_prop(
    motion: ActorMotion,
    traits: ActorTraits,
    layout: SlotLayout,
    world: int,
    row: int,
    prop: int,
    kind: int,
    pose: tuple[float, float, float, float],
) -> int:
    """Stand a prop at x, y, z, yaw in a scripted slot; the slot, or -1 if none is free."""
    slot = last_free_slot(traits, world, first_scripted_static(layout), layout.num_slots)
    if slot < 0:
        return -1
    traits.valid[world, slot] = True
    traits.kind[world, slot] = kind
    traits.half_length_m[world, slot] = PROP_HALF_LENGTH_M[prop]
    traits.half_width_m[world, slot] = PROP_HALF_WIDTH_M[prop]
    traits.half_height_m[world, slot] = PROP_HALF_HEIGHT_M[prop]
    traits.actor_id[world, slot] = scripted_id(traits, slot, row)
    motion.x[world, slot], motion.y[world, slot] = pose[0], pose[1]
    motion.z[world, slot], motion.yaw_rad[world, slot] = pose[2], pose[3]
    return slot


@device_function
def take_prop(motion: ActorMotion, traits: ActorTraits, world: int, row: int, slot: int) -> None:
    """Take a script's prop away if it is there; its slot may be somebody else's by now."""
    if slot >= 0 and traits.actor_id[world, slot] == scripted_id(traits, slot, row):
        clear_slot(motion, traits, world, slot)


@device_function
def place_crosser(
    motion: ActorMotion,
    traits: ActorTraits,
    triggers: Triggers,
    crossers: Crossers,
    layout: SlotLayout,
    world: int,
    row: int,
) -> bool:
    """Stand the crosser beside the road; False if no slot is free."""
    slot = last_free_slot(traits, world, first_scripted_pedestrian(layout), layout.first_static)
    if slot < 0:
        return False
    body = crossers.body[world, row]
    if crossers.kind[world, row] == _PEDESTRIAN:
        set_pedestrian_body(traits, world, slot, body, FIRST_SCRIPTED_GENERATION + row)
    else:
        traits.valid[world, slot] = True
        traits.kind[world, slot] = crossers.kind[world, row]
        traits.half_length_m[world, slot] = VEHICLE_HALF_LENGTH_M[body]
        traits.half_width_m[world, slot] = VEHICLE_HALF_WIDTH_M[body]
        traits.half_height_m[world, slot] = VEHICLE_HALF_HEIGHT_M[body]
        traits.actor_id[world, slot] = scripted_id(traits, slot, row)
    x, y = crossers.start_x[world, row], crossers.start_y[world, row]
    motion.x[world, slot], motion.y[world, slot] = x, y
    motion.z[world, slot] = crossers.z[world, row]
    motion.yaw_rad[world, slot] = math.atan2(
        crossers.end_y[world, row] - y, crossers.end_x[world, row] - x
    )
    triggers.slot[world, row] = slot
    triggers.actor_id[world, row] = traits.actor_id[world, slot]
    return True


@device_function
def metres_ahead(motion: ActorMotion, world: int, slot: int) -> float:
    """How far ahead of the ego a vehicle drives in its lane and direction, else -1."""
    yaw = motion.yaw_rad[world, 0]
    dx = motion.x[world, slot] - motion.x[world, 0]
    dy = motion.y[world, slot] - motion.y[world, 0]
    left = math.cos(yaw) * dy - math.sin(yaw) * dx
    if abs(left) > BESIDE_M or math.cos(motion.yaw_rad[world, slot] - yaw) < 0.8:
        return -1.0
    return math.cos(yaw) * dx + math.sin(yaw) * dy


@device_function
def give_space(
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    overrides: Overrides,
    lanes: Lanes,
    layout: SlotLayout,
    world: int,
    space_m: float,
) -> None:
    """Move traffic in the ego's lane on until the nearest is `space_m` ahead (LeaveSpaceInFront).

    Who would have to leave its lane for that is taken away.
    """
    nearest_m = space_m
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if traits.valid[world, slot] and not overrides.keeps_path[world, slot]:
            ahead_m = metres_ahead(motion, world, slot)
            nearest_m = min(nearest_m, ahead_m) if ahead_m > 0.0 else nearest_m
    step_m = space_m - nearest_m
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if step_m <= 0.0 or not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        if 0.0 < metres_ahead(motion, world, slot) < 2.0 * space_m:
            places.s_m[world, slot] += step_m
            if places.s_m[world, slot] >= lanes.length_m[places.path[world, slot, CURRENT]]:
                clear_slot(motion, traits, world, slot)


@device_function
def clear_oncoming(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    triggers: Triggers,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Take oncoming traffic out of the crosser's way (LeaveCrossingSpace)."""
    x, y = triggers.meeting_x[world, row], triggers.meeting_y[world, row]
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        turned = math.cos(motion.yaw_rad[world, slot] - triggers.yaw_rad[world, row])
        away_m = math.hypot(motion.x[world, slot] - x, motion.y[world, slot] - y)
        if turned < -0.7 and away_m < ONCOMING_M:
            clear_slot(motion, traits, world, slot)


@device_function
def _move_crosser(
    motion: ActorMotion, crossers: Crossers, world: int, slot: int, row: int, dt: float
) -> bool:
    """One step towards the other side; True once it is there."""
    dx = crossers.end_x[world, row] - motion.x[world, slot]
    dy = crossers.end_y[world, row] - motion.y[world, slot]
    left_m, step_m = math.hypot(dx, dy), crossers.speed_mps[world, row] * dt
    share = min(step_m / left_m, 1.0) if left_m > 1e-9 else 0.0
    motion.x[world, slot] += share * dx
    motion.y[world, slot] += share * dy
    motion.vx_mps[world, slot] = share * dx / dt
    motion.vy_mps[world, slot] = share * dy / dt
    return left_m <= step_m


@device_function
def step_crosser(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    triggers: Triggers,
    crossers: Crossers,
    layout: SlotLayout,
    world: int,
    row: int,
    now_s: float,
    dt: float,
) -> bool:
    """Play one step of a crossing whose actors stand in place; True once it is over."""
    slot = triggers.slot[world, row]
    is_there = slot >= 0 and traits.actor_id[world, slot] == triggers.actor_id[world, row]
    distance_m = ego_distance_m(triggers, motion, world, row)
    speed_mps = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
    if triggers.phase[world, row] == _READY and arrives_soon(
        distance_m, speed_mps, crossers.reaction_s[world, row], SHORT_NOTICE_M
    ):
        enter_phase(triggers, world, row, _ACTING, now_s)
        clear_oncoming(motion, traits, overrides, triggers, layout, world, row)
    way_m = math.hypot(
        crossers.end_x[world, row] - crossers.start_x[world, row],
        crossers.end_y[world, row] - crossers.start_y[world, row],
    )
    waited_s = now_s - triggers.since_s[world, row]
    is_over = waited_s > PATIENCE_S and distance_m > LEFT_BEHIND_M
    if triggers.phase[world, row] == _ACTING:
        is_over = waited_s > way_m / crossers.speed_mps[world, row]
        if is_there:
            is_over |= _move_crosser(motion, crossers, world, slot, row, dt)
    if is_over and is_there:
        clear_slot(motion, traits, world, slot)
    return is_over
