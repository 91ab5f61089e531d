"""The actors of an episode: identity, rows, parents, and what cannot be a number in an array.

Of vehicles also the target of Ackermann control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actor_arrays import ACTOR_ACTIVE, ActorArrays, Kind
from sim_adapters.carla.headless.blueprints.vehicles import Blueprint
from sim_adapters.carla.headless.frame import PoseTuple
from sim_adapters.carla.headless.motion import GRAVITY_MPS2
from sim_adapters.world.dynamics import MAX_WHEEL_ANGLE_RAD

INITIAL_LIMIT_KMH = 30.0  # CARLA's, until a vehicle enters the box of a limit sign
GREEN = 2


@dataclass
class Actor:
    """One actor.

    Args:
        actor_id: What clients call it; never used twice.
        row: Its place in the arrays, which changes when others are destroyed.
        kind: Which columns are its own.
        description: [uid, type_id, attributes] as on the wire.
        bounding_box: [location, extent, rotation] as on the wire.
        tag: Semantic tag.
        parent_id: What it is attached to, 0 nothing.
        stream_id: Where its events go, 0 nowhere.
        index: Of a light or sign among the town's; -1 for others.
    """

    actor_id: int
    row: int
    kind: Kind
    description: list[Any]
    bounding_box: list[list[float]]
    tag: int = 0
    parent_id: int = 0
    stream_id: int = 0
    index: int = -1
    children: set[int] = field(default_factory=set)
    lamps: int = 0  # carla.VehicleLightState of a vehicle
    physics: list[Any] | None = None  # carla.VehiclePhysicsControl that a client applied
    is_permanent: bool = False  # lights, signs and the spectator cannot be destroyed

    @property
    def type_id(self) -> str:
        """Name of the blueprint."""
        return self.description[1]

    def attribute(self, name: str, default: str) -> str:
        """Value of an attribute as spawned."""
        for attribute in self.description[2]:
            if attribute[0] == name:
                return attribute[2]
        return default


class ActorRegistry:
    """All actors by id, and their rows.

    Args:
        first_id: Of the episode's first actor.
    """

    def __init__(self, first_id: int = 1) -> None:
        self.arrays = ActorArrays()
        self.by_id: dict[int, Actor] = {}
        self.by_row: list[Actor] = []
        self._next_id = first_id
        self.revision = 0  # grows whenever actors or their rows change
        self._solid_rows: NDArray[np.int32] | None = None
        self._west_edges = np.zeros(0)
        self._rows_of_kind: dict[Kind, NDArray[np.int64]] = {}

    @property
    def next_id(self) -> int:
        """Id that the next actor will get."""
        return self._next_id

    def add(
        self,
        kind: Kind,
        description: list[Any],
        pose: PoseTuple,
        *,
        blueprint: Blueprint | None = None,
        parent: Actor | None = None,
    ) -> Actor:
        """Give an actor an id and a row; its pose is relative where it has a parent."""
        arrays = self.arrays
        row = arrays.add()
        actor = Actor(self._next_id, row, kind, description, _box_of(blueprint))
        self._next_id += 1
        self.by_id[actor.actor_id] = actor
        self.by_row.append(actor)
        arrays.body.kind[row] = kind
        arrays.pose_block[:, row] = pose
        record = arrays.records[row]
        record["id"], record["state"] = actor.actor_id, ACTOR_ACTIVE
        if blueprint is not None:
            self._embody(actor, blueprint)
        if parent is not None:
            actor.parent_id = parent.actor_id
            parent.children.add(actor.actor_id)
            arrays.mount.parent_row[row] = parent.row
            for column, value in zip(arrays.mount[1:7], pose, strict=True):
                column[row] = value
        self.forget_rows()
        return actor

    def _embody(self, actor: Actor, blueprint: Blueprint) -> None:
        row, body = actor.row, self.arrays.body
        actor.tag = blueprint.tag
        if blueprint.half_extents_m is not None:
            body.half_length[row], body.half_width[row], body.half_height[row] = (
                blueprint.half_extents_m
            )
            body.center_x[row], body.center_y[row], body.center_z[row] = blueprint.box_center_m
        body.mass[row] = blueprint.mass_kg
        body.is_simulated[row] = blueprint.mass_kg > 0.0
        body.is_solid[row] = blueprint.is_solid
        if actor.kind == Kind.VEHICLE:
            self.arrays.motion.az[row] = -GRAVITY_MPS2  # until a tick finds the road below it
            self.arrays.records["speed_limit"][row] = INITIAL_LIMIT_KMH
            self.arrays.records["light_state"][row] = GREEN

    def remove(self, actor: Actor) -> None:
        """Take an actor out; what is attached to it stays where it is, without a parent."""
        for child_id in actor.children:
            child = self.by_id.get(child_id)
            if child is not None:
                child.parent_id = 0
                self.arrays.mount.parent_row[child.row] = -1
        parent = self.by_id.get(actor.parent_id)
        if parent is not None:
            parent.children.discard(actor.actor_id)
        del self.by_id[actor.actor_id]
        last = self.arrays.remove(actor.row)
        moved = self.by_row.pop()
        if last != actor.row:
            moved.row = actor.row
            self.by_row[actor.row] = moved
        self.forget_rows()

    def forget_rows(self) -> None:
        """Whatever was derived from which rows there are must be found anew."""
        self.revision += 1
        self._solid_rows = None
        self._rows_of_kind.clear()

    def rows_of(self, kind: Kind) -> NDArray[np.int64]:
        """Rows of all actors of a kind."""
        if kind not in self._rows_of_kind:
            kinds = self.arrays.body.kind[: self.arrays.count]
            self._rows_of_kind[kind] = np.flatnonzero(kinds == kind)
        return self._rows_of_kind[kind]

    def solid_rows(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Rows of bodies that collide, kept sorted by the contact kernel, and room for edges."""
        if self._solid_rows is None:
            arrays = self.arrays
            rows = np.flatnonzero(arrays.body.is_solid[: arrays.count])
            by_x = np.argsort(arrays.pose.x[rows], kind="stable")
            self._solid_rows = rows[by_x].astype(np.int32)
            self._west_edges = np.zeros(len(rows))
        return self._solid_rows, self._west_edges


