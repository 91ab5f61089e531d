"""Calls that spawn, find, place and destroy actors of any kind, one by one or in a batch."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import Actor
from sim_adapters.carla.headless.blueprints.refused_sensors import REFUSED_SENSORS
from sim_adapters.carla.headless.calls.dispatch import CallError, Dispatcher, call
from sim_adapters.carla.headless.frame import (
    angular_from_wire,
    pose_from_wire,
    vector_from_wire,
)
from sim_adapters.carla.headless.protocol import Answer
from sim_adapters.carla.headless.world import World

MAX_ACTORS = 10_000  # what runs away with memory is a client's mistake
_MAX_ATTRIBUTES = 64
_MAX_ATTRIBUTE_CHARACTERS = 8_192  # of all together: every actor keeps its own
_FASTEST_MPS = 300.0
_STREAMLESS = frozenset({"sensor.other.lane_invasion"})  # computed in the client
COLLISION_AT_SPAWN = "Spawn failed because of collision at spawn position"


class ActorCalls:
    """Carries out these calls on a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    @call("spawn_actor")
    def spawn(self, description: Any, transform: Any) -> list[Any]:
        """A new actor, as the client describes it."""
        return self._world.to_wire(self.create(description, transform))

    @call("spawn_actor_with_parent")
    def spawn_attached(
        self,
        description: Any,
        transform: Any,
        parent_id: Any,
        attachment: Any = 0,
        socket_name: Any = "",
    ) -> list[Any]:
        """A new actor on another one; every kind of attachment is rigid here."""
        parent = self.find(parent_id)
        return self._world.to_wire(self.create(description, transform, parent))

    def create(self, description: Any, transform: Any, parent: Actor | None = None) -> Actor:
        """Spawn an actor.

        Raises:
            CallError: no such blueprint, a sensor that needs rendering, or no room.
        """
        described = _check_description(description)
        blueprint = self._world.library.get(described[1])
        if blueprint is None:
            raise CallError(f"actor {described[1]!r} is not in the blueprint library")
        needed = REFUSED_SENSORS.get(blueprint.type_id.removeprefix("sensor."))
        if needed is not None:
            raise CallError(
                f"{blueprint.type_id} needs {needed}, which the headless server does not do: "
                f"use a CARLA server with Unreal, or a planner that does without"
            )
        episode = self._world.episode
        if len(episode.registry.by_id) >= MAX_ACTORS:
            raise CallError(f"there are {MAX_ACTORS} actors already: destroy some first")
        pose = pose_from_wire(values.transform(transform))
        actor = episode.spawn(blueprint, described, pose, parent)
        if actor is None:
            raise CallError(COLLISION_AT_SPAWN)
        if blueprint.kind == Kind.SENSOR and blueprint.type_id not in _STREAMLESS:
            actor.stream_id = self._world.streams.open()
            self._world.sensors.add(actor)
        return actor

    def find(self, actor_id: Any) -> Actor:
        """The actor with this id.

        Raises:
            CallError: it does not exist, or not any more.
        """
        actor = self._world.episode.registry.by_id.get(values.whole(actor_id))
        if actor is None:
            raise CallError(f"unable to find actor {actor_id}: it is not in the world")
        return actor

    @call("destroy_actor")
    def destroy(self, actor_id: Any) -> bool:
        """Take an actor out of the world."""
        return self._world.destroy(self.find(actor_id))

    @call("get_actors_by_id")
    def actors_by_id(self, actor_ids: Any) -> list[list[Any]]:
        """Those of the actors that exist."""
        by_id = self._world.episode.registry.by_id
        wanted = [values.whole(actor_id) for actor_id in values.items(actor_ids)]
        return [self._world.to_wire(by_id[wanted_id]) for wanted_id in wanted if wanted_id in by_id]

    @call("get_actor_bounding_box")
    def bounding_box(self, actor_id: Any) -> list[list[float]]:
        """Box in the actor's frame; an empty one for an actor that has gone.

        A TrafficManager asks for vehicles that another thread has just destroyed, and an error
        would end its process.
        """
        actor = self._world.episode.registry.by_id.get(values.whole(actor_id))
        return actor.bounding_box if actor else [[0.0] * 3, [0.0] * 3, [0.0] * 3]

    @call("set_actor_transform", Answer.VOID)
    def set_transform(self, actor_id: Any, transform: Any) -> None:
        """Teleport; velocities stay as they are."""
        self.place(self.find(actor_id), pose_from_wire(values.transform(transform)))

    @call("set_actor_location", Answer.VOID)
    def set_location(self, actor_id: Any, location: Any) -> None:
        """Teleport without turning."""
        actor = self.find(actor_id)
        x, y, z = vector_from_wire(values.vector(location))
        rest = self._world.episode.registry.arrays.pose_block[3:, actor.row]
        self.place(actor, (x, y, z, float(rest[0]), float(rest[1]), float(rest[2])))

    def place(self, actor: Actor, pose: tuple[float, ...]) -> None:
        """Put an actor at a pose, relative to its parent where it has one."""
        arrays = self._world.episode.registry.arrays
        row = actor.row
        if arrays.mount.parent_row[row] >= 0:
            for column, value in zip(arrays.mount[1:7], pose, strict=True):
                column[row] = value
        else:
            arrays.pose_block[:, row] = pose
            arrays.mount.ground_z[row] = np.nan
            arrays.pose.yaw[row] = math.remainder(pose[4], 2.0 * math.pi)

    @call("set_actor_target_velocity", Answer.VOID)
    def set_velocity(self, actor_id: Any, velocity: Any) -> None:
        """Velocity from now on; a vehicle keeps of it what lies along its heading."""
        actor = self.find(actor_id)
        x, y, z = vector_from_wire(values.vector(velocity))
        arrays = self._world.episode.registry.arrays
        row = actor.row
        arrays.motion_block[:3, row] = x, y, z
        yaw = float(arrays.pose.yaw[row])
        arrays.driving.speed[row] = _drivable(x * math.cos(yaw) + y * math.sin(yaw))

    @call("set_actor_target_angular_velocity", Answer.VOID)
    def set_angular_velocity(self, actor_id: Any, velocity: Any) -> None:
        """Turning rate that is shown until the vehicle's own motion replaces it."""
        actor = self.find(actor_id)
        rates = angular_from_wire(values.vector(velocity))
        self._world.episode.registry.arrays.motion_block[3:6, actor.row] = rates

    @call("enable_actor_constant_velocity", Answer.VOID)
    def hold_velocity(self, actor_id: Any, velocity: Any) -> None:
        """Drive at this velocity, given in the vehicle's own frame, whatever the controls say."""
        actor = self.find(actor_id)
        forward = values.vector(velocity)[0]
        self._world.episode.registry.arrays.driving.held_speed[actor.row] = _drivable(forward)

    @call("disable_actor_constant_velocity", Answer.VOID)
    def release_velocity(self, actor_id: Any) -> None:
        """Let the controls drive again."""
        actor = self.find(actor_id)
        self._world.episode.registry.arrays.driving.held_speed[actor.row] = np.nan

    @call("add_actor_impulse", Answer.VOID)
    def add_impulse(self, actor_id: Any, impulse: Any) -> None:
        """Change a vehicle's speed by impulse over mass [N s]."""
        self._accelerate(self.find(actor_id), values.vector(impulse), 1.0)

    @call("add_actor_force", Answer.VOID)
    def add_force(self, actor_id: Any, force: Any) -> None:
        """Let a force [N] act for one tick."""
        self._accelerate(self.find(actor_id), values.vector(force), self._world.settings.tick_s)

    def _accelerate(self, actor: Actor, wire_vector: list[float], seconds: float) -> None:
        arrays, row = self._world.episode.registry.arrays, actor.row
        mass = float(arrays.body.mass[row])
        if mass <= 0.0:
            return
        x, y, _ = vector_from_wire(wire_vector)
        yaw = float(arrays.pose.yaw[row])
        along = x * math.cos(yaw) + y * math.sin(yaw)
        speed = float(arrays.driving.speed[row]) + along * seconds / mass
        arrays.driving.speed[row] = _drivable(speed)

    @call("set_actor_simulate_physics", Answer.VOID)
    def simulate_physics(self, actor_id: Any, enabled: Any) -> None:
        """Without physics an actor stands where it is put."""
        actor = self.find(actor_id)
        is_on = values.flag(enabled)
        arrays, row = self._world.episode.registry.arrays, actor.row
        has_body = actor.kind in (Kind.VEHICLE, Kind.WALKER, Kind.PROP)
        arrays.body.is_simulated[row] = is_on and has_body
        if not is_on:
            arrays.motion_block[:, row] = 0.0
            arrays.driving.speed[row] = 0.0

    @call("set_actor_collisions", Answer.VOID)
    def set_collisions(self, actor_id: Any, enabled: Any) -> None:
        """Whether the actor collides with others."""
        registry = self._world.episode.registry
        actor = self.find(actor_id)
        blueprint = self._world.library.get(actor.type_id)
        may_collide = blueprint is not None and blueprint.is_solid
        registry.arrays.body.is_solid[actor.row] = values.flag(enabled) and may_collide
        registry.forget_rows()


