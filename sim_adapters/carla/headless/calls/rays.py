"""Calls that look for the ground or for bodies along a ray."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.calls.dispatch import call
from sim_adapters.carla.headless.frame import vector_from_wire, vector_to_wire
from sim_adapters.carla.headless.rays import LONGEST_RAY_M, FloatArray, body_hits, road_hits
from sim_adapters.carla.headless.world import World

_ROAD_TAG = 1  # carla.CityObjectLabel.Roads


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
        reach_m = values.within(values.number(distance), 0.0, LONGEST_RAY_M)
        if length == 0.0:
            return [False]
        hits = self._labelled_hits(start, along / length * reach_m)
        return [True, hits[0]] if hits else [False]

    @call("cast_ray")
    def cast_ray(self, start: Any, end: Any) -> list[Any]:
        """All hits between two points, at most 2 km apart."""
        first = np.array(vector_from_wire(values.vector(start)))
        ray = np.array(vector_from_wire(values.vector(end))) - first
        length = float(np.linalg.norm(ray))
        if length == 0.0:
            return []
        return self._labelled_hits(first, ray * min(1.0, LONGEST_RAY_M / length))

    def _labelled_hits(self, start: FloatArray, ray: FloatArray) -> list[list[Any]]:
        """[location, tag] of everything on the way, nearest first."""
        episode = self._world.episode
        by_row = episode.registry.by_row
        bodies = body_hits(episode.registry, start, ray)
        hits = [(share, by_row[row].tag) for share, row in bodies]
        hits += [(share, _ROAD_TAG) for share in road_hits(episode.town.bank, start, ray)]
        return [[vector_to_wire(*(start + share * ray)), tag] for share, tag in sorted(hits)]
