"""nuPlan's map files as MapBank and VectorMap; places and numbers are those of `tiny_map`."""

import json
import logging
import math
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import shapely

from evaluation.nuplan_drivers import idm_planner
from sim_adapters.maps import nuplan_gpkg
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.maps.nuplan_gpkg_layers import area_polygon
from sim_adapters.scene.map_areas import AreaKind, MapAreas, RoadEdges, VectorMap
from sim_adapters.scene.map_bank import EntryRule, MapBank
from sim_adapters.scene.scenario import RouteCommand
from tests.nuplan.tiny_map import (
    LOCATION,
    VERSIONS,
    Layers,
    box,
    place,
    tiny_layers,
    write_layer,
    write_map,
    write_meta,
)

pytestmark = pytest.mark.usefixtures("own_map_cache")


def vector_of(maps: MapBank) -> VectorMap:
    assert maps.vector is not None
    return maps.vector


def edge_row(edges: RoadEdges, fid: int) -> int:
    return int(np.flatnonzero(edges.fid == fid)[0])


def fids(maps: MapBank, rows: np.ndarray) -> list[int]:
    return vector_of(maps).edges.fid[rows].tolist()


def after(maps: MapBank, fid: int) -> list[int]:
    row, links = edge_row(vector_of(maps).edges, fid), maps.links
    return fids(maps, links.successor[links.successor_first[row] : links.successor_first[row + 1]])


def before(maps: MapBank, fid: int) -> list[int]:
    row, links = edge_row(vector_of(maps).edges, fid), maps.links
    first, last = links.predecessor_first[row : row + 2]
    return fids(maps, links.predecessor[first:last])


def load_changed(tmp_path: Path, layers: Layers) -> MapBank:
    write_map(tmp_path, layers)
    return load_nuplan_maps(tmp_path, [LOCATION])


def test_lanes_and_connectors_follow_one_another(tiny_maps: MapBank) -> None:
    assert after(tiny_maps, 12) == [22, 23]
    assert after(tiny_maps, 23) == [15]
    assert before(tiny_maps, 14) == [22]
    assert before(tiny_maps, 11) == []


def test_lanes_of_a_roadblock_lie_beside_each_other(tiny_maps: MapBank) -> None:
    edges, lanes = vector_of(tiny_maps).edges, tiny_maps.lanes
    left, right = edge_row(edges, 11), edge_row(edges, 12)
    assert (lanes.right[left], lanes.left[left]) == (right, -1)
    assert (lanes.left[right], lanes.right[right]) == (left, -1)
    assert lanes.left[edge_row(edges, 21)] == -1  # connectors have no neighbours


def test_edges_know_their_polygon_roadblock_and_intersection(tiny_maps: MapBank) -> None:
    vector = vector_of(tiny_maps)
    edges, areas = vector.edges, vector.areas
    row = edge_row(edges, 23)
    assert area_polygon(areas, edges.area[row]).contains(shapely.Point(place(103.0, -6.0)))
    assert areas.fid[edges.roadblock[row]] == 32
    assert areas.kind[edges.roadblock[row]] == AreaKind.ROADBLOCK_CONNECTOR
    assert areas.fid[edges.intersection[row]] == 41
    assert edges.intersection[edge_row(edges, 12)] == -1


def test_stop_polygons_are_those_crossed_or_else_the_nearest(tiny_maps: MapBank) -> None:
    vector = vector_of(tiny_maps)
    edges = vector.edges

    def stops(fid: int) -> list[int]:
        row = edge_row(edges, fid)
        rows = edges.stop[edges.first_stop[row] : edges.first_stop[row + 1]]
        return vector.areas.fid[rows].tolist()

    assert stops(22) == [51]  # of 51 and 52, the one that its line crosses
    assert stops(23) == [53]  # crosses neither 52 nor 53; 53 ends a metre before its start
    assert stops(12) == []


