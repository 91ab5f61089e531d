"""Trigger volumes of lights and signs, and which of them each vehicle overlaps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actor_arrays import Body, Kind, Pose
from sim_adapters.carla.headless.contacts import box_center
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import turned_boxes_overlap

FloatArray = NDArray[np.float64]
LIGHT, PRIORITY_SIGN, SPEED_LIMIT = 0, 1, 2
_VEHICLE = int(Kind.VEHICLE)


class TriggerBoxes(NamedTuple):
    """One box a lane that a light or sign acts on, (K,)."""

    x: FloatArray  # [m] centre
    y: FloatArray
    z: FloatArray
    cos_yaw: FloatArray
    sin_yaw: FloatArray
    half_length: FloatArray
    half_width: FloatArray
    half_height: FloatArray
    effect: NDArray[np.uint8]  # LIGHT, PRIORITY_SIGN or SPEED_LIMIT
    value: FloatArray  # index of the light or sign; a limit in km/h


class Touched(NamedTuple):
    """What each row overlaps, (capacity,)."""

    light: NDArray[np.int32]  # index of the light, -1 none
    sign: NDArray[np.int32]  # index of the stop or yield sign, -1 none
    limit_kmh: FloatArray  # 0 none


def empty_touched(capacity: int) -> Touched:
    """Nothing touched."""
    return Touched(
        np.full(capacity, -1, np.int32), np.full(capacity, -1, np.int32), np.zeros(capacity)
    )


@device_function
def _touch_boxes(row: int, pose: Pose, body: Body, boxes: TriggerBoxes, touched: Touched) -> None:
    """The last box of each kind that one vehicle overlaps."""
    x, y = box_center(row, pose, body)
    cos_yaw, sin_yaw = math.cos(pose.yaw[row]), math.sin(pose.yaw[row])
    radius = body.half_length[row] + body.half_width[row]
    z, half_height = pose.z[row] + body.center_z[row], body.half_height[row]
    for box in range(len(boxes.x)):
        dx, dy = boxes.x[box] - x, boxes.y[box] - y
        reach = radius + boxes.half_length[box] + boxes.half_width[box]
        if abs(dx) > reach or abs(dy) > reach:
            continue
        if abs(boxes.z[box] - z) >= half_height + boxes.half_height[box]:
            continue
        if turned_boxes_overlap(
            dx,
            dy,
            cos_yaw,
            sin_yaw,
            body.half_length[row],
            body.half_width[row],
            boxes.cos_yaw[box],
            boxes.sin_yaw[box],
            boxes.half_length[box],
            boxes.half_width[box],
        ):
            if boxes.effect[box] == LIGHT:
                touched.light[row] = int(boxes.value[box])
            elif boxes.effect[box] == PRIORITY_SIGN:
                touched.sign[row] = int(boxes.value[box])
            else:
                touched.limit_kmh[row] = boxes.value[box]


@range_kernel
def touch_boxes_range(
    first: int, last: int, pose: Pose, body: Body, boxes: TriggerBoxes, touched: Touched
) -> bool:
    """Find the boxes that the vehicles among rows `first` to `last` overlap.

    Returns:
        Whether anything differs from what `touched` held before.
    """
    has_changed = False
    for row in range(first, last):
        light, sign, limit_kmh = touched.light[row], touched.sign[row], touched.limit_kmh[row]
        touched.light[row], touched.sign[row], touched.limit_kmh[row] = -1, -1, 0.0
        if body.kind[row] == _VEHICLE:
            _touch_boxes(row, pose, body, boxes, touched)
        has_changed = has_changed or light != touched.light[row] or sign != touched.sign[row]
        has_changed = has_changed or limit_kmh != touched.limit_kmh[row]
    return has_changed
