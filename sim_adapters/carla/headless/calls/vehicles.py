"""Calls that control vehicles and walkers and ask for what only vehicles have."""

from __future__ import annotations

import math
from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import AckermannTarget, Actor
from sim_adapters.carla.headless.blueprints.vehicles import (
    describe_physics,
    describe_telemetry,
)
from sim_adapters.carla.headless.calls.actors import ActorCalls
from sim_adapters.carla.headless.calls.dispatch import CallError, call
from sim_adapters.carla.headless.frame import pose_from_wire, vector_from_wire
from sim_adapters.carla.headless.protocol import Answer
from sim_adapters.carla.headless.world import World

_FASTEST_WALKER_MPS = 20.0
_MAX_PHYSICS_ITEMS = 2_000  # ours has 100; every vehicle keeps those that it was sent


class VehicleCalls:
    """Carries out these calls on a world.

    Args:
        world: The world.
        actors: Finds actors.
    """

    def __init__(self, world: World, actors: ActorCalls) -> None:
        self._world = world
        self._actors = actors

    def _vehicle(self, actor_id: Any) -> Actor:
        actor = self._actors.find(actor_id)
        if actor.kind != Kind.VEHICLE:
            raise CallError(f"actor {actor.actor_id} ({actor.type_id}) is not a vehicle")
        return actor

    @call("apply_control_to_vehicle", Answer.VOID)
    def apply_control(self, actor_id: Any, control: Any) -> None:
        """Keep a `carla.VehicleControl` until the next one; values are brought into range."""
        actor = self._vehicle(actor_id)
        throttle, steer, brake, hand_brake, reverse, manual, *_ = values.items(control, 7)
        throttle = values.within(values.number(throttle), 0.0, 1.0)
        steer = values.within(values.number(steer), -1.0, 1.0)
        brake = values.within(values.number(brake), 0.0, 1.0)
        flags = [values.flag(value) for value in (hand_brake, reverse, manual)]
        self._world.episode.ackermann_targets.pop(actor.actor_id, None)
        arrays, row = self._world.episode.registry.arrays, actor.row
        driving, record = arrays.driving, arrays.records[row]
        driving.throttle[row], driving.steer[row] = throttle, -steer
        driving.brake[row] = 1.0 if flags[0] else brake
        driving.is_reverse[row] = flags[1]
        record["control"] = throttle, steer, brake
        record["hand_brake"], record["reverse"], record["manual_gear"] = flags

    @call("apply_ackermann_control_to_vehicle", Answer.VOID)
    def apply_ackermann(self, actor_id: Any, control: Any) -> None:
        """Hold a steering angle [rad] and approach a speed [m/s] until an ordinary control."""
        actor = self._vehicle(actor_id)
        steer, steer_speed, speed, acceleration, _ = values.numbers(control, 5)
        self._world.episode.ackermann_targets[actor.actor_id] = AckermannTarget(
            -steer, abs(steer_speed), speed, abs(acceleration)
        )

    @call("apply_control_to_walker", Answer.VOID)
    def control_walker(self, actor_id: Any, control: Any) -> None:
        """Keep a `carla.WalkerControl`: a direction in the world, a speed, a jump."""
        actor = self._actors.find(actor_id)
        if actor.kind != Kind.WALKER:
            raise CallError(f"actor {actor.actor_id} ({actor.type_id}) is not a walker")
        direction, speed, jump = values.items(control, 3)[:3]
        vector = values.vector(direction)
        pace = values.within(values.number(speed), 0.0, _FASTEST_WALKER_MPS)
        arrays, row = self._world.episode.registry.arrays, actor.row
        x, y, _ = vector_from_wire(vector)
        length = math.hypot(x, y)
        arrays.walking.vx[row] = pace * x / length if length > 0.0 else 0.0
        arrays.walking.vy[row] = pace * y / length if length > 0.0 else 0.0
        record = arrays.records[row]
        record["walk_direction"], record["walk_speed"] = vector, pace
        record["walk_jump"] = values.flag(jump)

    @call("set_walker_state", Answer.VOID)
    def set_walker_state(self, actor_id: Any, transform: Any, speed: Any) -> None:
        """Place a walker and let it walk on along its new heading."""
        actor = self._actors.find(actor_id)
        wire = values.transform(transform)
        yaw = math.radians(wire[1][1])
        direction = [math.cos(yaw), math.sin(yaw), 0.0]
        self.control_walker(actor_id, [direction, speed, False])
        self._actors.place(actor, pose_from_wire(wire))

    @call("get_physics_control")
    def physics_control(self, actor_id: Any) -> list[Any]:
        """What a client applied last, else a description of the fitted car."""
        actor = self._vehicle(actor_id)
        if actor.physics is None:  # of where it stands now: wheels have world positions
            return describe_physics(self._world.episode.registry.arrays, actor.row)
        return actor.physics

    @call("apply_physics_control", Answer.VOID)
    def apply_physics(self, actor_id: Any, physics: Any) -> None:
        """Keep the values for reading back; the fitted car drives on as before."""
        actor = self._vehicle(actor_id)
        fields = values.items(physics, 17)
        if len(fields) != len(describe_physics(self._world.episode.registry.arrays, actor.row)):
            raise values.BadValueError("this is no VehiclePhysicsControl of this version")
        if values.num_items(fields) > _MAX_PHYSICS_ITEMS:
            raise values.BadValueError(f"more than {_MAX_PHYSICS_ITEMS} values and letters")
        actor.physics = fields

    @call("get_telemetry_data")
    def telemetry(self, actor_id: Any) -> list[Any]:
        """Pedals, gear and wheels as they are now."""
        actor = self._vehicle(actor_id)
        return describe_telemetry(self._world.episode.registry.arrays, actor.row)

    @call("get_vehicle_light_state")
    def lamps(self, actor_id: Any) -> list[int]:
        """Lamps of a vehicle."""
        return [self._vehicle(actor_id).lamps]

    @call("set_vehicle_light_state", Answer.VOID)
    def set_lamps(self, actor_id: Any, state: Any) -> None:
        """Switch lamps; the call sends a struct, the batch command the bare flags."""
        flags = state if isinstance(state, int) else values.items(state, 1)[0]
        self._vehicle(actor_id).lamps = values.whole(flags)

    @call("get_vehicle_light_states")
    def all_lamps(self) -> list[list[Any]]:
        """Lamps of every vehicle."""
        by_row = self._world.episode.registry.by_row
        rows = self._world.episode.registry.rows_of(Kind.VEHICLE)
        return [[by_row[row].actor_id, by_row[row].lamps] for row in rows]

    @call("set_actor_autopilot", Answer.VOID)
    def autopilot(self, actor_id: Any, enabled: Any = True) -> None:
        """The client's TrafficManager drives; the server has nothing to switch."""
        self._vehicle(actor_id)
