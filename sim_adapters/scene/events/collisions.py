"""New collisions among the contacts of a step: repeats with one actor or at one place are merged.

Source: the leaderboard's collision criterion as CaRL trains with it.
"""

from __future__ import annotations

import math

from rewards.driving_events import CollisionKind
from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import InfractionFacts
from sim_adapters.scene.events.settings import CollisionSettings
from sim_adapters.scene.memory import NUM_REMEMBERED_CONTACTS, ContactTracker
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    Clocks,
    Contacts,
    EgoState,
)

_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
_HIT_VEHICLE = CollisionKind.VEHICLE
_HIT_PEDESTRIAN = CollisionKind.PEDESTRIAN
_HIT_STATIC = CollisionKind.STATIC
_NO_CONTACT = -1


@inlined_function
def forget_left_places(
    agent: int, car: EgoCar, tracker: ContactTracker, settings: CollisionSettings
) -> None:
    """Places of earlier collisions stop counting once the ego is far from them."""
    for row in range(NUM_REMEMBERED_CONTACTS):
        if tracker.near_place[agent, row]:
            distance = math.hypot(tracker.x[agent, row] - car.x, tracker.y[agent, row] - car.y)
            tracker.near_place[agent, row] = distance <= settings.forget_place_m


@inlined_function
def is_repeat(
    agent: int,
    actor_id: int,
    x: float,
    y: float,
    now_s: float,
    tracker: ContactTracker,
    settings: CollisionSettings,
) -> bool:
    """Whether a contact belongs to a collision already counted; map geometry has id 0."""
    newest = (tracker.next_row[agent] - 1) % NUM_REMEMBERED_CONTACTS
    recent = now_s - tracker.time_s[agent, newest] <= settings.repeat_s
    if actor_id > 0 and recent and tracker.actor_id[agent, newest] == actor_id:
        return True
    for row in range(NUM_REMEMBERED_CONTACTS):
        if tracker.near_place[agent, row]:
            distance = math.hypot(tracker.x[agent, row] - x, tracker.y[agent, row] - y)
            if distance <= settings.near_place_m:
                return True
    return False


@inlined_function
def remember_contact(
    agent: int, actor_id: int, x: float, y: float, now_s: float, tracker: ContactTracker
) -> None:
    """Write a counted collision over the oldest one."""
    row = tracker.next_row[agent]
    tracker.actor_id[agent, row], tracker.time_s[agent, row] = actor_id, now_s
    tracker.x[agent, row], tracker.y[agent, row] = x, y
    tracker.near_place[agent, row] = True
    tracker.next_row[agent] = (row + 1) % NUM_REMEMBERED_CONTACTS


@inlined_function
def collision_kind_of(kind: int) -> int:
    """CollisionKind of an ActorKind."""
    if kind == _PEDESTRIAN:
        return _HIT_PEDESTRIAN
    return _HIT_VEHICLE if 0 < kind <= LAST_VEHICLE_KIND else _HIT_STATIC


@inlined_function
def detect_collisions(
    agent: int,
    car: EgoCar,
    now_s: float,
    traits: ActorTraits,
    contacts: Contacts,
    tracker: ContactTracker,
    settings: CollisionSettings,
    facts: InfractionFacts,
) -> None:
    """Write whether one driver has a new collision, and with what (the first new one)."""
    facts.collision[agent], facts.collision_kind[agent] = False, 0
    for k in range(contacts.other_slot.shape[1]):
        other = contacts.other_slot[agent, k]
        if other == _NO_CONTACT or car.speed_mps < settings.min_speed_mps:
            continue
        x, y = contacts.x[agent, k], contacts.y[agent, k]
        actor_id = traits.actor_id[car.world, other] if other >= 0 else 0
        if is_repeat(agent, actor_id, x, y, now_s, tracker, settings):
            continue
        remember_contact(agent, actor_id, x, y, now_s, tracker)
        if not facts.collision[agent]:
            kind = collision_kind_of(traits.kind[car.world, other]) if other >= 0 else _HIT_STATIC
            facts.collision[agent], facts.collision_kind[agent] = True, kind


@range_kernel
def detect_collisions_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    contacts: Contacts,
    clocks: Clocks,
    tracker: ContactTracker,
    settings: CollisionSettings,
    facts: InfractionFacts,
) -> None:
    """`detect_collisions` for drivers first to last - 1."""
    for agent in range(first, last):
        car = ego_car(agent, motion, traits, ego)
        now_s = clocks.elapsed_s[car.world]
        forget_left_places(agent, car, tracker, settings)
        detect_collisions(agent, car, now_s, traits, contacts, tracker, settings, facts)
