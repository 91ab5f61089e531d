"""Contacts of the ego with other actors: box overlap, and a response that keeps the world sane.

CARLA resolves contacts with rigid bodies. Here the ego loses the closing speed along the contact
normal (all of it against things that stand fast, half against vehicles, as equal masses would) and
is pushed out of the other box; pedestrians fall and are taken away one step later. The scene of the
contact step still shows the speed at impact; the response acts from the next step on. An ego that
stood shows the speed that it is knocked to: the leaderboard blames nobody who stands, and in CARLA
a car that is run into stands no longer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    Contacts,
    EgoState,
    SceneBatch,
)
from sim_adapters.world.dynamics import Drivetrain
from sim_adapters.world.slots import clear_slot

MAX_PUSH_M = 0.5  # a step
STANDING_MPS = 0.1  # leaderboard: the slowest ego that is to blame
RESTING_DEPTH_M = 0.01  # left after a push, so that a lasting contact is not a new one
_PEDESTRIAN, _DEBRIS = int(ActorKind.PEDESTRIAN), int(ActorKind.DEBRIS)


class ContactState(NamedTuple):
    """What contacts leave behind for the next step."""

    touching_id: NDArray[np.int64]  # (E, A) id of the actor that overlaps the ego, 0 none
    fallen: NDArray[np.bool_]  # (B, A) pedestrians to be taken away


def empty_contact_state(scene: SceneBatch) -> ContactState:
    """No contacts."""
    return ContactState(
        np.zeros((scene.num_agents, scene.num_slots), np.int64),
        np.zeros((scene.num_worlds, scene.num_slots), np.bool_),
    )


@device_function
def penetration(
    dx: float,
    dy: float,
    yaw_a: float,
    half_length_a: float,
    half_width_a: float,
    yaw_b: float,
    half_length_b: float,
    half_width_b: float,
) -> tuple[float, float, float]:
    """Shallowest overlap of two boxes: depth [m] and the unit normal from a towards b.

    (dx, dy) leads from the centre of a to that of b. A depth of 0 or less means no overlap.
    """
    cos_a, sin_a, cos_b, sin_b = math.cos(yaw_a), math.sin(yaw_a), math.cos(yaw_b), math.sin(yaw_b)
    turn_cos = abs(cos_a * cos_b + sin_a * sin_b)
    turn_sin = abs(cos_a * sin_b - sin_a * cos_b)
    reach_on_a = half_length_b * turn_cos + half_width_b * turn_sin
    reach_across_a = half_length_b * turn_sin + half_width_b * turn_cos
    reach_on_b = half_length_a * turn_cos + half_width_a * turn_sin
    reach_across_b = half_length_a * turn_sin + half_width_a * turn_cos
    depth, normal_x, normal_y = np.inf, 1.0, 0.0
    for axis in range(4):
        if axis == 0:
            ux, uy, reach = cos_a, sin_a, half_length_a + reach_on_a
        elif axis == 1:
            ux, uy, reach = -sin_a, cos_a, half_width_a + reach_across_a
        elif axis == 2:
            ux, uy, reach = cos_b, sin_b, half_length_b + reach_on_b
        else:
            ux, uy, reach = -sin_b, cos_b, half_width_b + reach_across_b
        along = ux * dx + uy * dy
        overlap = reach - abs(along)
        if overlap < depth:
            sign = 1.0 if along >= 0.0 else -1.0
            depth, normal_x, normal_y = overlap, sign * ux, sign * uy
    return depth, normal_x, normal_y


@device_function
def _respond(
    agent: int,
    other: int,
    depth: float,
    normal_x: float,
    normal_y: float,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    drivetrain: Drivetrain,
) -> None:
    """Take the closing speed off the ego and push it out of the other box."""
    world, slot = int(ego.world[agent]), int(ego.slot[agent])
    speed = float(drivetrain.speed_mps[agent])
    vx, vy = float(motion.vx_mps[world, slot]), float(motion.vy_mps[world, slot])
    closing = (vx - motion.vx_mps[world, other]) * normal_x
    closing += (vy - motion.vy_mps[world, other]) * normal_y
    measured = math.hypot(vx, vy)
    if closing > 0.0:
        share = 0.5 if traits.kind[world, other] <= LAST_VEHICLE_KIND else 1.0
        if measured > 1e-6:
            direction_x, direction_y = vx / measured, vy / measured
        else:
            yaw = float(motion.yaw_rad[world, slot])
            direction_x, direction_y = math.cos(yaw), math.sin(yaw)
        lost = share * closing * (normal_x * direction_x + normal_y * direction_y)
        drivetrain.speed_mps[agent] = max(speed - lost, 0.0)
        if measured < STANDING_MPS and share < 1.0:
            motion.vx_mps[world, slot] = -share * closing * normal_x
            motion.vy_mps[world, slot] = -share * closing * normal_y
    push = min(max(depth - RESTING_DEPTH_M, 0.0), MAX_PUSH_M)
    motion.x[world, slot] -= push * normal_x
    motion.y[world, slot] -= push * normal_y


@device_function
def overlap(
    world: int, slot: int, other: int, motion: ActorMotion, traits: ActorTraits
) -> tuple[float, float, float]:
    """How deep the bodies of two slots are in each other, and from `slot` towards `other`.

    Depth [m] and unit normal; a depth of 0 or less if they do not touch: debris, which bodies pass
    through, and whoever is on another level never does.
    """
    if other == slot or not traits.valid[world, other] or traits.kind[world, other] == _DEBRIS:
        return 0.0, 0.0, 0.0
    half_length, half_width = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
    dx = motion.x[world, other] - motion.x[world, slot]
    dy = motion.y[world, other] - motion.y[world, slot]
    far = math.hypot(half_length, half_width)
    far += traits.half_length_m[world, other] + traits.half_width_m[world, other]
    if abs(dx) > far or abs(dy) > far:
        return 0.0, 0.0, 0.0
    if abs(motion.z[world, other] - motion.z[world, slot]) >= SAME_LEVEL_M:
        return 0.0, 0.0, 0.0
    return penetration(
        dx,
        dy,
        motion.yaw_rad[world, slot],
        half_length,
        half_width,
        motion.yaw_rad[world, other],
        traits.half_length_m[world, other],
        traits.half_width_m[world, other],
    )


@device_function
def touch_actors(
    agent: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    contacts: Contacts,
    drivetrain: Drivetrain,
    state: ContactState,
) -> None:
    """Find the new contacts of one driver and respond to all contacts."""
    world, slot = int(ego.world[agent]), int(ego.slot[agent])
    contacts.other_slot[agent, :] = -1
    num_contacts = 0
    for other in range(motion.x.shape[1]):
        touched_before = state.touching_id[agent, other]
        state.touching_id[agent, other] = 0
        depth, normal_x, normal_y = overlap(world, slot, other, motion, traits)
        if depth <= 0.0:
            continue
        actor_id = traits.actor_id[world, other]
        state.touching_id[agent, other] = actor_id
        if touched_before != actor_id and num_contacts < contacts.other_slot.shape[1]:
            contacts.other_slot[agent, num_contacts] = other
            contacts.x[agent, num_contacts] = motion.x[world, slot]
            contacts.y[agent, num_contacts] = motion.y[world, slot]
            num_contacts += 1
        if traits.kind[world, other] == _PEDESTRIAN:
            state.fallen[world, other] = True
        else:
            _respond(agent, other, depth, normal_x, normal_y, motion, traits, ego, drivetrain)


@range_kernel
def touch_actors_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    contacts: Contacts,
    drivetrain: Drivetrain,
    state: ContactState,
) -> None:
    """`touch_actors` for drivers `first` to `last` (exclusive)."""
    for agent in range(first, last):
        touch_actors(agent, motion, traits, ego, contacts, drivetrain, state)


@range_kernel
def remove_fallen_range(
    first: int, last: int, motion: ActorMotion, traits: ActorTraits, state: ContactState
) -> None:
    """Take away the pedestrians that fell in the last step, in worlds `first` to `last`."""
    for world in range(first, last):
        for slot in range(state.fallen.shape[1]):
            if state.fallen[world, slot]:
                state.fallen[world, slot] = False
                clear_slot(motion, traits, world, slot)
