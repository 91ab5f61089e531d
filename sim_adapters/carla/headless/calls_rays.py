"""Calls that look for the ground or for bodies along a ray."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.dispatch import call
from sim_adapters.carla.headless.frame import vector_from_wire, vector_to_wire
from sim_adapters.carla.headless.world import World
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M, nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind
from sim_adapters.world.ego_place import lane_height_m

_ROAD_TAG = 1  # carla.CityObjectLabel.Roads
_STEP_M = 1.0
_LONGEST_RAY_M = 2000.0


class RayCalls:
    """Carries out these calls on a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    @call("project_point")
    def project_point(self, location: Any, direction: Any, distance: Any) -> list[Any]:
        """First hit along a direction, as an optional labelled point."""
        start = np.array(vector_from_wire(values.vector(location)))
        along = np.array(vector_from_wire(values.vector(direction)))
        length = float(np.linalg.norm(along))
        reach_m = values.within(values.number(distance), 0.0, _LONGEST_RAY_M)
        if length == 0.0:
            return [False]
        hits = self._hits(start, start + along / length * reach_m)
        return [True, hits[0]] if hits else [False]

    @call("cast_ray")
    def cast_ray(self, start: Any, end: Any) -> list[Any]:
        """All hits between two points."""
        first = np.array(vector_from_wire(values.vector(start)))
        last = np.array(vector_from_wire(values.vector(end)))
        return self._hits(first, last)

    def _hits(self, start: np.ndarray, end: np.ndarray) -> list[list[Any]]:
        """Labelled points where the ray meets bodies or passes through the road."""
        ray = end - start
        length = min(float(np.linalg.norm(ray)), _LONGEST_RAY_M)
        if length == 0.0:
            return []
        hits = [*self._body_hits(start, ray), *self._road_hits(start, ray, length)]
        return [
            [vector_to_wire(*(start + share * ray)), tag]
            for share, tag in sorted(hits)
            if share <= 1.0
        ]

    def _body_hits(self, start: np.ndarray, ray: np.ndarray) -> list[tuple[float, int]]:
        """Shares of the ray at which it enters the box of a body (slab test, all at once)."""
        registry = self._world.episode.registry
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
            [cos * ray[0] + sin * ray[1], -sin * ray[0] + cos * ray[1], 0 * cos + ray[2]]
        )
        along = np.where(np.abs(along) < 1e-12, 1e-12, along)
        half = np.stack([body.half_length[rows], body.half_width[rows], body.half_height[rows]])
        near, far = (-half - origin) / along, (half - origin) / along
        enter = np.minimum(near, far).max(axis=0)
        leave = np.maximum(near, far).min(axis=0)
        hit = (enter <= leave) & (enter >= 0.0) & (enter <= 1.0)
        tags = [registry.by_row[row].tag for row in rows]
        return [(float(enter[i]), tags[i]) for i in np.flatnonzero(hit)]

    def _road_hits(
        self, start: np.ndarray, ray: np.ndarray, length: float
    ) -> list[tuple[float, int]]:
        """Where the ray goes from above a lane to below it."""
        steps = max(1, min(math.ceil(length / _STEP_M), int(_LONGEST_RAY_M)))
        above: float | None = None
        hits: list[tuple[float, int]] = []
        for step in range(steps + 1):
            point = start + ray * (step / steps)
            gap = self._height_above_road(point)
            if above is not None and gap is not None and above > 0.0 >= gap:
                share = (step - 1 + above / (above - gap)) / steps
                hits.append((share, _ROAD_TAG))
            above = gap
        return hits

    def _height_above_road(self, point: np.ndarray) -> float | None:
        """Height above the lane on this level; None far from any."""
        bank = self._world.episode.town.bank
        x, y, z = (float(value) for value in point)
        kind = int(LaneKind.DRIVING)
        lane_point = nearest_lane_point(bank.grid, bank.points, bank.lanes, 0, x, y, z, kind)
        if lane_point < 0:
            return None
        height = lane_height_m(bank.points, bank.lanes, lane_point, x, y)
        return z - height if abs(z - height) <= 2.0 * SAME_LEVEL_M else None
