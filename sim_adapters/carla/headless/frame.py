"""The flip between CARLA's left-handed frame and ours, and rigid poses in ours.

Inside the server: x east, y north, yaw counter-clockwise, radians. A pose is (x, y, z, pitch, yaw,
roll), in the order of the wire; pitch is positive nose up and roll positive left side up, as in
CARLA. Forward is (cos pitch cos yaw, cos pitch sin yaw, sin pitch).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.kernels import device_function

PoseTuple = tuple[float, float, float, float, float, float]

_DEGREES = 180.0 / math.pi
# y turns round and with it the sense of yaw; the other angles are defined by up and down
POSE_TO_WIRE: FloatArray = np.array([1.0, -1.0, 1.0, _DEGREES, -_DEGREES, _DEGREES])
# velocity, angular velocity (an axial vector: the sense of its x and z changes), acceleration
_MOTION_TO_WIRE = np.array(
    [1.0, -1.0, 1.0, -_DEGREES, _DEGREES, -_DEGREES, 1.0, -1.0, 1.0],
)
KINEMATICS_TO_WIRE: FloatArray = np.concatenate([POSE_TO_WIRE, _MOTION_TO_WIRE])


def vector_from_wire(vector: Sequence[float]) -> tuple[float, float, float]:
    """A location, velocity or direction; [m] or [m/s]."""
    return vector[0], -vector[1], vector[2]


def vector_to_wire(x: float, y: float, z: float) -> list[float]:
    """The same, outwards."""
    return [float(x), -float(y), float(z)]


def angular_from_wire(vector: Sequence[float]) -> tuple[float, float, float]:
    """An angular velocity in degrees per second, in radians per second here."""
    return -vector[0] / _DEGREES, vector[1] / _DEGREES, -vector[2] / _DEGREES


def pose_from_wire(transform: Sequence[Sequence[float]]) -> PoseTuple:
    """A `carla.Transform` on the wire: [location, [pitch, yaw, roll]] in degrees."""
    (x, y, z), (pitch, yaw, roll) = transform
    return x, -y, z, pitch / _DEGREES, -yaw / _DEGREES, roll / _DEGREES


def pose_to_wire(pose: Sequence[float]) -> list[list[float]]:
    """The inverse of `pose_from_wire`."""
    wire = [float(value) for value in np.asarray(pose) * POSE_TO_WIRE]
    return [wire[:3], wire[3:]]


@device_function
def axes_of(
    pitch: float, yaw: float, roll: float
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """World components of the forward, left and up axes of a body."""
    cos_pitch, sin_pitch = math.cos(pitch), math.sin(pitch)
    cos_yaw, sin_yaw = math.cos(yaw), math.sin(yaw)
    cos_roll, sin_roll = math.cos(roll), math.sin(roll)
    up_x, up_y, up_z = -sin_pitch * cos_yaw, -sin_pitch * sin_yaw, cos_pitch
    return (
        cos_pitch * cos_yaw,
        cos_pitch * sin_yaw,
        sin_pitch,
        -cos_roll * sin_yaw + sin_roll * up_x,
        cos_roll * cos_yaw + sin_roll * up_y,
        sin_roll * up_z,
        cos_roll * up_x + sin_roll * sin_yaw,
        cos_roll * up_y - sin_roll * cos_yaw,
        cos_roll * up_z,
    )


@device_function
def compose(parent: PoseTuple, child: PoseTuple) -> PoseTuple:
    """World pose of a child that is mounted on a parent at a relative pose."""
    x, y, z, pitch, yaw, roll = parent
    fx, fy, fz, lx, ly, lz, ux, uy, uz = axes_of(pitch, yaw, roll)
    child_x, child_y, child_z, child_pitch, child_yaw, child_roll = child
    a = axes_of(child_pitch, child_yaw, child_roll)
    forward_x = fx * a[0] + lx * a[1] + ux * a[2]
    forward_y = fy * a[0] + ly * a[1] + uy * a[2]
    forward_z = fz * a[0] + lz * a[1] + uz * a[2]
    left_z = fz * a[3] + lz * a[4] + uz * a[5]
    up_z = fz * a[6] + lz * a[7] + uz * a[8]
    return (
        x + fx * child_x + lx * child_y + ux * child_z,
        y + fy * child_x + ly * child_y + uy * child_z,
        z + fz * child_x + lz * child_y + uz * child_z,
        math.asin(min(max(forward_z, -1.0), 1.0)),
        math.atan2(forward_y, forward_x),
        math.atan2(left_z, up_z),
    )
