from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.nuplan.export.map_files import build_map_layers
from sim_adapters.nuplan.export.outlines import Outlines, trace_outlines
from sim_adapters.nuplan.export.road_network import (
    IntersectionType,
    RoadNetwork,
    build_road_network,
)
from sim_adapters.scene.map_bank import LaneKind, MapBank

Town = tuple[MapBank, RoadNetwork, Outlines]


@pytest.fixture(scope="module", params=["Town02", "Town03", "Town06"])
def town(request: pytest.FixtureRequest) -> Town:
    maps = load_map_bank([request.param])
    network = build_road_network(maps, 0)
    return maps, network, trace_outlines(maps, network)


def test_town02_has_eight_crossings_with_six_ways_each() -> None:
    # Eight T junctions, each with three arms of one lane: 3 x 2 ways, 24 roads in and out
    network = build_road_network(load_map_bank(["Town02"]), 0)
    assert network.intersections == (IntersectionType.TRAFFIC_LIGHT,) * 8
    assert len(network.lanes) == 24
    assert len(network.connectors) == 48


def test_every_metre_of_driving_lanes_is_in_the_network_once_outside_junctions(town: Town) -> None:
    maps, network, _ = town
    covered = np.zeros(maps.lanes.kind.size)
    for lane in network.lanes:
        for piece in lane.pieces:
            covered[piece.lane] += piece.end_m - piece.start_m
    tails = {p for connector in network.connectors for p in connector.pieces}
    for piece in tails:
        covered[piece.lane] += piece.end_m - piece.start_m
    driving = maps.lanes.kind == LaneKind.DRIVING
    missing = driving & (np.abs(covered - maps.lanes.length_m) > 1e-9)
    assert missing.sum() <= 1  # Town03 has one lane of a junction that leads nowhere


def test_connectors_begin_and_end_exactly_at_their_lanes(town: Town) -> None:
    _, network, outlines = town
    for connector, course in zip(network.connectors, outlines.connector_courses, strict=True):
        before = outlines.lane_courses[connector.from_lane]
        after = outlines.lane_courses[connector.to_lane]
        assert (course.x[0], course.y[0]) == (before.x[-1], before.y[-1])
        assert (course.x[-1], course.y[-1]) == (after.x[0], after.y[0])


def test_no_two_lanes_overlap(town: Town) -> None:
    polygons = town[2].lane_polygons
    assert all(polygon.is_valid and polygon.area > 0.5 for polygon in polygons)
    pairs = shapely.STRtree(polygons).query(polygons, predicate="intersects").T
    shared = [polygons[a].intersection(polygons[b]).area for a, b in pairs if a < b]
    assert max(shared, default=0.0) == 0.0


def test_lanes_of_a_roadblock_count_from_the_left_and_share_boundaries(town: Town) -> None:
    _, network, outlines = town
    for row, (a, b) in enumerate(itertools.pairwise(network.lanes)):
        if a.block != b.block:
            assert b.index == 0
            continue
        assert b.index == a.index + 1
        left, right = outlines.lane_courses[row], outlines.lane_courses[row + 1]
        middle = len(left.x) // 2
        away = np.hypot(right.x - left.x[middle], right.y - left.y[middle])
        nearest = int(np.argmin(away))
        dx, dy = right.x[nearest] - left.x[middle], right.y[nearest] - left.y[middle]
        yaw = left.yaw_rad[middle]
        assert -dx * np.sin(yaw) + dy * np.cos(yaw) < -2.0  # b lies to the right of a
        assert outlines.lane_boundaries[row][1] == outlines.lane_boundaries[row + 1][0]


def test_drivable_area_holds_all_lanes_and_connectors(town: Town) -> None:
    maps, network, _ = town
    layers = {layer.name: layer for layer in build_map_layers(maps, 0, network)}
    area = shapely.union_all([*layers["road_segments"].geometry, *layers["intersections"].geometry])
    for name in ("lanes_polygons", "gen_lane_connectors_scaled_width_polygons"):
        outside = shapely.difference(np.array(layers[name].geometry), area)
        assert shapely.area(outside).max() < 0.01


def test_each_light_stops_the_connectors_that_it_governs(town: Town) -> None:
    maps, network, _ = town
    layers = {layer.name: layer for layer in build_map_layers(maps, 0, network)}
    fids = layers["stop_polygons"].columns["fid"].tolist()
    strips = dict(zip(fids, layers["stop_polygons"].geometry, strict=True))
    named = layers["lane_connectors"].columns["traffic_light_stop_line_fids"]
    lines = layers["lane_connectors"].geometry
    for connector, names, line in zip(network.connectors, named, lines, strict=True):
        assert (connector.signal >= 0) == bool(names)
        if connector.signal >= 0:  # its own strip crosses its begin; siblings have theirs
            assert any(strips[int(fid)].intersects(line) for fid in str(names).split(","))


def test_towns_with_bridges_are_refused_with_the_place() -> None:
    maps = load_map_bank(["Town05"])
    with pytest.raises(ValueError, match=r"above one another near x = .* leave this town out"):
        trace_outlines(maps, build_road_network(maps, 0))
