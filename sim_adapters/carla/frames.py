"""The one place where CARLA's left-handed frame meets ours: y, yaw and steering change sign.

CARLA: metres, x forward or east, y right or south, yaw clockwise in degrees. Ours is right-handed,
yaw counter-clockwise in radians. Everything that enters or leaves a server passes through here.
"""

from __future__ import annotations

import math

import carla

# Columns of `actor_row`
ID, X, Y, Z, YAW, VX, VY, AX, AY, YAW_RATE = range(10)


def actor_row(actor: carla.ActorSnapshot) -> tuple[float, ...]:
    """One actor of a snapshot in our frame: id, x, y, z, yaw, vx, vy, ax, ay, yaw rate; SI units.

    The position is the actor's origin, which is not always the centre of its box.
    """
    transform, velocity = actor.get_transform(), actor.get_velocity()
    acceleration = actor.get_acceleration()
    location = transform.location
    return (
        actor.id,
        location.x,
        -location.y,
        location.z,
        -math.radians(transform.rotation.yaw),
        velocity.x,
        -velocity.y,
        acceleration.x,
        -acceleration.y,
        -math.radians(actor.get_angular_velocity().z),
    )


def from_carla_location(location: carla.Vector3D) -> tuple[float, float, float]:
    """A place or an offset within an actor in our frame: x, y, z [m]."""
    return location.x, -location.y, location.z


def from_carla_transform(transform: carla.Transform) -> tuple[float, float, float, float]:
    """An upright pose in our frame: x, y, z [m] and yaw [rad]."""
    return *from_carla_location(transform.location), -math.radians(transform.rotation.yaw)


def to_carla_location(x: float, y: float, z: float) -> carla.Location:
    """A place of ours [m] as CARLA has it."""
    return carla.Location(float(x), -float(y), float(z))


def to_carla_transform(x: float, y: float, z: float, yaw_rad: float) -> carla.Transform:
    """An upright pose of ours as CARLA has it."""
    rotation = carla.Rotation(yaw=-math.degrees(yaw_rad))
    return carla.Transform(to_carla_location(x, y, z), rotation)


def to_carla_vector(x: float, y: float, z: float = 0.0) -> carla.Vector3D:
    """A direction or velocity of ours as CARLA has it."""
    return carla.Vector3D(float(x), -float(y), float(z))


def to_carla_control(steer: float, throttle: float, brake: float) -> carla.VehicleControl:
    """Controls with our steering, left positive."""
    return carla.VehicleControl(throttle=float(throttle), steer=-float(steer), brake=float(brake))


def from_carla_control(control: carla.VehicleControl) -> tuple[float, float, float, float]:
    """Steer (left positive), throttle, brake and gear that a vehicle applies."""
    return -control.steer, control.throttle, control.brake, float(control.gear)
