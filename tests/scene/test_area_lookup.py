"""Points in polygons and beside polylines, against shapely and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from sim_adapters.scene.area_lookup import area_contains, area_distance_m, areas_at, station_m
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas, Polylines

EAST_M = 664000.0  # UTM coordinates, as nuPlan's maps have them
NORTH_M = 3997000.0
ORIGIN_M = np.array([EAST_M, NORTH_M])


def _areas(polygons: list[shapely.Polygon], kinds: list[AreaKind]) -> MapAreas:
    rings = [[one.exterior, *one.interiors] for one in polygons]
    flat = [np.asarray(ring.coords) for several in rings for ring in several]
    corners = np.concatenate(flat)
    return MapAreas(
        kind=np.array(kinds, np.uint8),
        fid=np.arange(len(polygons), dtype=np.int64),
        first_ring=np.cumsum([0, *map(len, rings)], dtype=np.int32),
        first_corner=np.cumsum([0, *map(len, flat)], dtype=np.int32),
        is_exterior=np.array([i == 0 for several in rings for i in range(len(several))]),
        x=corners[:, 0].copy(),
        y=corners[:, 1].copy(),
        bounds=np.array([one.bounds for one in polygons]),
    )


def _one_cell(count: int) -> AreaGrid:
    one = np.zeros(1, np.int32)
    return AreaGrid(
        origin_x=np.array([EAST_M - 100.0]),
        origin_y=np.array([NORTH_M - 100.0]),
        cell_m=np.array([200.0]),
        num_x=one + 1,
        num_y=one + 1,
        first_cell=one,
        first_entry=np.array([0, count], np.int32),
        area=np.arange(count, dtype=np.int32),
    )


@pytest.fixture(scope="module")
def ring_with_hole() -> shapely.Polygon:
    """A jagged ring around a hole, at UTM coordinates."""
    rng = np.random.default_rng(3)
    angle = np.sort(rng.uniform(0.0, 2.0 * np.pi, 40))
    radius = rng.uniform(20.0, 60.0, 40)
    outer = np.stack([EAST_M + radius * np.cos(angle), NORTH_M + radius * np.sin(angle)], 1)
    hole = np.array([[-5.0, -5.0], [6.0, -4.0], [2.0, 7.0]]) + ORIGIN_M
    return shapely.Polygon(outer, [hole])


def test_containment_and_distance_are_those_of_shapely(ring_with_hole: shapely.Polygon) -> None:
    areas = _areas([ring_with_hole], [AreaKind.LANE])
    points = np.random.default_rng(4).uniform(-70.0, 70.0, (2000, 2)) + ORIGIN_M
    inside = np.array([area_contains(0, x, y, areas) for x, y in points])
    distance = np.array([area_distance_m(0, x, y, areas) for x, y in points])
    expected = shapely.points(points)
    np.testing.assert_array_equal(inside, shapely.contains(ring_with_hole, expected))
    np.testing.assert_allclose(
        distance, shapely.distance(ring_with_hole, expected), rtol=0, atol=1e-8
    )
    assert 0.1 < inside.mean() < 0.9


def test_a_point_on_the_edge_is_outside() -> None:
    square = shapely.box(EAST_M, NORTH_M, EAST_M + 2.0, NORTH_M + 2.0)
    areas = _areas([square], [AreaKind.LANE])
    for dx, dy in [(0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (2, 2), (0, 2), (2, 0)]:
        assert not area_contains(0, EAST_M + dx, NORTH_M + dy, areas)
    assert area_contains(0, EAST_M + 1.0, NORTH_M + 1.0, areas)


def test_overlapping_areas_of_a_kind_are_listed_in_the_maps_order() -> None:
    squares = [shapely.box(EAST_M, NORTH_M, EAST_M + size, NORTH_M + size) for size in (9, 5, 8)]
    areas = _areas(squares, [AreaKind.LANE, AreaKind.CROSSWALK, AreaKind.LANE])
    found = np.zeros(4, np.int32)
    arguments = (0, AreaKind.LANE, areas, _one_cell(3), found)
    assert areas_at(EAST_M + 1.0, NORTH_M + 1.0, *arguments) == 2
    assert list(found[:2]) == [0, 2]
    assert areas_at(EAST_M + 8.5, NORTH_M + 1.0, *arguments) == 1
    assert areas_at(EAST_M + 500.0, NORTH_M, *arguments) == 0  # beyond the map


def test_a_station_is_the_arc_length_at_the_nearest_point() -> None:
    x, y = np.array([0.0, 10.0, 10.0]), np.array([0.0, 0.0, 10.0])
    bend = Polylines(
        first_point=np.array([0, 3], np.int32),
        x=x,
        y=y,
        yaw_rad=np.array([0.0, np.pi / 2, np.pi / 2]),
        s_m=np.array([0.0, 10.0, 20.0]),
    )
    line = shapely.LineString(np.stack([x, y], 1))
    for point in [(3.0, 1.0), (-4.0, 2.0), (12.0, 7.0), (15.0, -3.0), (9.0, 30.0), (6.0, 6.0)]:
        expected = line.project(shapely.Point(point))
        assert station_m(0, *point, bend) == pytest.approx(expected, abs=1e-12)
