"""Properties of the plane geometry, with shapely and a full 15-axis test as references."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import LineString, Point, Polygon

from sim_adapters.scene import geometry as geo

coordinate = st.floats(-20.0, 20.0)
angle = st.floats(-10.0, 10.0)
extent = st.floats(0.2, 6.0)
box = st.tuples(coordinate, coordinate, angle, extent, extent)


def corners(x, y, yaw, half_length, half_width):
    cos, sin = math.cos(yaw), math.sin(yaw)
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return [
        (
            x + a * half_length * cos - b * half_width * sin,
            y + a * half_length * sin + b * half_width * cos,
        )
        for a, b in signs
    ]


@given(st.floats(-1e4, 1e4))
def test_wrap_angle_keeps_the_direction_and_is_odd(value):
    wrapped = geo.wrap_angle(value)
    assert abs(wrapped) <= math.pi + 1e-12
    assert math.cos(wrapped) == pytest.approx(math.cos(value), abs=1e-9)
    assert math.sin(wrapped) == pytest.approx(math.sin(value), abs=1e-9)
    assert geo.wrap_angle(-value) == -wrapped


@settings(max_examples=300)
@given(box, box)
def test_boxes_overlap_as_shapely_says(first, second):
    a, b = Polygon(corners(*first)), Polygon(corners(*second))
    overlap = geo.boxes_overlap(*first, *second)
    assert overlap == geo.boxes_overlap(*second, *first)
    shared = a.intersection(b).area
    assume(shared > 1e-6 or a.distance(b) > 1e-6)  # a hair's touch may round either way
    assert overlap == (shared > 1e-6)


def overlap_by_15_axes(first, second):
    """Textbook separating-axis test in space: 3 + 3 face normals and 9 edge products."""
    points, axes = [], []
    for (x, y, yaw, half_length, half_width), ground, half_height in (first, second):
        plane = corners(x, y, yaw, half_length, half_width)
        points.append(
            np.array([(px, py, z) for px, py in plane for z in (ground, ground + 2 * half_height)])
        )
        forward = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        axes.append([forward, np.array([-forward[1], forward[0], 0.0]), np.array([0.0, 0.0, 1.0])])
    tests = axes[0] + axes[1] + [np.cross(a, b) for a, b in itertools.product(*axes)]
    for axis in tests:
        if np.linalg.norm(axis) < 1e-9:
            continue
        a, b = points[0] @ axis, points[1] @ axis
        if a.max() <= b.min() or b.max() <= a.min():
            return False
    return True


@settings(max_examples=150)
@given(box, box, st.floats(-4, 4), st.floats(-4, 4), extent, extent)
def test_four_axes_and_height_equal_the_full_test_in_space(first, second, z_a, z_b, h_a, h_b):
    flat = geo.boxes_overlap(*first, *second) and geo.heights_overlap(z_a, h_a, z_b, h_b)
    whole = overlap_by_15_axes((first, z_a, h_a), (second, z_b, h_b))
    a, b = Polygon(corners(*first)), Polygon(corners(*second))
    assume(a.intersection(b).area > 1e-6 or a.distance(b) > 1e-6)
    assert flat == whole


def test_boxes_that_share_an_edge_are_apart():
    assert not geo.boxes_overlap(0, 0, 0, 2, 1, 4, 0, 0, 2, 1)
    assert geo.boxes_overlap(0, 0, 0, 2, 1, 3.999, 0, 0, 2, 1)
    assert not geo.heights_overlap(0.0, 1.0, 2.0, 1.0)


@settings(max_examples=300)
@given(st.tuples(*[coordinate] * 8))
def test_segments_cross_as_shapely_says(values):
    ax, ay, bx, by, cx, cy, dx, dy = values
    first, second = LineString([(ax, ay), (bx, by)]), LineString([(cx, cy), (dx, dy)])
    crosses = geo.segments_cross(*values)
    assert crosses == geo.segments_cross(*values[4:], *values[:4])
    ends = [Point(values[i], values[i + 1]) for i in (0, 2, 4, 6)]
    assume(min(second.distance(p) for p in ends[:2]) > 1e-6)
    assume(min(first.distance(p) for p in ends[2:]) > 1e-6)
    assume(first.length > 1e-6 and second.length > 1e-6)
    assert crosses == first.intersects(second)


def test_an_end_on_the_other_segment_counts_but_parallels_do_not():
    assert geo.segments_cross(0, 0, 2, 0, 1, 0, 1, 5)
    assert not geo.segments_cross(0, 0, 2, 0, 1, 0, 3, 0)
    assert not geo.segments_cross(0, 0, 2, 0, 2.001, -1, 2.001, 1)


@given(st.tuples(*[coordinate] * 6))
def test_closest_fraction_gives_the_distance_to_the_segment(values):
    px, py, ax, ay, bx, by = values
    # Shapely's distance to a segment of 1e-200 m is infinite
    assume((ax, ay) == (bx, by) or math.hypot(bx - ax, by - ay) > 1e-6)
    t = geo.closest_fraction(*values)
    assert 0.0 <= t <= 1.0
    distance = math.hypot(ax + t * (bx - ax) - px, ay + t * (by - ay) - py)
    expected = LineString([(ax, ay), (bx, by)]).distance(Point(px, py))
    assert distance == pytest.approx(expected, abs=1e-6)


@given(box, coordinate, coordinate)
def test_point_in_box_as_shapely_says(values, px, py):
    polygon = Polygon(corners(*values))
    assume(polygon.exterior.distance(Point(px, py)) > 1e-6)
    assert geo.point_in_box(px, py, *values) == polygon.contains(Point(px, py))


def test_offsets_in_a_frame_turned_left():
    # A frame that looks north: east of it is its right, north is ahead
    cos, sin = math.cos(math.pi / 2), math.sin(math.pi / 2)
    assert geo.forward_offset_m(3.0, 4.0, cos, sin) == pytest.approx(4.0)
    assert geo.left_offset_m(3.0, 4.0, cos, sin) == pytest.approx(-3.0)


@pytest.mark.kernel
def test_geometry_kernels_equal_their_plain_python_selves():
    rng = np.random.default_rng(0)
    for row in rng.uniform(-5, 5, (100, 10)):
        sizes = np.abs(row)
        arguments = (*row[:3], sizes[3], sizes[4], *row[5:8], sizes[8], sizes[9])
        assert geo.boxes_overlap(*arguments) == geo.boxes_overlap.py_func(*arguments)
        assert geo.segments_cross(*row[:8]) == geo.segments_cross.py_func(*row[:8])
        assert geo.closest_fraction(*row[:6]) == geo.closest_fraction.py_func(*row[:6])
        assert geo.wrap_angle(row[0]) == geo.wrap_angle.py_func(row[0])
