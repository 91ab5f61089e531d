"""Crosswalk polygons of one town, by CARLA 0.9.16's rules."""

from __future__ import annotations

import carla
import numpy as np

from sim_adapters.scene.map_bank import Crosswalks


def read_crosswalks(carla_map: carla.Map) -> Crosswalks:
    """Polygons in our frame, without the closing corner that CARLA repeats.

    CARLA lists all corners in one row. Town15 also lists outlines of two corners, which are
    never closed and bound no area; they are left out.
    Limit: two outlines in a row that do not repeat their first corner cannot be told apart and
    are left out too; reading `OpenDriveDocument.objects` would lift that.
    """
    polygons: list[list[tuple[float, float, float]]] = []
    corners: list[tuple[float, float, float]] = []
    for location in carla_map.get_crosswalks():
        corner = (location.x, -location.y, location.z)
        if corner not in corners:
            corners.append(corner)
            continue
        polygon = corners[corners.index(corner) :]
        corners = []
        if len(polygon) >= 3:
            polygons.append(polygon)
    table = np.array([corner for polygon in polygons for corner in polygon]).reshape(-1, 3)
    return Crosswalks(
        first_corner=np.concatenate([[0], np.cumsum([len(p) for p in polygons])]).astype(np.int32),
        x=table[:, 0].copy(),
        y=table[:, 1].copy(),
        z=table[:, 2].copy(),
    )
