"""Shapes, outlines and paths of IDM drivers against shapely, which the devkit computes with."""

import math
from typing import Literal

import numpy as np
import pytest
import shapely

from sim_adapters.nuplan.idm.nearest import Candidates, nearest_on_line
from sim_adapters.nuplan.idm.outline import WideLine, widened_line_hits, write_outline
from sim_adapters.nuplan.idm.paths import (
    S,
    X,
    append_line,
    begin_path,
    cut_path_before,
    empty_paths,
    pose_on_path,
    write_line_between,
)
from sim_adapters.nuplan.idm.shapes import (
    FIRST,
    Shapes,
    close_shape,
    empty_shapes,
    squared_shape_distance,
    write_box,
)
from sim_adapters.scene.map_areas import Polylines

Box = tuple[float, float, float, float, float]  # x, y, yaw, length, width
UTM = np.array([664_430.0, 3_996_700.0])  # places as nuPlan has them


def _line(seed: int, num_points: int = 30) -> np.ndarray:
    """A winding line with uneven spacing and some sharp turns."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0.0, 0.04, num_points) + 0.5 * (rng.random(num_points) < 0.08)
    steps = rng.uniform(0.3, 1.5, num_points)
    yaw = np.cumsum(turns) + rng.uniform(-3.0, 3.0)
    offsets = np.column_stack([steps * np.cos(yaw), steps * np.sin(yaw)])
    return UTM + np.cumsum(offsets, axis=0)


def _box(rng: np.random.Generator, around: np.ndarray) -> Box:
    x, y = around + rng.uniform(-8.0, 8.0, 2)
    return (x, y, rng.uniform(-3.0, 3.0), rng.uniform(0.5, 8.0), rng.uniform(0.5, 3.0))


def _polygon(box: Box) -> shapely.Polygon:
    x, y, yaw, length, width = box
    ahead = 0.5 * length * np.array([math.cos(yaw), math.sin(yaw)])
    left = 0.5 * width * np.array([-math.sin(yaw), math.cos(yaw)])
    centre = np.array([x, y])
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return shapely.Polygon([centre + a * ahead + b * left for a, b in signs])


def _write_footprint(
    shapes: Shapes, shape: int, first: int, box: Box, line: np.ndarray, half: float
) -> int:
    """A box and a widened line as one shape; returns the pool's next free place."""
    shapes.ring[0, shape, FIRST] = first
    write_box(0, first, *box, shapes)
    end = write_outline(0, first + 4, line[None], len(line), half, shapes)
    close_shape(0, shape, first + 4, end, shapes)
    return end


@pytest.mark.parametrize("seed", range(12))
def test_outline_bounds_the_area_that_shapely_buffers(seed: int) -> None:
    line, half = _line(seed), 1.05
    shapes = empty_shapes(1, 1, 2048)
    end = write_outline(0, 0, line[None], 30, half, shapes)
    close_shape(0, 0, end, end, shapes)
    buffered = shapely.LineString(line).buffer(half, cap_style="flat")
    corners = shapely.MultiPoint(shapes.corner[0, :end])
    # Every corner of the buffer is one of ours, and none of ours lies outside. On the inside of a
    # slight bend, rounded coordinates of 1e6 m move the corner along the outline.
    rim = shapely.MultiPoint(shapely.get_coordinates(buffered))
    assert max(point.distance(corners) for point in rim.geoms) < 1e-6
    assert max(point.distance(buffered) for point in corners.geoms) < 1e-8


@pytest.mark.parametrize("seed", range(8))
def test_distances_are_shapelys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = empty_shapes(1, 9, 4096)
    polygons, first = [], 0
    for shape in range(8):
        line = _line(100 + seed)[shape : shape + 12]
        line = line + rng.uniform(-12.0, 12.0, 2)
        box = _box(rng, line[0])
        first = _write_footprint(shapes, shape, first, box, line, 0.9)
        buffered = shapely.LineString(line).buffer(0.9, cap_style="flat")
        polygons.append(shapely.union_all([buffered, _polygon(box)]))
    met = 0
    for one in range(8):
        for other in range(8):
            squared = squared_shape_distance(0, one, other, math.inf, shapes)
            expected = polygons[one].distance(polygons[other])
            assert math.sqrt(squared) == pytest.approx(expected, abs=1e-8)
            met += expected == 0.0
    assert 8 < met < 64


def test_a_shape_inside_another_touches_it() -> None:
    shapes = empty_shapes(1, 2, 16)
    shapes.ring[0, :, FIRST] = 0, 4
    for shape, size in enumerate((10.0, 1.0)):
        write_box(0, 4 * shape, 5.0, 5.0, 0.3, size, size, shapes)
        close_shape(0, shape, 4 * shape + 4, 4 * shape + 4, shapes)
    assert squared_shape_distance(0, 0, 1, 9.0, shapes) == 0.0
    assert squared_shape_distance(0, 1, 0, 9.0, shapes) == 0.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("caps", ["flat", "square"])
