"""Colouring a raster for people."""

from __future__ import annotations

import numpy as np

from sim_adapters.observation.colours import colour_bev
from tests.observation.bev_helpers import make_observer


def coloured(name: str, value: int) -> np.ndarray:
    """The colour of a pixel that one channel sets."""
    names = make_observer("carl_bev").channel_names
    bev = np.zeros((10, 256, 256), np.uint8)
    bev[names.index(name), 40, 60] = value
    picture = colour_bev(bev, names, ego_px_from_bottom=100, pixels_per_meter=2.0, scale=2)
    assert picture.shape == (512, 512, 3)
    assert np.array_equal(picture[80, 120], picture[81, 121])
    return picture[80, 120].astype(int)


def test_lights_are_red_yellow_and_green():
    red, yellow, green = (coloured("light_lines", value) for value in (255, 170, 80))
    assert red[0] > 2 * red[1]
    assert min(yellow[:2]) > 2 * yellow[2]
    assert green[1] > 2 * green[0]


def test_faster_vehicles_are_brighter():
    assert coloured("vehicles", 255).sum() > coloured("vehicles", 136).sum() + 30


def test_the_ego_is_drawn_white_where_it_stands():
    names = make_observer("carl_bev").channel_names
    bev = np.zeros((10, 256, 256), np.uint8)
    picture = colour_bev(bev, names, ego_px_from_bottom=100, pixels_per_meter=2.0)
    rows, columns = np.nonzero((picture == 255).all(axis=2))
    assert rows.mean() == 155.0
    assert columns.mean() == 127.5
