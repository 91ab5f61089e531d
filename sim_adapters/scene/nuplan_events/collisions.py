"""Collisions with tracks, and boxes that meet soon if everybody keeps speed and heading."""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, inlined_function
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import InfractionFacts, MotionFacts
from sim_adapters.scene.events.collisions import collision_kind_of
from sim_adapters.scene.geometry import boxes_overlap, wrap_angle
from sim_adapters.scene.nuplan_events.memory import (
    MAX_REMEMBERED_TRACKS,
    NuplanSettings,
    NuplanTracker,
    rear_axle_speed_mps,
)
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, SceneArrays

_STATIC = int(ActorKind.STATIC)
_AHEAD_RAD = math.radians(30.0)
_BEHIND_RAD = math.radians(150.0)


@device_function
def was_hit(agent: int, actor_id: int, tracker: NuplanTracker) -> bool:
    """Whether the ego has touched that track before."""
    found = False
    for place in range(min(tracker.num_hit[agent], MAX_REMEMBERED_TRACKS)):
        found = found or tracker.hit_id[agent, place] == actor_id
    return found


@device_function
def _overlaps_after(
    car: EgoCar,
    speed_mps: float,
    slot: int,
    time_s: float,
    motion: ActorMotion,
    traits: ActorTraits,
) -> bool:
    """Whether the boxes of ego and actor overlap when both have moved on along their headings."""
    at = car.world, slot
    yaw = motion.yaw_rad[at]
    travelled = math.hypot(motion.vx_mps[at], motion.vy_mps[at]) * time_s
    return boxes_overlap(
        car.x + math.cos(car.yaw_rad) * speed_mps * time_s,
        car.y + math.sin(car.yaw_rad) * speed_mps * time_s,
        car.yaw_rad,
        car.half_length_m,
        car.half_width_m,
        motion.x[at] + math.cos(yaw) * travelled,
        motion.y[at] + math.sin(yaw) * travelled,
        yaw,
        traits.half_length_m[at],
        traits.half_width_m[at],
    )


@device_function
def is_relevant(
    bearing_rad: float, between_lanes: bool, agent: int, actor_id: int, tracker: NuplanTracker
) -> bool:
    """Whether nuPlan's time-to-collision metric would look at a track.

    Args:
        bearing_rad: Of the track's centre from the rear axle, in [-pi, pi].
        between_lanes: The ego is in several lanes, off the road or in an intersection.
        agent: Driver.
        actor_id: Of the track.
        tracker: Knows which tracks were hit.
    """
    if was_hit(agent, actor_id, tracker):
        return False
    return abs(bearing_rad) < _AHEAD_RAD or (between_lanes and abs(bearing_rad) <= _BEHIND_RAD)


@device_function
def note_contact(
    agent: int,
    actor_id: int,
    kind: int,
    counts: bool,
    tracker: NuplanTracker,
    facts: InfractionFacts,
) -> None:
    """Remember a track that touches the ego; write a collision if it is new and counts."""
    if was_hit(agent, actor_id, tracker):
        return
    tracker.hit_id[agent, tracker.num_hit[agent] % MAX_REMEMBERED_TRACKS] = actor_id
    tracker.num_hit[agent] += 1
    if counts and not facts.collision[agent]:
        facts.collision[agent], facts.collision_kind[agent] = True, collision_kind_of(kind)


@device_function
def meets_soon(
    car: EgoCar,
    speed_mps: float,
    slot: int,
    motion: ActorMotion,
    traits: ActorTraits,
    settings: NuplanSettings,
) -> bool:
    """Whether ego and actor overlap at one of the horizons; the present is none."""
    for k in range(settings.num_horizons):
        time_s = settings.first_horizon_s + settings.horizon_step_s * k
        if _overlaps_after(car, speed_mps, slot, time_s, motion, traits):
            return True
    return False


@inlined_function
def judge_collisions(
    agent: int,
    scene: SceneArrays,
    between_lanes: bool,
    tracker: NuplanTracker,
    settings: NuplanSettings,
    infractions: InfractionFacts,
    facts: MotionFacts,
) -> None:
    """Write a driver's new collisions and whether one has ever been near.

    A track counts once in an episode, also if the ego stood when they touched. A failed test of
    time to collision holds for the rest of the episode. nuPlan's prefilter by elongated boxes is
    left out: such a box holds all places that a box passes, so the exact test decides alone.
    """
    motion, traits, body = scene.motion, scene.traits, scene.body
    horizon_s = settings.first_horizon_s + settings.horizon_step_s * (settings.num_horizons - 1)
    car = ego_car(agent, motion, traits, scene.ego)
    speed = rear_axle_speed_mps(agent, body)
    facts.speed_mps[agent] = speed
    infractions.collision[agent], infractions.collision_kind[agent] = False, 0
    for slot in range(traits.valid.shape[1]):
        at = car.world, slot
        if not traits.valid[at] or slot == car.slot or traits.kind[at] > _STATIC:
            continue
        # Out of reach whatever the headings: half length + half width bounds half the diagonal
        reach = car.half_length_m + car.half_width_m
        reach += traits.half_length_m[at] + traits.half_width_m[at]
        reach += (speed + math.hypot(motion.vx_mps[at], motion.vy_mps[at])) * horizon_s
        dx, dy = motion.x[at] - car.x, motion.y[at] - car.y
        if dx * dx + dy * dy > reach * reach:
            continue
        actor_id = traits.actor_id[at]
        relevant = True
        if settings.ttc_relevant_only:
            axle_x, axle_y = body.rear_axle_x[agent], body.rear_axle_y[agent]
            bearing = math.atan2(motion.y[at] - axle_y, motion.x[at] - axle_x) - car.yaw_rad
            relevant = is_relevant(wrap_angle(bearing), between_lanes, agent, actor_id, tracker)
        if _overlaps_after(car, speed, slot, 0.0, motion, traits):
            counts = speed >= settings.stopped_mps
            note_contact(agent, actor_id, traits.kind[at], counts, tracker, infractions)
        if relevant and not tracker.ttc_failed[agent] and speed > settings.min_ttc_speed_mps:
            tracker.ttc_failed[agent] = meets_soon(car, speed, slot, motion, traits, settings)
    facts.ttc_active[agent] = tracker.ttc_failed[agent]
