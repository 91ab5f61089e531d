"""DynamicObjectCrossing and VehicleTurningRoute live: somebody crosses in front of the ego.

Follows the embedded world's script (`world/scenarios/crossers.py`): the crosser stands beside the
road, starts when the ego is a reaction time away, goes straight on whatever the ego does, and is
gone on the other side.
"""

from __future__ import annotations

import math

import carla

from sim_adapters.carla.frames import to_carla_transform, to_carla_vector
from sim_adapters.carla.scripted_moment import LiveStage
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.crossers import (
    LEFT_BEHIND_M,
    PATIENCE_S,
    SHORT_NOTICE_M,
    arrives_soon,
)
from sim_adapters.world.scenarios.state import ScriptBook
from sim_adapters.world.vehicle_catalogue import DIRT_DEBRIS, PROP_NAMES, VEHICLE_NAMES

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
        self._is_walking = False
        self._placed = [place_blocker(stage, book, row)]
        self._crosser = self._bring(float(crossers.z[at]), int(crossers.kind[at]), book, row)
        self._placed.append(self._crosser.id if self._crosser is not None else 0)

    def step(self) -> None:
        """Start the crosser in time; on the other side everything is taken away."""
        stage = self._stage
        distance_m = stage.ego_distance_m(*self._meeting)
        if not self._is_walking and arrives_soon(
            distance_m, stage.ego_speed_mps, float(self._reaction_s), SHORT_NOTICE_M
        ):
            self._walk(self._speed_mps)
            self._is_walking, self._began_s = True, stage.now_s
        waited_s = stage.now_s - self._began_s
        is_over = waited_s > PATIENCE_S and distance_m > LEFT_BEHIND_M
        if self._is_walking:
            is_over = waited_s > math.dist(self._start, self._end) / self._speed_mps
        if is_over:
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


def place_blocker(stage: LiveStage, book: ScriptBook, row: int) -> int:
    """Stand a trigger's prop in its place; its id, 0 if it has none or something is in the way."""
    blockers, at = book.blockers, (0, row)
    if blockers.prop[at] < 0:
        return 0
    pose = float(blockers.x[at]), float(blockers.y[at]), float(book.triggers.z[at])
    return place_prop(stage, int(blockers.prop[at]), (*pose, float(blockers.yaw_rad[at])))


def place_debris(stage: LiveStage, book: ScriptBook, row: int) -> list[int]:
    """Lay the debris of a ControlLoss trigger; ids of what lies there."""
    debris, at = book.debris, (0, row)
    poses = zip(debris.x[at], debris.y[at], debris.z[at], debris.yaw_rad[at], strict=True)
    placed = [place_prop(stage, DIRT_DEBRIS, tuple(map(float, pose))) for pose in poses]
    return [actor for actor in placed if actor]


def place_prop(stage: LiveStage, prop: int, pose: tuple[float, ...]) -> int:
    """Stand a prop of the catalogue at x, y, z, yaw; its id, 0 if something is in the way."""
    library = stage.session.world.get_blueprint_library()
    blueprint = library.find(f"static.prop.{PROP_NAMES[prop]}")
    actor = stage.session.world.try_spawn_actor(blueprint, to_carla_transform(*pose))
    return actor.id if actor is not None else 0
