"""Where exported towns lie on Earth: nuPlan wants UTM coordinates, CARLA's towns have none."""

from __future__ import annotations

from typing import Any, TypeVar

import shapely
from shapely.affinity import translate

PROJECTION = "EPSG:32611"  # UTM zone 11 north, for no other reason than that nuPlan knows it
ORIGIN_X, ORIGIN_Y = 600_000.0, 4_000_000.0  # [m] of every town's own origin

Geometry = TypeVar("Geometry", bound=shapely.Geometry)


def to_utm(geometry: Geometry) -> Geometry:
    """A geometry of a town in UTM metres; axes and heading stay."""
    moved: Any = translate(geometry, ORIGIN_X, ORIGIN_Y)
    return moved


def location_name(town: str) -> str:
    """Name of a town as a nuPlan location: `carla-town01`."""
    return f"carla-{town.lower()}"
