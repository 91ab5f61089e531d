"""Writes the map folder of an exported data set: one location a town, as nuplan-devkit wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon

from sim_adapters.nuplan.export.geopackage import (
    FIRST_BLOCK_FID,
    FIRST_BLOCK_LINK_FID,
    FIRST_CONNECTOR_FID,
    FIRST_FID,
    FIRST_LANE_FID,
    Layer,
    location_name,
    to_utm,
    write_geopackage,
)
from sim_adapters.nuplan.export.outlines import (
    Course,
    Outlines,
    StopPolygon,
    find_stop_polygons,
    lane_strips,
    largest_part,
    trace_outlines,
)
from sim_adapters.nuplan.export.road_network import NetworkConnector, RoadNetwork
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.world.sidewalks import build_sidewalks
from sim_adapters.world.statics import MIN_SHOULDER_WIDTH_M

# The layers of a nuPlan map, filled from a town of the MapBank.

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


def build_map_layers(maps: MapBank, map_index: int, network: RoadNetwork) -> list[Layer]:
    """All layers of one town.

    Raises:
        ValueError: the town cannot be drawn in a flat map.
    """
    outlines = trace_outlines(maps, network)
    stops = find_stop_polygons(maps, map_index)
    return [
        *_road_layers(network, outlines),
        *_connector_layers(network, outlines, stops),
        _baselines(outlines),
        _layer("boundaries", outlines.boundaries),
        _layer(
            "intersections",
            intersection_areas(network, outlines),
            intersection_type_fid=[int(kind) for kind in network.intersections],
        ),
        _layer(
            "stop_polygons",
            [s.polygon for s in stops],
            stop_polygon_type_fid=[int(s.type) for s in stops],
        ),
        _layer("road_segments", road_segments(outlines)),
        *_surroundings(maps, map_index),
    ]


def _layer(name: str, geometry: Sequence[shapely.Geometry], **columns: Sequence[object]) -> Layer:
    """A layer whose ids count up from its first one, moved to UTM."""
    first = FIRST_FID[name]
    kind = "LineString" if name in ("boundaries", "baseline_paths") else "Polygon"
    fid = np.arange(first, first + len(geometry), dtype=np.int64)
    table = {"fid": fid, **{key: np.array(values) for key, values in columns.items()}}
    return Layer(name, kind, [to_utm(shape) for shape in geometry], table)


def _road_layers(network: RoadNetwork, outlines: Outlines) -> list[Layer]:
    """Lanes and their roadblocks."""
    lanes, num_lanes = network.lanes, len(network.lanes)
    fids = FIRST_LANE_FID + np.arange(num_lanes, dtype=np.int64)
    blocks = np.array([lane.block for lane in lanes], np.int64)
    boundaries = FIRST_FID["boundaries"] + np.array(outlines.lane_boundaries, np.int64)
    members = [
        united([outlines.lane_polygons[row] for row in np.flatnonzero(blocks == block)])
        for block in range(network.num_blocks)
    ]
    return [
        Layer(
            "lanes_polygons",
            "Polygon",
            [to_utm(polygon) for polygon in outlines.lane_polygons],
            {
                "fid": fids,
                "lane_fid": fids,
                "lane_group_fid": FIRST_BLOCK_FID + blocks,
                "lane_index": np.array([lane.index for lane in lanes], np.int64),
                "speed_limit_mps": np.array([_limit(c) for c in outlines.lane_courses]),
                "left_boundary_fid": boundaries[:, 0],
                "right_boundary_fid": boundaries[:, 1],
            },
        ),
        Layer(
            "lane_groups_polygons",
            "Polygon",
            [to_utm(polygon) for polygon in members],
            {"fid": FIRST_BLOCK_FID + np.arange(network.num_blocks, dtype=np.int64)},
        ),
    ]


def _connector_layers(
    network: RoadNetwork, outlines: Outlines, stops: list[StopPolygon]
) -> list[Layer]:
    """Connectors, their polygons and the roadblock connectors."""
    connectors = network.connectors
    fids = FIRST_CONNECTOR_FID + np.arange(len(connectors), dtype=np.int64)
    boundaries = FIRST_FID["boundaries"] + np.array(outlines.connector_boundaries, np.int64)
    link_of = np.array([connector.block_link for connector in connectors])
    link_shapes = [
        united([outlines.connector_polygons[row] for row in np.flatnonzero(link_of == link)])
        for link in range(len(network.block_links))
    ]
    intersections = np.array([link.intersection for link in network.block_links], np.int64)
    return [
        Layer(
            "lane_connectors",
            "LineString",
            [to_utm(LineString(course.center())) for course in outlines.connector_courses],
            {
                "fid": fids,
                "exit_lane_fid": FIRST_LANE_FID + _column(connectors, "from_lane"),
                "entry_lane_fid": FIRST_LANE_FID + _column(connectors, "to_lane"),
                "lane_group_connector_fid": FIRST_BLOCK_LINK_FID + link_of,
                "intersection_fid": FIRST_FID["intersections"] + intersections[link_of],
                "speed_limit_mps": np.array([_limit(c) for c in outlines.connector_courses]),
                "traffic_light_stop_line_fids": np.array(
                    [_stop_fids(connector, stops) for connector in connectors]
                ),
            },
        ),
        Layer(
            "gen_lane_connectors_scaled_width_polygons",
            "Polygon",
            [to_utm(polygon) for polygon in outlines.connector_polygons],
            {
                "fid": FIRST_FID["gen_lane_connectors_scaled_width_polygons"]
                + np.arange(len(connectors), dtype=np.int64),
                "lane_connector_fid": fids,
                "left_boundary_fid": boundaries[:, 0],
                "right_boundary_fid": boundaries[:, 1],
            },
        ),
        Layer(
            "lane_group_connectors",
            "Polygon",
            [to_utm(polygon) for polygon in link_shapes],
            {
                "fid": FIRST_BLOCK_LINK_FID + np.arange(len(link_shapes), dtype=np.int64),
                "from_lane_group_fid": FIRST_BLOCK_FID + _column(network.block_links, "from_block"),
                "to_lane_group_fid": FIRST_BLOCK_FID + _column(network.block_links, "to_block"),
                "intersection_fid": FIRST_FID["intersections"] + intersections,
            },
        ),
    ]


def _column(rows: Sequence[object], name: str) -> NDArray[np.int64]:
    return np.array([getattr(row, name) for row in rows], np.int64)


def _stop_fids(connector: NetworkConnector, stops: list[StopPolygon]) -> str:
    """Stop polygons of the light that governs a connector, as nuPlan lists them."""
    first = FIRST_FID["stop_polygons"]
    rows = [
        row
        for row, stop in enumerate(stops)
        if connector.signal >= 0 and stop.signal == connector.signal
    ]
    return ",".join(str(first + row) for row in rows)


def _limit(course: Course) -> float:
    """The limit that holds along most of a course."""
    return float(np.median(course.speed_limit_mps))


def _baselines(outlines: Outlines) -> Layer:
    """One centre line a lane and connector; the id of the other kind is null."""
    lanes, connectors = len(outlines.lane_courses), len(outlines.connector_courses)
    lane_fid = np.full(lanes + connectors, np.nan)
    connector_fid = lane_fid.copy()
    lane_fid[:lanes] = FIRST_LANE_FID + np.arange(lanes)
    connector_fid[lanes:] = FIRST_CONNECTOR_FID + np.arange(connectors)
    courses = [*outlines.lane_courses, *outlines.connector_courses]
    return _layer(
        "baseline_paths",
        [LineString(course.center()) for course in courses],
        lane_fid=lane_fid.tolist(),
        lane_connector_fid=connector_fid.tolist(),
    )


def _surroundings(maps: MapBank, map_index: int) -> list[Layer]:
    """Sidewalks, parking lanes, shoulders wide enough to park on, and crosswalks."""
    return [
        _layer("walkways", lane_strips(maps, map_index, LaneKind.SIDEWALK, 0.0)),
        _layer("carpark_areas", lane_strips(maps, map_index, LaneKind.PARKING, 0.0)),
        _layer(
            "generic_drivable_areas",
            lane_strips(maps, map_index, LaneKind.SHOULDER, MIN_SHOULDER_WIDTH_M),
        ),
        _layer("crosswalks", crosswalk_areas(maps, map_index)),
    ]


MAP_SET = "nuplan-maps-v1.0"  # the devkit's default name of the index
MAP_VERSION = "1"
# The devkit opens the connectors of these four at start, whatever one drives in
DEVKIT_LOCATIONS = (
    "sg-one-north",
    "us-ma-boston",
    "us-nv-las-vegas-strip",
    "us-pa-pittsburgh-hazelwood",
)


def map_path(map_root: Path, location: str) -> Path:
    """File of a location."""
    return map_root / location / MAP_VERSION / "map.gpkg"


def write_map(map_root: Path, maps: MapBank, map_index: int, network: RoadNetwork) -> Path:
    """Write the map of one town and return its file.

    Raises:
        ValueError: the town cannot be drawn in a flat map.
    """
    layers = build_map_layers(maps, map_index, network)
    path = map_path(map_root, location_name(maps.towns[map_index]))
    write_geopackage(path, layers)
    return path


def write_map_index(map_root: Path) -> None:
    """Write the index of all maps there are, and empty ones for what the devkit insists on."""
    for location in DEVKIT_LOCATIONS:
        path = map_path(map_root, location)
        if not path.exists():
            write_geopackage(path, [_empty_connectors()])
    locations = sorted(path.parts[-3] for path in map_root.glob(f"*/{MAP_VERSION}/map.gpkg"))
    index = {location: {"version": MAP_VERSION, "layers": {}} for location in locations}
    (map_root / f"{MAP_SET}.json").write_text(json.dumps(index, indent=1))


def _empty_connectors() -> Layer:
    ids = np.zeros(0, np.int64)
    return Layer("lane_connectors", "LineString", [], {"fid": ids, "exit_lane_fid": ids})