def _box_of(blueprint: Blueprint | None) -> list[list[float]]:
    if blueprint is None or blueprint.half_extents_m is None:
        return [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    x, y, z = blueprint.box_center_m
    return [[x, -y, z], list(blueprint.half_extents_m), [0.0, 0.0, 0.0]]


# Ackermann control: vehicles that hold a steering angle and approach a speed by themselves.
#
# CARLA's server runs a controller for each such vehicle until the next ordinary control. Ours is a
# proportional-integral speed controller; CARLA's gains do not carry over to another engine.

_PROPORTIONAL = 0.35  # pedal per m/s
_INTEGRAL = 0.12  # pedal per m
_MOST_INTEGRATED_M = 8.0
_BRAKE_SHARE = 0.25  # the brake is that much stronger than the engine


@dataclass
class AckermannTarget:
    """What one vehicle was told, right-handed.

    Args:
        steer_rad: Wheel angle, left positive.
        steer_speed_radps: How fast the wheels turn at most; 0 at once.
        speed_mps: Negative backwards.
        acceleration_mps2: Most change of speed; 0 as the car can.
    """

    steer_rad: float
    steer_speed_radps: float
    speed_mps: float
    acceleration_mps2: float
    integrated_m: float = 0.0
    ramped_mps: float | None = None


def drive_to_target(arrays: ActorArrays, row: int, target: AckermannTarget, dt: float) -> None:
    """Set the pedals and the steering of one vehicle for the next tick."""
    driving = arrays.driving
    direction = -1.0 if target.speed_mps < 0.0 else 1.0
    now = direction * float(driving.speed[row])
    wanted = _ramp(target, now, dt)
    error = wanted - now
    target.integrated_m += error * dt
    target.integrated_m = min(max(target.integrated_m, -_MOST_INTEGRATED_M), _MOST_INTEGRATED_M)
    pedal = _PROPORTIONAL * error + _INTEGRAL * target.integrated_m
    if wanted <= 0.0 and now < 0.5:
        pedal = -1.0
    driving.throttle[row] = min(max(pedal, 0.0), 1.0)
    driving.brake[row] = min(max(-pedal * _BRAKE_SHARE, 0.0), 1.0) if pedal > -1.0 else 1.0
    driving.is_reverse[row] = target.speed_mps < 0.0
    steer = min(max(target.steer_rad / MAX_WHEEL_ANGLE_RAD, -1.0), 1.0)
    change = steer - float(driving.steer[row])
    if target.steer_speed_radps > 0.0:
        most = target.steer_speed_radps * dt / MAX_WHEEL_ANGLE_RAD
        change = math.copysign(min(abs(change), most), change)
    driving.steer[row] += change
    record = arrays.records[row]
    pedals = (float(driving.throttle[row]), -float(driving.steer[row]), float(driving.brake[row]))
    record["control"], record["reverse"] = pedals, driving.is_reverse[row]
    record["hand_brake"] = record["manual_gear"] = False


def _ramp(target: AckermannTarget, now: float, dt: float) -> float:
    """Speed wanted in this tick: the target's, approached at its acceleration."""
    goal = abs(target.speed_mps)
    if target.acceleration_mps2 <= 0.0:
        return goal
    from_mps = now if target.ramped_mps is None else target.ramped_mps
    change = goal - from_mps
    most = target.acceleration_mps2 * dt
    target.ramped_mps = from_mps + math.copysign(min(abs(change), most), change)
    return target.ramped_mps
