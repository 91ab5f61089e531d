"""Where a ray, or a ball that moves along it, meets bodies and roads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actors import ActorRegistry
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M, nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.world.ego_place import lane_height_m

FloatArray = NDArray[np.float64]
LONGEST_RAY_M = 2000.0
_STEP_M = 1.0
_ALMOST_ZERO = 1e-12


def body_hits(
    registry: ActorRegistry, start: FloatArray, ray: FloatArray, *, radius_m: float = 0.0
) -> list[tuple[float, int]]:
    """Shares of the ray at which it enters solid boxes, nearest first, with their rows.

    Args:
        registry: Whose bodies.
        start: (3,) right-handed.
        ray: (3,) from the start to the end.
        radius_m: Boxes are this much larger all round, as if a ball moved along the ray.
    """
    rows, _ = registry.solid_rows()
    if not rows.size:
        return []
    pose, body = registry.arrays.pose, registry.arrays.body
    cos, sin = np.cos(pose.yaw[rows]), np.sin(pose.yaw[rows])
    dx, dy = start[0] - pose.x[rows], start[1] - pose.y[rows]
    origin = np.stack(
        [
            cos * dx + sin * dy - body.center_x[rows],
            -sin * dx + cos * dy - body.center_y[rows],
            start[2] - pose.z[rows] - body.center_z[rows],
        ]
    )
    along = np.stack(
        [
            cos * ray[0] + sin * ray[1],
            -sin * ray[0] + cos * ray[1],
            np.full(len(rows), ray[2]),
        ]
    )
    along = np.where(np.abs(along) < _ALMOST_ZERO, _ALMOST_ZERO, along)
    half = np.stack([body.half_length[rows], body.half_width[rows], body.half_height[rows]])
    half = half + radius_m
    near, far = (-half - origin) / along, (half - origin) / along
    enter = np.minimum(near, far).max(axis=0)
    leave = np.maximum(near, far).min(axis=0)
    hit = (enter <= leave) & (leave >= 0.0) & (enter <= 1.0)
    return sorted((max(float(enter[i]), 0.0), int(rows[i])) for i in np.flatnonzero(hit))


def road_hits(bank: MapBank, start: FloatArray, ray: FloatArray) -> list[float]:
    """Shares of the ray at which it passes from above a lane to below it."""
    length = min(float(np.linalg.norm(ray)), LONGEST_RAY_M)
    steps = max(1, math.ceil(length / _STEP_M))
    above: float | None = None
    hits: list[float] = []
    for step in range(steps + 1):
        gap = _height_above_road(bank, start + ray * (step / steps))
        if above is not None and gap is not None and above > 0.0 >= gap:
            hits.append((step - 1 + above / (above - gap)) / steps)
        above = gap
    return hits


def _height_above_road(bank: MapBank, point: FloatArray) -> float | None:
    """Height above the lane on this level; None far from any."""
    x, y, z = (float(value) for value in point)
    kind = int(LaneKind.DRIVING)
    lane_point = nearest_lane_point(bank.grid, bank.points, bank.lanes, 0, x, y, z, kind)
    if lane_point < 0:
        return None
    height = z - lane_height_m(bank.points, bank.lanes, lane_point, x, y)
    return height if abs(height) <= 2.0 * SAME_LEVEL_M else None