def _drivable(speed_mps: float) -> float:
    return values.within(speed_mps, -_FASTEST_MPS, _FASTEST_MPS)


def _check_description(description: Any) -> list[Any]:
    """[uid, type_id, attributes] with attributes [id, type, value]."""
    uid, type_id, attributes = values.items(description, 3)[:3]
    checked = [values.items(attribute, 3)[:3] for attribute in values.items(attributes)]
    if len(checked) > _MAX_ATTRIBUTES:
        raise values.BadValueError(f"more than {_MAX_ATTRIBUTES} attributes")
    if values.num_items(checked) > _MAX_ATTRIBUTE_CHARACTERS:
        raise values.BadValueError("the attributes' names and values are too long")
    return [
        values.whole(uid),
        values.text(type_id),
        [
            [values.text(name), values.whole(code, 0, 5), values.text(value)]
            for name, code, value in checked
        ],
    ]


# `apply_batch`: many commands in one call, each answered on its own

_logger = logging.getLogger(__name__)
_SPAWN, _CONSOLE = 0, 20

# Commands by their place in the client's variant; the fields of each are the call's arguments
CALL_OF_COMMAND = {
    1: "destroy_actor",
    2: "apply_control_to_vehicle",
    3: "apply_ackermann_control_to_vehicle",
    4: "apply_control_to_walker",
    5: "apply_physics_control",
    6: "set_actor_transform",
    7: "set_walker_state",
    8: "set_actor_target_velocity",
    9: "set_actor_target_angular_velocity",
    10: "add_actor_impulse",
    11: "add_actor_force",
    12: "add_actor_angular_impulse",
    13: "add_actor_torque",
    14: "set_actor_simulate_physics",
    15: "set_actor_enable_gravity",
    16: "set_actor_autopilot",
    17: "show_vehicle_debug_telemetry",
    18: "set_vehicle_light_state",
    19: "set_actor_location",
    21: "set_traffic_light_state",
}


