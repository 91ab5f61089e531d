"""Route correction on the tiny map: 1 -> 31 -> 2 straight on, 1 -> 32 -> 3 to the right."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.route_correction import Pose, RouteCorrector, shortest_path
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_map import LOCATION, box, place, tiny_layers, write_map


def pose(x: float, y: float, yaw_rad: float = 0.0) -> Pose:
    """Rear axle of a car on the map."""
    east, north = place(x, y)
    return float(east), float(north), yaw_rad


ON_LANE_12 = pose(50.0, -5.25)


def correct(maps: MapBank, at: Pose, *route: int) -> tuple[int, ...]:
    return RouteCorrector(maps).correct(LOCATION, at, route)


def test_a_good_route_stays_as_it_is(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12, 1, 31, 2) == (1, 31, 2)


def test_a_route_that_began_behind_the_car_is_kept_whole(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, pose(150.0, -5.25), 1, 31, 2) == (1, 31, 2)


def test_a_route_that_begins_ahead_is_led_back_to_the_car(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12, 2) == (1, 31, 2)
    assert correct(tiny_maps, ON_LANE_12, 32, 3) == (1, 32, 3)


def test_a_car_off_the_route_joins_one_of_its_first_blocks(tiny_maps: MapBank) -> None:
    # No way leads back from 32 to the car's 31, but one leads from there to 2
    assert correct(tiny_maps, pose(108.0, -5.25), 32, 2) == (31, 2)


def test_a_gap_is_filled_with_the_way_between(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12, 1, 2) == (1, 31, 2)
    assert correct(tiny_maps, ON_LANE_12, 1, 3) == (1, 32, 3)


def test_a_gap_without_a_way_stays(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12, 1, 31, 2, 3) == (1, 31, 2, 3)


def test_a_route_is_cut_where_a_connector_crosses_an_earlier_one(tiny_maps: MapBank) -> None:
    # The polygons of connectors 31 and 32 share 7 m x 3.5 m
    assert correct(tiny_maps, ON_LANE_12, 1, 31, 2, 32, 3) == (1, 31, 2)


def test_repeated_and_foreign_blocks_are_dropped(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12, 1, 999, 1, 31, 2) == (1, 31, 2)


def test_no_route_stays_none(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, ON_LANE_12) == ()
    assert correct(tiny_maps, ON_LANE_12, 998, 999) == ()


def test_a_car_counts_as_on_the_roadblock_that_it_is_aligned_with(tiny_maps: MapBank) -> None:
    # In the intersection both connectors lie under the car: its heading decides
    south, east = pose(104.6, -7.5, -math.pi / 3), pose(108.0, -5.25)
    assert correct(tiny_maps, south, 3) == (32, 3)
    assert correct(tiny_maps, east, 2) == (31, 2)


def test_a_car_beside_the_road_takes_the_nearest_roadblock(tiny_maps: MapBank) -> None:
    assert correct(tiny_maps, pose(50.0, -20.0), 31, 2) == (1, 31, 2)


def test_loops_count_from_one_square_metre_on(
    tmp_path: Path, map_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(map_cache))
    layers = tiny_layers()
    layers["lane_group_connectors"][1]["geometry"] = box(100, -12, 107, -6.9)  # 0.7 m2 of 31
    write_map(tmp_path, layers)
    maps = load_nuplan_maps(tmp_path, [LOCATION])
    assert correct(maps, ON_LANE_12, 1, 31, 2, 32, 3) == (1, 31, 2, 32, 3)


def test_the_shortest_way_is_found_within_its_depth() -> None:
    ring = {1: [2, 3], 2: [4], 3: [5], 4: [6], 5: [7], 6: [1], 7: [1]}
    assert shortest_path(ring, 1, [6], 4) == [1, 2, 4, 6]
    assert shortest_path(ring, 1, [6], 3) is None
    assert shortest_path(ring, 1, [5, 4], 9) == [1, 2, 4]  # 4 is visited before 5
    assert shortest_path(ring, 1, [1], 9) == [1]
    assert shortest_path(ring, 1, [8], 30) is None


def test_of_ways_of_one_length_the_last_visited_is_taken() -> None:
    diamond = {1: [2, 3], 2: [5, 4], 3: [4], 4: [6], 5: [6], 6: []}
    # 4 is reached from 2 and then from 3; 6 from 5 and then from 4, as 4 is visited last
    assert shortest_path(diamond, 1, [6], 9) == [1, 3, 4, 6]


def test_maps_without_polygons_are_refused(tiny_maps: MapBank) -> None:
    with pytest.raises(ValueError, match="maps with polygons"):
        RouteCorrector(replace(tiny_maps, vector=None))