def test_a_missing_speed_limit_is_nan_on_edges_and_no_limit_on_lane_points(
    tiny_maps: MapBank,
) -> None:
    edges, lanes = vector_of(tiny_maps).edges, tiny_maps.lanes
    lane, connector = edge_row(edges, 12), edge_row(edges, 22)
    assert edges.speed_limit_mps[lane] == 11.0
    assert math.isnan(edges.speed_limit_mps[connector])
    assert tiny_maps.points.speed_limit_mps[lanes.first_point[connector]] == math.inf


def test_lane_points_are_the_vertices_of_the_baseline(tiny_maps: MapBank) -> None:
    lines, lanes = vector_of(tiny_maps).baselines, tiny_maps.lanes
    np.testing.assert_array_equal(tiny_maps.points.x, lines.x)
    row = edge_row(vector_of(tiny_maps).edges, 15)
    first, last = lines.first_point[row], lines.first_point[row + 1] - 1
    assert (lines.x[first], lines.y[first]) == tuple(place(105.25, -12.0))
    assert lines.s_m[last] == pytest.approx(88.0) == lanes.length_m[row]
    np.testing.assert_allclose(lines.yaw_rad[first : last + 1], -math.pi / 2)
    np.testing.assert_allclose(tiny_maps.points.width_m[first:last], 3.5, atol=1e-9)


def test_connectors_with_lights_get_a_signal_at_their_start(tiny_maps: MapBank) -> None:
    edges, signals = vector_of(tiny_maps).edges, tiny_maps.signals
    row = edge_row(edges, 23)
    signal = tiny_maps.rules.signal[row]
    assert tiny_maps.rules.entry[row] == EntryRule.LIGHT
    assert tiny_maps.rules.entry[edge_row(edges, 12)] == EntryRule.FREE
    assert signals.opendrive_id[signal] == 23
    assert (signals.x[signal], signals.y[signal]) == tuple(place(100.0, -5.25))
    assert fids(tiny_maps, tiny_maps.stop_lines.lane) == [11, 12, 12]


def test_connectors_turn_the_way_they_bend(tiny_maps: MapBank) -> None:
    edges, turn = vector_of(tiny_maps).edges, tiny_maps.rules.turn
    assert turn[edge_row(edges, 23)] == RouteCommand.RIGHT
    assert turn[edge_row(edges, 22)] == RouteCommand.STRAIGHT
    assert turn[edge_row(edges, 12)] == RouteCommand.LANE_FOLLOW


def test_degrees_and_metres_give_the_same_map(tmp_path: Path, tiny_maps: MapBank) -> None:
    write_map(tmp_path, crs="EPSG:4326")
    other = load_nuplan_maps(tmp_path, [LOCATION])
    np.testing.assert_allclose(
        vector_of(other).areas.x, vector_of(tiny_maps).areas.x, rtol=0.0, atol=1e-6
    )
    np.testing.assert_array_equal(vector_of(other).edges.stop, vector_of(tiny_maps).edges.stop)


def test_joined_maps_keep_to_their_own_rows(tmp_path: Path) -> None:
    write_map(tmp_path, locations=VERSIONS)
    maps = load_nuplan_maps(tmp_path, [LOCATION, "us-ma-boston"])
    vector = vector_of(maps)
    edges, areas = vector.edges, vector.areas
    one, two = slice(*vector.first_edge[:2]), slice(*vector.first_edge[1:])
    assert vector.first_edge.tolist() == [0, 8, 16]
    np.testing.assert_array_equal(edges.fid[one], edges.fid[two])
    np.testing.assert_array_equal(edges.area[two] - vector.first_area[1], edges.area[one])
    np.testing.assert_array_equal(
        edges.intersection[two], np.where(edges.intersection[one] < 0, -1, edges.intersection[two])
    )
    np.testing.assert_array_equal(areas.fid[edges.roadblock[one]], areas.fid[edges.roadblock[two]])
    for row in range(8):
        polygons = [area_polygon(areas, edges.area[row + shift]) for shift in (0, 8)]
        assert polygons[0].equals(polygons[1])
        stops = [edges.stop[slice(*edges.first_stop[row + k : row + k + 2])] for k in (0, 8)]
        assert areas.fid[stops[0]].tolist() == areas.fid[stops[1]].tolist()
    assert maps.ranges.signal.tolist() == [0, 3, 6]


