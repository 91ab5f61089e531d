"""The numba raster against OpenCV: shapes, map warps and whole frames, pixel by pixel."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from evaluation.speed.raster import OpenCvRaster
from sim_adapters.observation.bev_rows import rows_of
from sim_adapters.observation.raster import (
    draw_thick_line,
    fill_box,
    fill_disc,
    make_brush,
    polygon_disc,
    stamp_disc,
)
from sim_adapters.observation.raster_lines import Band, draw_line
from tests.observation.bev_helpers import busy_scene, make_observer, observe, town_of_noise
from tests.observation.observation_scenes import straight_road_bank

SIZE = 64
BRUSH = make_brush(SIZE)


def pair() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.uint8)


def draw_both_boxes(rng: np.random.Generator, low: float, high: float) -> tuple:
    """The same random box by us and by `fillConvexPoly`."""
    row, column = rng.uniform(low, high, 2)
    yaw, length, width = rng.uniform(-math.pi, math.pi), rng.uniform(1.6, 9), rng.uniform(1.6, 4)
    forward = np.array([-math.cos(yaw), math.sin(yaw)]) * length  # (row, column)
    right = np.array([math.sin(yaw), math.cos(yaw)]) * width
    ours, reference = pair()
    (forward_row, forward_column), (right_row, right_column) = forward, right
    fill_box(ours, BRUSH, row, column, forward_row, forward_column, right_row, right_column, 1)
    corners = [
        (row, column) + f * forward + r * right for f, r in ((1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    points = np.floor(np.array(corners)[:, ::-1] + 0.5).astype(np.int32)
    cv2.fillConvexPoly(reference, points, 1)
    return ours, reference


def test_boxes_inside_the_picture_equal_fill_convex_poly():
    rng = np.random.default_rng(1)
    for _ in range(500):
        ours, reference = draw_both_boxes(rng, 12, 52)
        np.testing.assert_array_equal(ours, reference)


def test_boxes_cut_by_the_picture_differ_at_most_in_opencv_s_holes():
    rng = np.random.default_rng(2)
    pixels, different = 0, 0
    for _ in range(500):
        ours, reference = draw_both_boxes(rng, -6, 70)
        assert np.all(ours >= reference)
        pixels += int(reference.sum())
        different += int((ours != reference).sum())
    assert different < 1e-3 * pixels


def test_thin_lines_equal_opencv_even_when_cut():
    rng = np.random.default_rng(3)
    for _ in range(500):
        x0, y0, x1, y1 = rng.integers(-20, 84, 4).tolist()
        ours, reference = pair()
        draw_line(ours, x0, y0, x1, y1, 1)
        cv2.line(reference, (x0, y0), (x1, y1), 1)
        np.testing.assert_array_equal(ours, reference)


@pytest.mark.parametrize("thickness", [3, 6, 16])
def test_thick_lines_inside_the_picture_equal_opencv(thickness: int):
    rng = np.random.default_rng(4)
    for _ in range(200):
        x0, y0, x1, y1 = rng.integers(12, 52, 4).tolist()
        ours, reference = pair()
        draw_thick_line(ours, BRUSH, x0, y0, x1, y1, thickness, 1)
        cv2.line(reference, (x0, y0), (x1, y1), 1, thickness=thickness)
        np.testing.assert_array_equal(ours, reference)


def test_discs_equal_opencv():
    for radius in range(1, 10):
        for column, row in ((30, 33), (1, 62), (66, -2)):
            ours, reference = pair()
            fill_disc(ours, BRUSH.band, row, column, radius, 1)
            cv2.circle(reference, (column, row), radius, 1, thickness=-1)
            np.testing.assert_array_equal(ours, reference)


def test_route_discs_equal_opencv_s_of_line_type_filled():
    sides = [last - first + 1 for first, last in polygon_disc(3).tolist()]
    assert sides == [4, 5, 7, 7, 7, 7, 5]
    for radius in range(1, 17):
        ours, reference = pair()
        stamp_disc(ours, BRUSH.band, 33, 30, polygon_disc(radius), 1)
        cv2.circle(reference, (30, 33), radius, 1, thickness=cv2.FILLED, lineType=cv2.FILLED)
        np.testing.assert_array_equal(ours, reference)
    for column, row in ((1, 62), (66, -2), (-3, 30), (63, 63)):
        ours, large = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE + 20, SIZE + 20), np.uint8)
        stamp_disc(ours, BRUSH.band, row, column, polygon_disc(3), 1)
        stamp_disc(large, Band(0, SIZE + 20), row + 10, column + 10, polygon_disc(3), 1)
        np.testing.assert_array_equal(ours, large[10:-10, 10:-10])


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_map_channels_equal_opencv_s_fixed_point_warp(interpolation: str):
    maps = town_of_noise()
    observer = make_observer("carl_bev", interpolation=interpolation)
    scene, memory = busy_scene(6, max_yaw_rad=math.pi)
    frames, rows = observe(observer, scene, memory, maps)
    raster = OpenCvRaster(observer.view, maps, interpolation=interpolation)
    for row in range(6):
        warped = raster.warp(rows["pose"][row], 0)
        np.testing.assert_array_equal(frames[row, 0], warped[..., 0])
        np.testing.assert_array_equal(frames[row, 9], warped[..., 3])
        markings = np.where(warped[..., 1] > 0, 255, 0)
        markings[warped[..., 2] > 0] = 127
        np.testing.assert_array_equal(frames[row, 2], markings)


def test_map_channels_are_near_the_installed_warp_affine():
    # OpenCV 5 interpolates in floating point: positions differ by up to 1/64 pixel, so values by
    # up to 255 / 64 in each direction.
    maps = town_of_noise()
    observer = make_observer("carl_bev")
    scene, memory = busy_scene(4, max_yaw_rad=math.pi)
    frames, rows = observe(observer, scene, memory, maps)
    raster = OpenCvRaster(observer.view, maps, classic=False)
    for row in range(4):
        warped = raster.warp(rows["pose"][row], 0)
        difference = np.abs(frames[row, 0].astype(int) - warped[..., 0])
        assert difference.max() <= 9
        assert difference.mean() < 2.0


def test_whole_frames_of_busy_scenes_equal_opencv_s():
    maps = straight_road_bank()
    observer = make_observer("carl_bev")
    scene, memory = busy_scene(8)
    frames, rows = observe(observer, scene, memory, maps)
    raster = OpenCvRaster(observer.view, maps)
    reference = np.zeros_like(frames[0])
    for row in range(8):
        raster.draw(rows_of(rows), row, reference)
        for channel, name in enumerate(observer.channel_names):
            different = int((frames[row, channel] != reference[channel]).sum())
            assert different <= (2 if name == "vehicles" else 0), (row, name, different)
        assert all(reference[channel].any() for channel in (0, 2, 3, 4, 8, 9))
