"""Stop signs of a server against the map's."""

import logging
from typing import Any

import numpy as np
import pytest

from sim_adapters.carla import world_check
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank, SignKind


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town07"])


def _check(maps: MapBank, places: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    monkeypatch.setattr(world_check, "stop_sign_places", lambda world: places)
    world: Any = None
    return world_check.check_stop_signs(world, maps, 0)


def test_a_sign_elsewhere_is_missed_and_unknown(
    maps: MapBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stops = maps.signs.kind == SignKind.STOP
    places = np.column_stack([maps.signs.x[stops], maps.signs.y[stops]])
    assert _check(maps, places, monkeypatch) == (0, 0)
    assert not caplog.records
    moved = places.copy()
    moved[0] += (400.0, 400.0)
    with caplog.at_level(logging.WARNING):
        assert _check(maps, moved, monkeypatch) == (1, 1)
    assert "Town07: 1 of the map's" in caplog.text


def test_a_server_without_signs_lacks_them_all(
    maps: MapBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_stops = int((maps.signs.kind == SignKind.STOP).sum())
    assert num_stops > 10
    assert _check(maps, np.zeros((0, 2)), monkeypatch) == (num_stops, 0)
