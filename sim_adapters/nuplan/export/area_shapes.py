"""Areas of a map that are unions of lanes and connectors, and crosswalks."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from sim_adapters.nuplan.export.outlines import Outlines, largest_part
from sim_adapters.nuplan.export.road_network import RoadNetwork
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.sidewalks import build_sidewalks

CROSSWALK_WIDTH_M = 3.0  # of crossings that no map file draws
SEAM_M = 0.15  # gaps between lanes of a road that its polygon closes
_CLOSING_M = (2.0, 4.0, 8.0, 16.0, 32.0)  # of an intersection, until it is one polygon
_MAX_HOLE_M2 = 200.0  # larger holes of an intersection are islands


def united(polygons: list[Polygon]) -> Polygon:
    """One polygon around several that touch."""
    return largest_part(_closed(polygons))


def road_segments(outlines: Outlines) -> list[Polygon]:
    """What lanes beside one another cover, both directions together."""
    return list(shapely.get_parts(_closed(outlines.lane_polygons)))


def intersection_areas(network: RoadNetwork, outlines: Outlines) -> list[Polygon]:
    """What the connectors of each intersection cover, with the corners between them."""
    of_connector = [network.block_links[c.block_link].intersection for c in network.connectors]
    members: list[list[Polygon]] = [[] for _ in network.intersections]
    for polygon, intersection in zip(outlines.connector_polygons, of_connector, strict=True):
        members[intersection].append(polygon)
    return [_without_small_holes(_enclosed(polygons)) for polygons in members]


def crosswalk_areas(maps: MapBank, map_index: int) -> list[Polygon]:
    """Drawn crosswalks, or strips where people of the embedded world cross if none is drawn."""
    first, last = maps.ranges.crosswalk[map_index : map_index + 2]
    corners = maps.crosswalks
    drawn = [
        largest_part(Polygon(np.column_stack([corners.x[a:b], corners.y[a:b]])))
        for a, b in (corners.first_corner[row : row + 2] for row in range(first, last))
    ]
    if drawn:
        return drawn
    _, crossings = build_sidewalks(maps)
    first_lane, last_lane = maps.ranges.lane[map_index : map_index + 2]
    return [
        LineString([(x[0], y[0]), (x[1], y[1])]).buffer(CROSSWALK_WIDTH_M / 2, cap_style="flat")
        for x, y, lane in zip(crossings.x, crossings.y, crossings.lane, strict=True)
        if first_lane <= lane[0] < last_lane
    ]


def _enclosed(polygons: list[Polygon]) -> Polygon:
    """The smallest closing that makes one polygon of them."""
    for closing_m in _CLOSING_M:
        shape = _closed(polygons, closing_m)
        if isinstance(shape, Polygon):
            return shape
    raise ValueError("connectors of one intersection lie far apart: the map's junctions are broken")


def _closed(polygons: list[Polygon], closing_m: float = SEAM_M) -> shapely.Geometry:
    """Union of polygons with gaps up to twice the closing filled."""
    union = shapely.union_all(polygons)
    grown = shapely.buffer(union, closing_m, join_style="mitre")
    # Mitred corners are not exactly those of before: the union keeps them inside
    return shapely.union(union, shapely.buffer(grown, -closing_m, join_style="mitre"))


def _without_small_holes(polygon: Polygon) -> Polygon:
    holes = [ring for ring in polygon.interiors if Polygon(ring).area > _MAX_HOLE_M2]
    return Polygon(polygon.exterior, holes)
