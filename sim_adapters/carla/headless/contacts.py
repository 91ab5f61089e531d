"""Overlaps: of bodies, which get their impulse and are taken apart, and with trigger volumes.

The response is the embedded world's (`world.contacts`) for bodies of any mass: the closing speed
along the shallowest axis is shared out as a plastic impact does, vehicles lose of it what lies
along their direction of travel, and the boxes are pushed apart. A vehicle that stood shows the
speed it is knocked to for a tick, to the side too. What has no physics stands fast.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.headless.actor_arrays import Body, Driving, Kind, Motion, Pose
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import turned_boxes_overlap
from sim_adapters.world.contacts import (
    MAX_PUSH_M,
    RESTING_DEPTH_M,
    STANDING_MPS,
    penetration,
)

MAX_PAIRS = 512  # a tick
_VEHICLE, _WALKER = int(Kind.VEHICLE), int(Kind.WALKER)


class ContactPairs(NamedTuple):
    """Pairs of one tick, (MAX_PAIRS,)."""

    row: NDArray[np.int32]
    other_row: NDArray[np.int32]
    impulse_x: NDArray[np.float64]  # [N s] on `row`; the other gets the opposite
    impulse_y: NDArray[np.float64]


def empty_contact_pairs() -> ContactPairs:
    """Room for the pairs of a tick."""
    return ContactPairs(
        np.zeros(MAX_PAIRS, np.int32),
        np.zeros(MAX_PAIRS, np.int32),
        np.zeros(MAX_PAIRS),
        np.zeros(MAX_PAIRS),
    )


@device_function
def box_center(row: int, pose: Pose, body: Body) -> tuple[float, float]:
    """Plan position of a body's box; its yaw is the actor's."""
    cos_yaw, sin_yaw = math.cos(pose.yaw[row]), math.sin(pose.yaw[row])
    dx, dy = body.center_x[row], body.center_y[row]
    return (
        pose.x[row] + cos_yaw * dx - sin_yaw * dy,
        pose.y[row] + sin_yaw * dx + cos_yaw * dy,
    )


@device_function
def overlap_of(row: int, other: int, pose: Pose, body: Body) -> tuple[float, float, float]:
    """Depth of overlap [m], not positive without one, and the normal from `row` to `other`."""
    gap = (pose.z[other] + body.center_z[other]) - (pose.z[row] + body.center_z[row])
    if abs(gap) >= body.half_height[row] + body.half_height[other]:
        return 0.0, 1.0, 0.0
    x, y = box_center(row, pose, body)
    other_x, other_y = box_center(other, pose, body)
    return penetration(
        other_x - x,
        other_y - y,
        pose.yaw[row],
        body.half_length[row],
        body.half_width[row],
        pose.yaw[other],
        body.half_length[other],
        body.half_width[other],
    )


@device_function
def _inverse_mass(row: int, body: Body) -> float:
    return 1.0 / body.mass[row] if body.is_simulated[row] and body.mass[row] > 0.0 else 0.0


@device_function
def _velocity(row: int, motion: Motion, driving: Driving, body: Body) -> tuple[float, float]:
    """Velocity after the contacts dealt with so far in this tick."""
    vx, vy = motion.vx[row], motion.vy[row]
    speed = math.hypot(vx, vy)
    if body.kind[row] != _VEHICLE or not body.is_simulated[row] or speed < 1e-6:
        return vx, vy
    share = abs(driving.speed[row]) / speed
    return share * vx, share * vy


@device_function
def _push(
    row: int,
    speed_change: float,
    shift: float,
    normal_x: float,
    normal_y: float,
    pose: Pose,
    motion: Motion,
    body: Body,
    driving: Driving,
) -> None:
    """Give a body its change of speed and of place along the normal."""
    pose.x[row] += shift * normal_x
    pose.y[row] += shift * normal_y
    if body.kind[row] != _VEHICLE:
        return
    vx, vy = motion.vx[row], motion.vy[row]
    speed = math.hypot(vx, vy)
    if speed > 1e-6:
        sign = 1.0 if driving.speed[row] >= 0.0 else -1.0
        direction_x, direction_y = sign * vx / speed, sign * vy / speed
    else:
        direction_x, direction_y = math.cos(pose.yaw[row]), math.sin(pose.yaw[row])
    driving.speed[row] += speed_change * (normal_x * direction_x + normal_y * direction_y)
    if speed < STANDING_MPS:
        motion.vx[row] += speed_change * normal_x
        motion.vy[row] += speed_change * normal_y


@device_function
def _respond(
    row: int,
    other: int,
    depth: float,
    normal_x: float,
    normal_y: float,
    pose: Pose,
    motion: Motion,
    body: Body,
    driving: Driving,
) -> float:
    """Part the pair; the size of the impulse between them [N s]."""
    share, other_share = _inverse_mass(row, body), _inverse_mass(other, body)
    total = share + other_share
    vx, vy = _velocity(row, motion, driving, body)
    other_vx, other_vy = _velocity(other, motion, driving, body)
    closing = max((vx - other_vx) * normal_x + (vy - other_vy) * normal_y, 0.0)
    impulse = closing / total
    shift = max(depth - RESTING_DEPTH_M, 0.0) / total
    # A walker is thrown aside at once, a vehicle moves no faster than the embedded world's
    if body.kind[row] != _WALKER and body.kind[other] != _WALKER:
        shift = min(shift, MAX_PUSH_M / total)
    _push(row, -impulse * share, -shift * share, normal_x, normal_y, pose, motion, body, driving)
    _push(
        other,
        impulse * other_share,
        shift * other_share,
        normal_x,
        normal_y,
        pose,
        motion,
        body,
        driving,
    )
    return impulse


@device_function
def sort_by_west_edge(
    order: NDArray[np.int32], west: NDArray[np.float64], pose: Pose, body: Body
) -> None:
    """Keep rows in the order of their western edges: cars move little in a tick, so few swap."""
    for place in range(len(order)):
        row = order[place]
        x, _ = box_center(row, pose, body)
        edge = x - math.hypot(body.half_length[row], body.half_width[row])
        before = place - 1
        while before >= 0 and west[before] > edge:
            order[before + 1], west[before + 1] = order[before], west[before]
            before -= 1
        order[before + 1], west[before + 1] = row, edge


@range_kernel
def touch_bodies(
    order: NDArray[np.int32],
    west: NDArray[np.float64],
    pose: Pose,
    motion: Motion,
    body: Body,
    driving: Driving,
    pairs: ContactPairs,
) -> int:
    """Find and part all overlapping pairs in which something moves.

    Args:
        order: Rows of solid bodies, kept from tick to tick.
        west: Room for their western edges.
        pose: Of all actors; bodies are pushed apart.
        motion: Of all actors, as at the moment of impact.
        body: Of all actors.
        driving: Of all actors; vehicles lose speed.
        pairs: Filled with the pairs found.

    Returns:
        Number of pairs.
    """
    sort_by_west_edge(order, west, pose, body)
    found = 0
    for place in range(len(order)):
        row = order[place]
        east = west[place] + 2.0 * math.hypot(body.half_length[row], body.half_width[row])
        for later in range(place + 1, len(order)):
            if west[later] > east or found == MAX_PAIRS:
                break
            other = order[later]
            if not (body.is_simulated[row] or body.is_simulated[other]):
                continue
            reach = body.half_length[row] + body.half_width[row]
            reach += body.half_length[other] + body.half_width[other] + 1.0
            if abs(pose.y[row] - pose.y[other]) > reach:
                continue
            depth, normal_x, normal_y = overlap_of(row, other, pose, body)
            if depth <= 0.0:
                continue
            impulse = _respond(row, other, depth, normal_x, normal_y, pose, motion, body, driving)
            pairs.row[found], pairs.other_row[found] = row, other
            pairs.impulse_x[found] = -impulse * normal_x
            pairs.impulse_y[found] = -impulse * normal_y
            found += 1
    return found


@device_function
def first_body_in_the_way(
    row: int, order: NDArray[np.int32], pose: Pose, body: Body, margin_m: float
) -> int:
    """Row of a solid body that overlaps `row`'s box by more than `margin_m`, or -1."""
    for place in range(len(order)):
        other = order[place]
        if other != row and overlap_of(row, other, pose, body)[0] > margin_m:
            return other
    return -1


# Trigger volumes of lights and signs, and which of them each vehicle overlaps

LIGHT, PRIORITY_SIGN, SPEED_LIMIT = 0, 1, 2


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