def listed(maps: MapBank, map_index: int, x: float, y: float) -> list[int]:
    grid = vector_of(maps).area_grid
    column = int((x - grid.origin_x[map_index]) // grid.cell_m[map_index])
    row = int((y - grid.origin_y[map_index]) // grid.cell_m[map_index])
    if not (0 <= column < grid.num_x[map_index] and 0 <= row < grid.num_y[map_index]):
        return []
    cell = grid.first_cell[map_index] + row * grid.num_x[map_index] + column
    return grid.area[grid.first_entry[cell] : grid.first_entry[cell + 1]].tolist()


def test_the_area_grid_lists_all_areas_at_a_point(tmp_path: Path) -> None:
    write_map(tmp_path, locations=VERSIONS)
    maps = load_nuplan_maps(tmp_path, [LOCATION, "us-ma-boston"])
    vector = vector_of(maps)
    bounds = vector.areas.bounds
    corners = bounds.reshape(-1, 2)  # on the very edges, too
    points = np.random.default_rng(0).uniform(corners.min(axis=0), corners.max(axis=0), (300, 2))
    for map_index in (0, 1):
        rows = np.arange(*vector.first_area[map_index : map_index + 2])
        for x, y in np.concatenate([points, corners]):
            over = rows[
                (bounds[rows, 0] <= x)
                & (x <= bounds[rows, 2])
                & (bounds[rows, 1] <= y)
                & (y <= bounds[rows, 3])
            ]
            found = listed(maps, map_index, x, y)
            assert set(over) <= set(found)
            assert found == sorted(found)


def test_an_area_keeps_its_hole(tiny_maps: MapBank) -> None:
    areas = vector_of(tiny_maps).areas
    row = int(np.flatnonzero(areas.kind == AreaKind.INTERSECTION)[0])
    assert areas.first_ring[row + 1] - areas.first_ring[row] == 2
    assert areas.is_exterior[slice(*areas.first_ring[row : row + 2])].tolist() == [True, False]
    polygon = area_polygon(areas, row)
    assert not polygon.contains(shapely.Point(place(116.5, -10.0)))
    assert polygon.area == pytest.approx(20.0 * 14.0 - 6.0)


def with_crosswalk(geometry: shapely.Geometry) -> Layers:
    layers = tiny_layers()
    layers["crosswalks"] = [{"fid": 61, "geometry": geometry}]
    return layers


def test_a_feature_of_two_parts_is_one_area(tmp_path: Path) -> None:
    parts = shapely.MultiPolygon([box(101, -7, 104, 0), box(110, -7, 112, 0)])
    areas: MapAreas = vector_of(load_changed(tmp_path, with_crosswalk(parts))).areas
    rows = np.flatnonzero(areas.kind == AreaKind.CROSSWALK)
    assert len(rows) == 1
    assert area_polygon(areas, rows[0]).equals(parts)
    assert areas.is_exterior[slice(*areas.first_ring[rows[0] : rows[0] + 2])].tolist() == [True] * 2


def test_a_connector_of_two_parts_is_as_far_as_the_nearer_one(tmp_path: Path) -> None:
    """The devkit's IDM planner asks its way by distances to lanes and connectors."""
    parts = shapely.MultiPolygon([box(101, -7, 104, 0), box(110, -7, 112, 0)])
    vector = vector_of(load_changed(tmp_path, with_crosswalk(parts)))
    row = int(np.flatnonzero(vector.areas.kind == AreaKind.CROSSWALK)[0])
    polygon = idm_planner.area_polygon(row, vector)
    assert polygon.equals(parts)
    assert polygon.distance(shapely.Point(place(113.0, -3.0))) == pytest.approx(1.0)


def test_a_ring_that_crosses_itself_counts_by_the_even_odd_rule(tmp_path: Path) -> None:
    corners = [(101, -7), (104, -7), (101, -1), (104, -1)]  # a bow tie, its waist at y = -4
    layers = with_crosswalk(shapely.Polygon([place(*corner) for corner in corners]))
    areas = vector_of(load_changed(tmp_path, layers)).areas
    polygon = area_polygon(areas, int(np.flatnonzero(areas.kind == AreaKind.CROSSWALK)[0]))
    assert polygon.area == pytest.approx(2 * 0.5 * 3.0 * 3.0)
    assert polygon.contains(shapely.Point(place(102.5, -6.0)))
    assert not polygon.contains(shapely.Point(place(101.2, -4.0)))


def test_features_without_a_polygon_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shapes = [shapely.Polygon(), None, box(0, 5, 9, 9)]
    layers = tiny_layers()
    layers["walkways"] = [{"fid": 7 + i, "geometry": s} for i, s in enumerate(shapes)]
    with caplog.at_level(logging.WARNING):
        areas = vector_of(load_changed(tmp_path, layers)).areas
    assert areas.fid[areas.kind == AreaKind.WALKWAY].tolist() == [9]
    assert "2 of 3 features of walkways" in caplog.text


def test_a_line_wrapped_into_a_collection_keeps_its_direction(
    tmp_path: Path, tiny_maps: MapBank
) -> None:
    layers = tiny_layers()
    for row in layers["baseline_paths"]:
        line = row["geometry"]
        assert isinstance(line, shapely.LineString)
        points = shapely.get_coordinates(line)
        middle = len(points) // 2
        row["geometry"] = shapely.MultiLineString([points[: middle + 1], points[middle:]])
    lines = vector_of(load_changed(tmp_path, layers)).baselines
    np.testing.assert_array_equal(lines.x, vector_of(tiny_maps).baselines.x)


def test_what_a_map_lacks_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = tiny_layers()
    layers["baseline_paths"] = [r for r in layers["baseline_paths"] if r["fid"] != 1013]
    shapes = layers["gen_lane_connectors_scaled_width_polygons"]
    layers["gen_lane_connectors_scaled_width_polygons"] = [
        shapes[0],
        shapes[1] | {"lane_connector_fid": 21},
        shapes[2],
    ]
    layers["lane_connectors"][2]["traffic_light_stop_line_fids"] = "52,99"
    with caplog.at_level(logging.WARNING):
        maps = load_changed(tmp_path, layers)
    assert vector_of(maps).edges.fid.tolist() == [11, 12, 14, 15, 21, 23]
    assert after(maps, 21) == []  # it led to lane 13
    assert "1 of 5 lanes of map us-nv-las-vegas-strip" in caplog.text
    assert "1 of 3 lane connectors of map" in caplog.text
    assert "1 of 3 features of gen_lane_connectors_scaled_width_polygons" in caplog.text
    assert "1 references to stop polygons that it lacks" in caplog.text


def test_a_connector_without_a_stop_list_has_no_lights(tmp_path: Path) -> None:
    layers = tiny_layers()
    layers["lane_connectors"][0]["traffic_light_stop_line_fids"] = None
    layers["lane_connectors"][1]["traffic_light_stop_line_fids"] = ""
    assert vector_of(load_changed(tmp_path, layers)).edges.has_lights.tolist() == [False] * 7 + [
        True
    ]


def test_a_map_is_read_once(tiny_map_root: Path, tiny_maps: MapBank) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuplan_gpkg, "read_layers", None)
        again = load_nuplan_maps(tiny_map_root, [LOCATION])
    np.testing.assert_array_equal(vector_of(again).areas.x, vector_of(tiny_maps).areas.x)


def test_a_changed_map_is_read_again(tmp_path: Path) -> None:
    layers = tiny_layers()
    layers["lanes_polygons"][0]["speed_limit_mps"] = 7.5
    assert vector_of(load_changed(tmp_path, layers)).edges.speed_limit_mps[0] == 7.5


@pytest.mark.parametrize("layer", ["lane_connectors", "baseline_paths", "intersections", "meta"])
def test_a_missing_layer_is_named(layer: str, tmp_path: Path) -> None:
    path = write_map(tmp_path)
    path.unlink()
    for name, rows in tiny_layers().items():
        if name != layer:
            write_layer(path, name, rows)
    if layer != "meta":
        write_meta(path, {"projectedCoordSystem": "EPSG:32611"})
    with pytest.raises(ValueError, match=f"no layer {layer}"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    layers = tiny_layers()
    for row in layers["lanes_polygons"]:
        del row["lane_group_fid"]
    with pytest.raises(ValueError, match=r"lanes_polygons .* has no column lane_group_fid"):
        load_changed(tmp_path, layers)


def edit_map(root: Path, *statements: str) -> Path:
    """The tiny map with SQL run on its file."""
    write_map(root)
    (path,) = root.glob(f"{LOCATION}/*/map.gpkg")
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


def test_a_layer_that_is_a_view_is_refused_and_never_run(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    edit_map(
        tmp_path, "DROP TABLE walkways", f"CREATE VIEW walkways AS {endless} SELECT i AS fid FROM n"
    )
    with pytest.raises(ValueError, match=r"layer walkways of .* is no plain table"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_a_map_in_wal_mode_gets_no_files_beside_it(tmp_path: Path) -> None:
    path = edit_map(tmp_path, "PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    load_nuplan_maps(tmp_path, [LOCATION])
    assert [file.name for file in path.parent.iterdir()] == ["map.gpkg"]
    assert path.read_bytes() == before


def test_a_truncated_map_is_named(tmp_path: Path) -> None:
    path = write_map(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"map.gpkg cannot be read as a GeoPackage"):
        load_nuplan_maps(tmp_path, [LOCATION])


@pytest.mark.parametrize("entry", [{}, {"projectedCoordSystem": "EPSG:4326"}])
def test_a_map_without_a_metric_zone_is_refused(entry: dict[str, str], tmp_path: Path) -> None:
    path = write_map(tmp_path)
    path.unlink()
    for name, rows in tiny_layers().items():
        write_layer(path, name, rows)
    write_meta(path, entry or {"name": "tiny"})
    with pytest.raises(ValueError, match=r"names no coordinate system|not in metres"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_a_map_larger_than_a_city_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"spans 9e\+05 m by .*: its coordinates are damaged"):
        load_changed(tmp_path, with_crosswalk(box(0, 0, 900_000, 1)))


def test_a_map_of_another_version_is_named_with_both_versions(tmp_path: Path) -> None:
    path = write_map(tmp_path)
    path.parent.rename(path.parent.with_name("9.12.1"))
    with pytest.raises(FileNotFoundError, match=r"version 9.15.1915 .* holds version 9.12.1"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_a_folder_without_version_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nuplan-maps-v1.0.json is missing"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_a_damaged_version_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "nuplan-maps-v1.0.json").write_text(json.dumps({LOCATION: "9.15"}))
    with pytest.raises(ValueError, match="is no version file"):
        load_nuplan_maps(tmp_path, [LOCATION])


def test_an_unknown_location_is_named(tiny_map_root: Path) -> None:
    with pytest.raises(ValueError, match=r"'atlantis' is not in nuplan-maps-v1.0.json"):
        load_nuplan_maps(tiny_map_root, ["atlantis"])


def test_a_damaged_cache_says_what_to_do(
    tiny_map_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path))
    load_nuplan_maps(tiny_map_root, [LOCATION])
    (vector,) = tmp_path.glob("maps/*/vector.npz")
    vector.write_bytes(vector.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"is damaged .* delete it"):
        load_nuplan_maps(tiny_map_root, [LOCATION])
    shutil.rmtree(vector.parent)
    load_nuplan_maps(tiny_map_root, [LOCATION])
