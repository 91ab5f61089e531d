"""Plays scenarios in which somebody crosses the road: a pedestrian from behind a prop, a cyclist.

The crosser stands at the road's edge from the trigger on and starts when the ego is a reaction time
away from where they would meet; then it goes straight on, whatever the ego does.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits
from sim_adapters.world.pedestrian_state import set_pedestrian_body
from sim_adapters.world.scenarios.state import Blockers, Crossers, Phase, Triggers
from sim_adapters.world.slots import (
    SlotLayout,
    clear_slot,
    first_scripted_pedestrian,
    first_scripted_static,
    new_actor_id,
)
from sim_adapters.world.vehicle_catalogue import (
    EGO_HALF_LENGTH_M,
    PROP_HALF_HEIGHT_M,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
)

SHORT_NOTICE_M = 6.0  # a moving ego this near starts the crosser whatever its speed
LEFT_BEHIND_M = 25.0  # actors this far from an ego that has passed are taken away
PATIENCE_S = 60.0  # then the script ends in any case
MOVING_MPS = 0.1
FIRST_SCRIPTED_GENERATION = 1_000_000  # that of the first trigger; no other actor gets there
_READY, _ACTING, _MEETING, _OVER = (
    int(Phase.READY),
    int(Phase.ACTING),
    int(Phase.MEETING),
    int(Phase.OVER),
)
_PEDESTRIAN, _STATIC, _DEBRIS = (
    int(ActorKind.PEDESTRIAN),
    int(ActorKind.STATIC),
    int(ActorKind.DEBRIS),
)


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
def enter_phase(triggers: Triggers, world: int, row: int, phase: int, now_s: float) -> None:
    """Note a new phase and when it began."""
    triggers.phase[world, row] = phase
    triggers.since_s[world, row] = now_s


@device_function
def place_blocker(
    motion: ActorMotion,
    traits: ActorTraits,
    triggers: Triggers,
    blockers: Blockers,
    layout: SlotLayout,
    world: int,
    row: int,
    kind: int,
) -> None:
    """Stand the prop in a scripted slot; without a free one the scenario goes without it."""
    prop = blockers.prop[world, row]
    if prop < 0:
        return
    slot = last_free_slot(traits, world, first_scripted_static(layout), layout.num_slots)
    blockers.slot[world, row] = slot
    if slot < 0:
        return
    traits.valid[world, slot] = True
    traits.kind[world, slot] = kind
    traits.half_length_m[world, slot] = PROP_HALF_LENGTH_M[prop]
    traits.half_width_m[world, slot] = PROP_HALF_WIDTH_M[prop]
    traits.half_height_m[world, slot] = PROP_HALF_HEIGHT_M[prop]
    traits.actor_id[world, slot] = scripted_id(traits, slot, row)
    motion.x[world, slot], motion.y[world, slot] = blockers.x[world, row], blockers.y[world, row]
    motion.z[world, slot] = triggers.z[world, row]
    motion.yaw_rad[world, slot] = blockers.yaw_rad[world, row]


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
    """Stand the crosser at the road's edge; False if no slot is free."""
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
def _move_crosser(
    motion: ActorMotion, crossers: Crossers, world: int, slot: int, row: int, dt: float
) -> None:
    """One step towards the other side; there it stands."""
    dx = crossers.end_x[world, row] - motion.x[world, slot]
    dy = crossers.end_y[world, row] - motion.y[world, slot]
    left_m, step_m = math.hypot(dx, dy), crossers.speed_mps[world, row] * dt
    share = min(step_m / left_m, 1.0) if left_m > 1e-9 else 0.0
    motion.x[world, slot] += share * dx
    motion.y[world, slot] += share * dy
    motion.vx_mps[world, slot] = share * dx / dt
    motion.vy_mps[world, slot] = share * dy / dt


@device_function
def step_crosser(
    motion: ActorMotion,
    traits: ActorTraits,
    triggers: Triggers,
    crossers: Crossers,
    blockers: Blockers,
    world: int,
    row: int,
    now_s: float,
    dt: float,
) -> None:
    """Play one step of a crossing whose actors stand in place."""
    slot, phase = triggers.slot[world, row], triggers.phase[world, row]
    is_there = traits.actor_id[world, slot] == triggers.actor_id[world, row]  # else it was hit
    distance = ego_distance_m(triggers, motion, world, row)
    speed = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
    if phase == _READY and speed > MOVING_MPS:
        arrival_s = (distance - EGO_HALF_LENGTH_M) / speed
        if arrival_s < crossers.reaction_s[world, row] or distance < SHORT_NOTICE_M:
            enter_phase(triggers, world, row, _ACTING, now_s)
    elif phase == _ACTING and distance < SHORT_NOTICE_M:
        enter_phase(triggers, world, row, _MEETING, now_s)
    if triggers.phase[world, row] >= _ACTING and is_there:
        _move_crosser(motion, crossers, world, slot, row, dt)
    has_passed = triggers.phase[world, row] == _MEETING and distance > LEFT_BEHIND_M
    if has_passed or now_s - triggers.since_s[world, row] > PATIENCE_S:
        if is_there:
            clear_slot(motion, traits, world, slot)
        clear_blocker(motion, traits, blockers, world, row)
        enter_phase(triggers, world, row, _OVER, now_s)


@device_function
def clear_blocker(
    motion: ActorMotion, traits: ActorTraits, blockers: Blockers, world: int, row: int
) -> None:
    """Take the prop away if it is there; its slot may be somebody else's by now."""
    slot = blockers.slot[world, row]
    if slot >= 0 and traits.actor_id[world, slot] == scripted_id(traits, slot, row):
        clear_slot(motion, traits, world, slot)
    blockers.slot[world, row] = -1