def test_widened_lines_hit_what_shapelys_buffers_intersect(
    seed: int, caps: Literal["flat", "square"]
) -> None:
    rng = np.random.default_rng(seed)
    line, half = _line(seed), 1.15
    buffered = shapely.LineString(line).buffer(half, cap_style=caps)
    shapes = empty_shapes(1, 1, 4)
    extension = half if caps == "square" else 0.0
    hits = 0
    for _ in range(150):
        box = _box(rng, line[rng.integers(30)])
        write_box(0, 0, *box, shapes)
        close_shape(0, 0, 4, 4, shapes)
        hit = widened_line_hits(0, WideLine(line[None], 30, half, extension), 0, shapes)
        assert hit == buffered.intersects(_polygon(box))
        hits += hit
    assert 10 < hits < 140


def test_overlapping_shapes_are_chosen_by_the_tree_of_shapely() -> None:
    """Of several shapes at distance zero the devkit's tree gives the lowest."""
    rng = np.random.default_rng(5)
    line = np.column_stack([np.arange(20.0), np.zeros(20)])
    alive = np.ones((1, 1), np.bool_)
    for _ in range(30):
        shapes = empty_shapes(1, 7, 28)
        shapes.ring[0, :, FIRST] = 4 * np.arange(7)
        boxes = [(5.0, 0.0, 0.0, 5.0, 2.0)]
        boxes += [
            (rng.uniform(3, 15), rng.uniform(-1, 1), rng.uniform(-3, 3), 4.0, 2.0) for _ in range(6)
        ]
        for shape, box in enumerate(boxes):
            write_box(0, 4 * shape, *box, shapes)
            close_shape(0, shape, 4 * shape + 4, 4 * shape + 4, shapes)
        wide = WideLine(line[None], 20, 1.0, 0.0)
        nearest, distance = nearest_on_line(0, 0, Candidates(alive, 1, 1, 7), wide, False, shapes)
        others = [_polygon(box) for box in boxes[1:]]
        expected = int(shapely.STRtree(others).nearest(_polygon(boxes[0])))
        assert nearest == 1 + expected
        assert distance == pytest.approx(_polygon(boxes[0]).distance(others[expected]), abs=1e-9)


def _lines(*lines: np.ndarray) -> Polylines:
    points = np.concatenate(lines)
    yaw = []
    for line in lines:
        steps = np.diff(line, axis=0)
        angles = np.arctan2(steps[:, 1], steps[:, 0])
        yaw.append(np.append(angles, angles[-1]))
    first = np.cumsum([0, *map(len, lines)]).astype(np.int32)
    x, y = points.T.copy()
    return Polylines(first, x, y, np.concatenate(yaw), np.zeros(x.size))


def test_path_lacks_the_last_vertex_and_repeated_ones() -> None:
    straight = np.column_stack([[0.0, 1.0, 1.0, 2.0, 3.0], np.zeros(5)])
    ahead = np.column_stack([[3.0, 4.0, 5.0], np.zeros(3)])
    lines, paths = _lines(straight, ahead), empty_paths(1, 16)
    begin_path(0, 0, lines, paths)
    assert paths.point[0, : paths.num_points[0], X].tolist() == [0.0, 1.0, 2.0]
    cut_path_before(0, 0.5, paths)
    append_line(0, 1, lines, paths)
    assert paths.point[0, : paths.num_points[0], X].tolist() == [0.5, 1.0, 2.0, 3.0, 4.0]
    assert paths.point[0, : paths.num_points[0], S].tolist() == [0.0, 0.5, 1.5, 2.5, 3.5]
    # Past its end a path goes back to its last point but one
    cut_path_before(0, 3.5, paths)
    assert paths.point[0, : paths.num_points[0], X].tolist() == [3.0, 4.0]


def test_poses_on_a_path_turn_the_short_way() -> None:
    corner = np.array([[0.0, 0.0], [-2.0, 0.2], [-4.0, 0.0], [-6.0, 0.0]])
    lines, paths = _lines(corner), empty_paths(1, 16)
    begin_path(0, 0, lines, paths)
    x, y, yaw = pose_on_path(0, 0.5 * math.hypot(2.0, 0.2), paths)
    assert (x, y) == pytest.approx((-1.0, 0.1))
    assert abs(yaw) == pytest.approx(math.pi)


def test_line_between_progresses_has_the_devkits_ends() -> None:
    line = np.column_stack([np.arange(6.0), np.zeros(6)])
    lines, paths = _lines(line), empty_paths(1, 16)
    begin_path(0, 0, lines, paths)  # points at 0 to 4
    line_ahead = np.zeros((1, 16, 2))
    for start, end, expected in (
        (0.5, 2.5, [0.5, 1.0, 2.0, 2.5]),
        (1.0, 3.0, [1.0, 2.0, 3.0]),
        (4.0, 4.0, [3.0, 4.0]),  # at the end: the last two points
        (0.0, 0.0, [0.0, 1.0]),  # at the start: the first two
    ):
        count = write_line_between(0, start, end, paths, 0, line_ahead)
        assert line_ahead[0, :count, 0].tolist() == expected
