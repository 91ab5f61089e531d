"""DynamicObjectCrossing and VehicleTurningRoute live: somebody crosses in front of the ego.

Follows the embedded world's script (`world/scenarios/crossers.py`): the crosser stands at the
road's edge, starts when the ego is a reaction time away, then goes straight on whatever the ego
does.
"""

from __future__ import annotations

import math

import carla

from sim_adapters.carla.frames import to_carla_transform, to_carla_vector
from sim_adapters.carla.scripted_moment import LiveStage
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.crossers import (
    LEFT_BEHIND_M,
    MOVING_MPS,
    PATIENCE_S,
    SHORT_NOTICE_M,
)
from sim_adapters.world.scenarios.state import ScriptBook
from sim_adapters.world.vehicle_catalogue import EGO_HALF_LENGTH_M, PROP_NAMES, VEHICLE_NAMES

WALKER_BLUEPRINT = "walker.pedestrian.0001"
_CLEARANCE_M = 0.3  # above the ground at the spawn


class Crossing:
    """One crosser and the prop that hides it.

    Args:
        stage: Where it plays.
        book: Resolved triggers of world 0.
        row: Which of them.
    """

    def __init__(self, stage: LiveStage, book: ScriptBook, row: int) -> None:
        self.is_over = False
        self._stage = stage
        crossers, triggers, at = book.crossers, book.triggers, (0, row)
        self._meeting = float(triggers.meeting_x[at]), float(triggers.meeting_y[at])
        self._start = float(crossers.start_x[at]), float(crossers.start_y[at])
        self._end = float(crossers.end_x[at]), float(crossers.end_y[at])
        self._speed_mps, self._reaction_s = crossers.speed_mps[at], crossers.reaction_s[at]
        self._began_s = stage.now_s
        self._is_walking = self._has_met = False
        self._placed = [place_prop(stage, book, row)]
        self._crosser = self._bring(float(crossers.z[at]), int(crossers.kind[at]), book, row)
        self._placed.append(self._crosser.id if self._crosser is not None else 0)

    def step(self) -> None:
        """Start the crosser in time, stop it on the other side, end when the ego is gone."""
        stage = self._stage
        distance = stage.ego_distance_m(*self._meeting)
        speed = stage.ego_speed_mps
        if not self._is_walking and speed > MOVING_MPS:
            arrival_s = (distance - EGO_HALF_LENGTH_M) / speed
            if arrival_s < self._reaction_s or distance < SHORT_NOTICE_M:
                self._walk(self._speed_mps)
                self._is_walking, self._began_s = True, stage.now_s
        self._has_met |= self._is_walking and distance < SHORT_NOTICE_M
        if self._is_walking and self._is_across():
            self._walk(0.0)
        waited_s = stage.now_s - self._began_s
        if (self._has_met and distance > LEFT_BEHIND_M) or waited_s > PATIENCE_S:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def clear(self) -> None:
        """Take crosser and prop away."""
        self._stage.session.destroy([actor for actor in self._placed if actor])
        self._placed, self._crosser = [], None

    def _bring(self, z: float, kind: int, book: ScriptBook, row: int) -> carla.Actor | None:
        library = self._stage.session.world.get_blueprint_library()
        is_walker = kind == ActorKind.PEDESTRIAN
        name = f"vehicle.{VEHICLE_NAMES[book.crossers.body[0, row]]}"
        blueprint = library.find(WALKER_BLUEPRINT if is_walker else name)
        (x, y), (end_x, end_y) = self._start, self._end
        yaw = math.atan2(end_y - y, end_x - x)
        # A walker's origin is its middle
        height = (1.0 if is_walker else 0.0) + _CLEARANCE_M
        pose = to_carla_transform(x, y, z + height, yaw)
        return self._stage.session.world.try_spawn_actor(blueprint, pose)

    def _walk(self, speed_mps: float) -> None:
        way = self._end[0] - self._start[0], self._end[1] - self._start[1]
        if isinstance(self._crosser, carla.Walker):
            direction = to_carla_vector(*way).make_unit_vector()
            self._crosser.apply_control(carla.WalkerControl(direction, float(speed_mps)))
        elif isinstance(self._crosser, carla.Vehicle):
            # A bicycle's own physics would fall over or be too slow
            self._crosser.enable_constant_velocity(carla.Vector3D(float(speed_mps), 0.0, 0.0))

    def _is_across(self) -> bool:
        if self._crosser is None or not self._crosser.is_alive:
            return False
        slot = self._stage_slot()
        if slot < 0:
            return False
        motion = self._stage.scene.motion
        way = self._end[0] - self._start[0], self._end[1] - self._start[1]
        gone = motion.x[0, slot] - self._start[0], motion.y[0, slot] - self._start[1]
        return gone[0] * way[0] + gone[1] * way[1] >= way[0] ** 2 + way[1] ** 2

    def _stage_slot(self) -> int:
        ids = self._stage.scene.traits.actor_id[0]
        found = (ids == (self._crosser.id if self._crosser else 0)).nonzero()[0]
        return int(found[0]) if found.size else -1


def place_prop(stage: LiveStage, book: ScriptBook, row: int) -> int:
    """Stand a trigger's prop in its place; its id, 0 if it has none or something is in the way."""
    blockers, at = book.blockers, (0, row)
    if blockers.prop[at] < 0:
        return 0
    library = stage.session.world.get_blueprint_library()
    blueprint = library.find(f"static.prop.{PROP_NAMES[blockers.prop[at]]}")
    z = float(book.triggers.z[at])
    pose = to_carla_transform(
        float(blockers.x[at]), float(blockers.y[at]), z, float(blockers.yaw_rad[at])
    )
    actor = stage.session.world.try_spawn_actor(blueprint, pose)
    return actor.id if actor is not None else 0
