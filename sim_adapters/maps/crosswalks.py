"""Crosswalk polygons of one town, by CARLA 0.9.16's rules."""

from __future__ import annotations

import carla
import numpy as np

from sim_adapters.scene.map_bank import Crosswalks


def read_crosswalks(carla_map: carla.Map) -> Crosswalks:
    """Polygons in our frame, without the closing corner that CARLA repeats."""
    polygons: list[list[tuple[float, float, float]]] = [[]]
    for location in carla_map.get_crosswalks():
        corner = (location.x, -location.y, location.z)
        if polygons[-1] and corner == polygons[-1][0]:
            polygons.append([])
        else:
            polygons[-1].append(corner)
    polygons = [polygon for polygon in polygons if len(polygon) >= 3]
    corners = np.array([corner for polygon in polygons for corner in polygon]).reshape(-1, 3)
    return Crosswalks(
        first_corner=np.concatenate([[0], np.cumsum([len(p) for p in polygons])]).astype(np.int32),
        x=corners[:, 0].copy(),
        y=corners[:, 1].copy(),
        z=corners[:, 2].copy(),
    )
