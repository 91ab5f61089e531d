"""Baked layers: pixel rules against OpenCV, areas against shapely, places worked out by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.ops import unary_union

from sim_adapters.maps import picture
from sim_adapters.maps.layers import draw_line, fill_polygon, fill_strip
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel, untile_plane


def layer_plane(bank: MapBank, map_index: int, bit: LayerBit) -> NDArray[np.bool_]:
    return (untile_plane(bank.layers, map_index) & bit) != 0


def pixel_at(bank: MapBank, x: float, y: float) -> int:
    layers = bank.layers
    column = round((x - float(layers.origin_x[0])) * float(layers.pixels_per_meter[0]))
    row = round((y - float(layers.origin_y[0])) * float(layers.pixels_per_meter[0]))
    return layer_pixel(layers, 0, column, row)


def test_polygons_fill_the_pixels_that_opencv_fills() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.integers(0, 64, (rng.integers(3, 8), 2))
        ours, theirs = np.zeros((2, 64, 64), np.uint8)
        fill_polygon(ours, corners[:, 0], corners[:, 1], 1)
        cv2.fillPoly(theirs, [corners.astype(np.int32)], 1)
        assert np.array_equal(ours, theirs)


def test_polygons_are_cut_off_at_the_edge_of_the_plane() -> None:
    plane, large = np.zeros((20, 20), np.uint8), np.zeros((60, 60), np.uint8)
    corners = np.array([[-8, 3], [33, -5], [25, 31], [4, 24]])
    fill_polygon(plane, corners[:, 0], corners[:, 1], 1)
    fill_polygon(large, corners[:, 0] + 20, corners[:, 1] + 20, 1)
    assert np.array_equal(plane, large[20:40, 20:40])


def test_polygon_has_the_pixels_that_picks_theorem_counts() -> None:
    corners = np.array([[3, 2], [23, 2], [23, 12], [3, 12]])
    plane = np.zeros((32, 32), np.uint8)
    fill_polygon(plane, corners[:, 0], corners[:, 1], 5)
    area, outline = 20 * 10, 2 * (20 + 10)
    assert np.count_nonzero(plane == 5) == area + outline // 2 + 1 == 21 * 11


@pytest.mark.kernel
def test_polygon_kernels_match_plain_python() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        corners = rng.integers(-4, 36, (5, 2))
        jitted, plain = np.zeros((2, 32, 32), np.uint8)
        fill_polygon(jitted, corners[:, 0], corners[:, 1], 1)
        fill_polygon.py_func(plain, corners[:, 0], corners[:, 1], 1)
        draw_line(jitted, *corners[0], *corners[1], 2)
        draw_line.py_func(plain, *corners[0], *corners[1], 2)
        assert np.array_equal(jitted, plain)


def test_strip_round_a_tight_bend_has_no_hole() -> None:
    angles = np.linspace(0.0, 1.5 * np.pi, 60)
    # The inner edge folds back over itself: its radius is negative
    inner = np.rint(32 - 2.0 * np.array([np.cos(angles), np.sin(angles)])).astype(np.int64)
    outer = np.rint(32 + 20.0 * np.array([np.cos(angles), np.sin(angles)])).astype(np.int64)
    plane = np.zeros((64, 64), np.uint8)
    fill_strip(plane, *inner, *outer, 1)
    rows, columns = np.indices(plane.shape)
    angle = np.arctan2(rows - 32, columns - 32) % (2.0 * np.pi)
    radius = np.hypot(rows - 32, columns - 32)
    assert np.all(plane[(radius < 18.0) & (angle > 0.1) & (angle < 1.5 * np.pi - 0.1)] == 1)


def test_layers_of_the_crossing_lie_where_the_file_puts_them(crossing: MapBank) -> None:
    driving, marking = int(LayerBit.DRIVING), int(LayerBit.MARKING)
    broken = int(LayerBit.MARKING_BROKEN)
    assert pixel_at(crossing, -100.0, -1.75) == driving
    assert pixel_at(crossing, -100.0, -3.5) == driving | marking | broken  # white, broken
    assert pixel_at(crossing, -100.0, -7.0) & marking  # solid
    assert not pixel_at(crossing, -100.0, -7.0) & broken
    assert pixel_at(crossing, -100.0, 0.0) == driving | marking  # yellow broken is no white broken
    assert pixel_at(crossing, -100.0, -8.5) == LayerBit.PARKING
    assert pixel_at(crossing, 30.0, 4.5) == LayerBit.SIDEWALK
    assert pixel_at(crossing, 0.0, 0.0) == driving  # and no marking in the junction
    assert pixel_at(crossing, 15.0, 2.0) == driving | LayerBit.CROSSWALK
    assert pixel_at(crossing, 0.0, 200.0) == 0
    # A double line is two lines 0.5 m apart with the road between them
    column = [pixel_at(crossing, -30.0, y) & marking for y in (-0.5, 0.0, 0.5)]
    assert marking in column[:2]
    assert marking in column[1:]


def lane_polygon(bank: MapBank, lane: int) -> Polygon:
    rows = slice(int(bank.lanes.first_point[lane]), int(bank.lanes.first_point[lane + 1]))
    x, y = bank.points.x[rows], bank.points.y[rows]
    across = (
        0.5
        * bank.points.width_m[rows]
        * np.array([-np.sin(bank.points.yaw_rad[rows]), np.cos(bank.points.yaw_rad[rows])])
    )
    left, right = np.array([x, y]) + across, np.array([x, y]) - across
    return Polygon(np.concatenate([left.T, right.T[::-1]])).buffer(0.0)


@pytest.mark.parametrize("town", ["Town01", "Town04", "Town10HD"])
@pytest.mark.parametrize(
    ("kind", "bit"),
    [(LaneKind.DRIVING, LayerBit.DRIVING), (LaneKind.SIDEWALK, LayerBit.SIDEWALK)],
)
def test_layer_area_is_that_of_the_lane_polygons(
    towns: MapBank, town: str, kind: LaneKind, bit: LayerBit
) -> None:
    row = towns.map_index(town)
    lanes = np.arange(*towns.ranges.lane[row : row + 2])
    polygons = [lane_polygon(towns, lane) for lane in lanes[towns.lanes.kind[lanes] == kind]]
    # Every pixel an outline passes is set, so the picture is half a pixel larger all round
    expected = unary_union(polygons).buffer(0.5 * 0.5, join_style="mitre").area
    painted = layer_plane(towns, row, bit).sum() * 0.5**2
    assert painted == pytest.approx(expected, rel=0.02)


def test_driving_lane_points_lie_on_the_driving_layer(towns: MapBank) -> None:
    layers = towns.layers
    wide = (towns.lanes.kind[towns.points.lane] == LaneKind.DRIVING) & (towns.points.width_m > 1.0)
    for row in range(len(towns.towns)):
        points = slice(*towns.ranges.point[row : row + 2])
        plane = untile_plane(layers, row)
        x, y = towns.points.x[points][wide[points]], towns.points.y[points][wide[points]]
        column = np.rint(2.0 * (x - layers.origin_x[row])).astype(int)
        line = np.rint(2.0 * (y - layers.origin_y[row])).astype(int)
        assert np.all(plane[line, column] & LayerBit.DRIVING)


def test_markings_stop_at_junctions(towns: MapBank) -> None:
    for row in range(len(towns.towns)):
        plane = untile_plane(towns.layers, row)
        inside = np.zeros(plane.shape, np.uint8)
        origin = (float(towns.layers.origin_x[row]), float(towns.layers.origin_y[row]))
        for lane in range(*towns.ranges.lane[row : row + 2]):
            if towns.lanes.junction[lane] >= 0 and towns.lanes.kind[lane] == LaneKind.DRIVING:
                for part in getattr(
                    lane_polygon(towns, lane), "geoms", [lane_polygon(towns, lane)]
                ):
                    corners = np.array(part.exterior.coords) - origin
                    cv2.fillPoly(inside, [np.rint(2.0 * corners).astype(np.int32)], (1,))
        inner = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
        marked = (plane & LayerBit.MARKING) != 0
        # Bridges carry marked lanes across junctions, in Town05 for instance
        assert np.count_nonzero(inner & marked) < 0.02 * np.count_nonzero(inner)
        assert np.count_nonzero(marked) > 1000


def test_picture_command_draws_a_window(tmp_path: Path, crossing_file: Path) -> None:
    arguments = [f"town={crossing_file}", f"output={tmp_path}", "window=0,0,60"]
    drawn = cv2.imread(str(picture.main(arguments)))
    assert drawn is not None
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10
    with pytest.raises(SystemExit, match="usage"):
        picture.main(["twon=Town01"])