class BatchCalls:
    """Carries out batches on a world.

    Args:
        world: The world.
        actors: Spawns actors.
    """

    def __init__(self, world: World, actors: ActorCalls) -> None:
        self._world = world
        self._actors = actors
        self.dispatcher: Dispatcher | None = None  # of all calls, set once they are known

    @call("apply_batch", Answer.BARE)
    def apply(self, commands: Any, do_tick: Any = False) -> list[Any]:
        """One response a command: the actor's id, or what went wrong."""
        responses = [self._respond(command) for command in values.items(commands)]
        if values.flag(do_tick):
            self._world.tick()
        return responses

    def _respond(self, command: Any) -> Any:
        try:
            return Answer.VALUE.success(self._carry_out(command))
        except (CallError, values.BadValueError) as error:
            return Answer.VALUE.failure(str(error))
        except Exception as error:  # one bad command must not undo the answers to the others
            _logger.exception("a batch command failed")
            return Answer.VALUE.failure(f"internal error of the headless server: {error!r:.100}")

    def _carry_out(self, command: Any, actor_id: int | None = None) -> int:
        """Do one command; `actor_id` stands in for the actor of commands that follow a spawn."""
        index, arguments = values.items(values.items(command, 1)[0], 2)[:2]
        index, arguments = values.whole(index, 0, 255), values.items(arguments)
        if index == _SPAWN:
            return self._spawn(arguments)
        if index == _CONSOLE:
            return 0
        name = CALL_OF_COMMAND.get(index)
        if name is None or self.dispatcher is None:
            raise CallError(f"batch command {index} is unknown")
        if actor_id is not None:
            arguments = [actor_id, *values.items(arguments, 1)[1:]]
        self.dispatcher.carry_out(name, arguments)
        return values.whole(arguments[0])

    def _spawn(self, arguments: list[Any]) -> int:
        """Spawn, then do what hangs on the new actor; failures of those are logged only."""
        description, transform, parent_id = values.items(arguments, 4)[:3]
        parent = values.optional(parent_id)
        actor = self._actors.create(
            description, transform, None if parent is None else self._actors.find(parent)
        )
        for following in values.items(arguments[-1]):
            try:
                self._carry_out(following, actor.actor_id)
            except (CallError, values.BadValueError) as error:
                _logger.warning("a command after a spawn failed: %s", error)
        return actor.actor_id
