"""Moves vehicles, walkers and what is mounted on them by one tick, for all rows in one call.

Vehicles are the embedded world's fitted car whatever their blueprint: forwards they take exactly
the steps of `world.dynamics.drive_ego`. Height and pitch come from the lane below.

Limit: all vehicles have the fitted car's engine, brakes and turning circle; tyres never slide.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actor_arrays import (
    ActorColumns,
    Body,
    Driving,
    Kind,
    Motion,
    Mount,
    Pose,
    Walking,
)
from sim_adapters.carla.headless.contacts import (
    ContactPairs,
    Touched,
    TriggerBoxes,
    touch_bodies,
    touch_boxes_range,
)
from sim_adapters.carla.headless.frame import compose
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import (
    LANE_GRID_CELL_M,
    LaneGrid,
    LaneKind,
    LanePoints,
    Lanes,
)
from sim_adapters.world.dynamics import REAR_AXLE_M, ego_step, slip_angle_rad
from sim_adapters.world.ego_place import lane_height_m
from sim_adapters.world.ego_speed import SUBSTEP_S, next_speed_mps
from sim_adapters.world.gears import gear_step

REVERSE_TOP_MPS = 10.0  # about what the engine turns in the shortest gear
BURIED_M = 10.0  # a body that is so far below a road does not belong on it
STICK_M = 0.3  # lower than this above the road the wheels follow it, higher up a car falls
GRAVITY_MPS2 = 9.81
_DRIVING_LANE = int(LaneKind.DRIVING)
_VEHICLE, _WALKER, _PROP = int(Kind.VEHICLE), int(Kind.WALKER), int(Kind.PROP)


class Ground(NamedTuple):
    """Lanes that bodies stand on."""

    grid: LaneGrid
    points: LanePoints
    lanes: Lanes


@device_function
def next_signed_speed_mps(
    speed: float, throttle: float, brake: float, is_reverse: bool, dt: float
) -> float:
    """Speed after `dt`, negative backwards.

    The throttle of a car that still rolls against its gear brakes it.
    """
    direction = -1.0 if is_reverse else 1.0
    along = speed * direction
    if along < 0.0:
        return -direction * next_speed_mps(-along, 0.0, max(brake, throttle), dt)
    if is_reverse and along >= REVERSE_TOP_MPS:
        throttle = 0.0
    return direction * next_speed_mps(along, throttle, brake, dt)


@device_function
def drive_vehicle(row: int, pose: Pose, motion: Motion, driving: Driving, dt: float) -> None:
    """Advance one vehicle in the plane and write its rates."""
    x, y, yaw = float(pose.x[row]), float(pose.y[row]), float(pose.yaw[row])
    steer, v = float(driving.steer[row]), float(driving.speed[row])
    throttle, brake = float(driving.throttle[row]), float(driving.brake[row])
    is_reverse, held = bool(driving.is_reverse[row]), float(driving.held_speed[row])
    gear, left = int(driving.gear[row]), int(driving.shift_substeps_left[row])
    reported = gear
    num_substeps = max(1, round(dt / SUBSTEP_S))
    for _ in range(num_substeps):
        if not math.isnan(held):
            v = held
        x, y, yaw, _unused = ego_step(x, y, yaw, v, steer, throttle, brake, dt / num_substeps)
        v = next_signed_speed_mps(v, throttle, brake, is_reverse, dt / num_substeps)
        gear, left, reported = gear_step(gear, left, abs(v), throttle, brake)
    if not math.isnan(held):
        v = held
    slip = slip_angle_rad(steer)
    vx, vy = v * math.cos(yaw + slip), v * math.sin(yaw + slip)
    motion.ax[row], motion.ay[row] = (vx - motion.vx[row]) / dt, (vy - motion.vy[row]) / dt
    motion.vx[row], motion.vy[row] = vx, vy
    motion.wx[row], motion.wy[row] = 0.0, 0.0
    motion.wz[row] = v / REAR_AXLE_M * math.sin(slip)
    pose.x[row], pose.y[row], pose.yaw[row] = x, y, wrap_angle(yaw)
    driving.speed[row] = v
    driving.gear[row], driving.shift_substeps_left[row] = gear, left
    driving.reported_gear[row] = -1 if is_reverse else reported


@device_function
def glide(row: int, pose: Pose, motion: Motion, dt: float) -> None:
    """Move a vehicle whose wheels touch nothing: pedals and steering wheel do nothing to it."""
    pose.x[row] += motion.vx[row] * dt
    pose.y[row] += motion.vy[row] * dt
    pose.yaw[row] = wrap_angle(pose.yaw[row] + motion.wz[row] * dt)
    motion.ax[row] = motion.ay[row] = 0.0


@device_function
def walk(row: int, pose: Pose, motion: Motion, walking: Walking, dt: float) -> None:
    """Move one walker at the velocity it wants."""
    vx, vy = walking.vx[row], walking.vy[row]
    motion.ax[row], motion.ay[row] = (vx - motion.vx[row]) / dt, (vy - motion.vy[row]) / dt
    motion.vx[row], motion.vy[row] = vx, vy
    pose.x[row] += vx * dt
    pose.y[row] += vy * dt
    if vx != 0.0 or vy != 0.0:
        pose.yaw[row] = math.atan2(vy, vx)


@device_function
def lane_point_of_ground(
    grid: LaneGrid, points: LanePoints, lanes: Lanes, x: float, y: float, z: float
) -> int:
    """Point of the driving lane that carries, or will catch, a body at (x, y, z); -1 without any.

    That is the lane of the body's own level, else the highest one below it, else one that is not
    far above. Deeper down nothing carries: scenarios keep walkers there until they are wanted.
    """
    near = nearest_lane_point(grid, points, lanes, 0, x, y, z, _DRIVING_LANE)
    if near >= 0:
        return near
    column = math.floor((x - grid.origin_x[0]) / LANE_GRID_CELL_M)
    row = math.floor((y - grid.origin_y[0]) / LANE_GRID_CELL_M)
    if column < 0 or row < 0 or column >= grid.num_x[0] or row >= grid.num_y[0]:
        return -1
    cell = row * grid.num_x[0] + column
    below, below_z, above_z = -1, -math.inf, math.inf
    for entry in range(grid.first_entry[cell], grid.first_entry[cell + 1]):
        point = grid.point[entry]
        height = float(points.z[point])
        if lanes.kind[points.lane[point]] != _DRIVING_LANE:
            continue
        if height <= z and height > below_z:
            below, below_z = point, height
        elif height > z and height < above_z:
            above_z = height
    found = below_z if below >= 0 else above_z
    if below < 0 and above_z - z > BURIED_M:
        return -1
    return nearest_lane_point(grid, points, lanes, 0, x, y, found, _DRIVING_LANE)


@device_function
def nearest_road_height_m(points: LanePoints, lanes: Lanes, x: float, y: float) -> float:
    """Height of the driving lane that is nearest to a place beside all roads."""
    height, nearest = 0.0, math.inf
    for point in range(len(points.x)):
        dx, dy = points.x[point] - x, points.y[point] - y
        distance = dx * dx + dy * dy
        if distance < nearest and lanes.kind[points.lane[point]] == _DRIVING_LANE:
            height, nearest = float(points.z[point]), distance
    return height


@device_function
def stand_on_ground(
    row: int,
    pose: Pose,
    motion: Motion,
    body: Body,
    mount: Mount,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    dt: float,
) -> None:
    """Put a body on the lane below it, or let it fall there.

    Beside all roads the ground is as high as the road that it left, or as the nearest one.
    """
    x, y = float(pose.x[row]), float(pose.y[row])
    # A walker's origin is its middle, a vehicle's the ground below it
    foot = float(body.half_height[row]) if body.kind[row] == _WALKER else 0.0
    z = float(pose.z[row]) - foot
    point = lane_point_of_ground(grid, points, lanes, x, y, z)
    if point >= 0:
        mount.ground_z[row] = lane_height_m(points, lanes, point, x, y)
    elif math.isnan(mount.ground_z[row]):
        mount.ground_z[row] = nearest_road_height_m(points, lanes, x, y)
    ground = float(mount.ground_z[row])
    if ground - z > BURIED_M:
        motion.vz[row] = motion.az[row] = 0.0
        return
    if z - ground > STICK_M:
        motion.vz[row] -= GRAVITY_MPS2 * dt
        motion.az[row] = -GRAVITY_MPS2
        pose.z[row] = foot + max(z + motion.vz[row] * dt, ground)
        return
    motion.vz[row], motion.az[row] = (ground - z) / dt, 0.0
    pose.z[row] = foot + ground
    if body.kind[row] == _VEHICLE and point >= 0:
        lane, other = points.lane[point], point + 1
        if other >= lanes.first_point[lane + 1]:
            point, other = point - 1, point
        rise = points.z[other] - points.z[point]
        run = math.hypot(points.x[other] - points.x[point], points.y[other] - points.y[point])
        slope = rise / max(run, 1e-6)
        pose.pitch[row] = math.atan(slope * math.cos(pose.yaw[row] - points.yaw_rad[point]))
        pose.roll[row] = 0.0


@device_function
def follow_parent(row: int, pose: Pose, motion: Motion, mount: Mount) -> None:
    """Carry a mounted actor along with its parent."""
    parent = int(mount.parent_row[row])
    x, y, z, pitch, yaw, roll = compose(
        (
            float(pose.x[parent]),
            float(pose.y[parent]),
            float(pose.z[parent]),
            float(pose.pitch[parent]),
            float(pose.yaw[parent]),
            float(pose.roll[parent]),
        ),
        (
            float(mount.x[row]),
            float(mount.y[row]),
            float(mount.z[row]),
            float(mount.pitch[row]),
            float(mount.yaw[row]),
            float(mount.roll[row]),
        ),
    )
    pose.x[row], pose.y[row], pose.z[row] = x, y, z
    pose.pitch[row], pose.yaw[row], pose.roll[row] = pitch, yaw, roll
    motion.vx[row], motion.vy[row] = motion.vx[parent], motion.vy[parent]
    motion.vz[row] = motion.vz[parent]


@range_kernel
def advance_actors_range(
    first: int,
    last: int,
    actors: ActorColumns,
    ground: Ground,
    dt: float,
) -> None:
    """One tick of rows `first` to `last`; actors without physics stay where they were put."""
    pose, motion, body, driving, walking, mount = actors
    grid, points, lanes = ground
    for row in range(first, last):
        if mount.parent_row[row] >= 0 or not body.is_simulated[row]:
            motion.ax[row] = motion.ay[row] = motion.az[row] = 0.0
            continue
        if body.kind[row] == _VEHICLE:
            falls = motion.az[row] == -GRAVITY_MPS2  # as the last tick left it
            if falls and math.isnan(driving.held_speed[row]):
                glide(row, pose, motion, dt)
            else:
                drive_vehicle(row, pose, motion, driving, dt)
        elif body.kind[row] == _WALKER:
            walk(row, pose, motion, walking, dt)
        elif body.kind[row] != _PROP:
            continue
        stand_on_ground(row, pose, motion, body, mount, grid, points, lanes, dt)
    for row in range(first, last):
        if mount.parent_row[row] >= 0:
            follow_parent(row, pose, motion, mount)


# The whole tick of all actors in one kernel call, because a call costs as much as ten vehicles.


@range_kernel
def tick_actors(
    count: int,
    actors: ActorColumns,
    ground: Ground,
    order: NDArray[np.int32],
    west: NDArray[np.float64],
    pairs: ContactPairs,
    boxes: TriggerBoxes,
    touched: Touched,
    dt: float,
) -> tuple[int, bool]:
    """Move rows 0 to `count`, part what overlaps, find the trigger boxes that vehicles are in.

    Returns:
        Number of contact pairs, and whether any vehicle is in other boxes than before.
    """
    advance_actors_range(0, count, actors, ground, dt)
    pose, motion, body, driving, _, _ = actors
    num_pairs = touch_bodies(order, west, pose, motion, body, driving, pairs)
    return num_pairs, touch_boxes_range(0, count, pose, body, boxes, touched)
