"""Moves an OpenDRIVE map to the origin where CARLA's library would bend it.

`carla.Map` keeps places as float32. Files in UTM coordinates lie at millions of metres, where its
steps are half a metre. Lanes, signals and objects hang on the reference lines of their roads, so
moving those moves everything.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree import ElementTree

from sim_adapters.maps.safe_xml import parse_xml
from sim_adapters.scene.map_bank import MapBank

FARTHEST_M = 2.0**15  # float32 steps are 4 mm there; CARLA's own largest maps reach 10 km
WIDEST_M = 2.0**18  # at both ends of such a map the steps are 8 mm


class CentredMap(NamedTuple):
    """A document near the origin, and what to add to its places to get those of the file."""

    document: bytes
    shift_x: float  # [m] whole metres, zero where nothing had to be moved
    shift_y: float


def centred(document: bytes) -> CentredMap:
    """The document itself, or with its middle at the origin if it lies farther than `FARTHEST_M`.

    Raises:
        ValueError: no XML, a place that is no number, or a map too wide for any shift.
    """
    root = parse_xml(document)
    geometries = root.findall("road/planView/geometry")
    x = [_coordinate(geometry, "x") for geometry in geometries]
    y = [_coordinate(geometry, "y") for geometry in geometries]
    if max((abs(value) for value in (*x, *y)), default=0.0) <= FARTHEST_M:
        return CentredMap(document, 0.0, 0.0)
    width_m = max(max(x) - min(x), max(y) - min(y))
    if width_m > WIDEST_M:
        raise ValueError(
            f"its roads begin up to {width_m / 1000.0:.0f} km apart, at most "
            f"{WIDEST_M / 1000.0:.0f} km can be read: split the map"
        )
    shift_x, shift_y = (float(round((min(axis) + max(axis)) / 2.0)) for axis in (x, y))
    for geometry, here_x, here_y in zip(geometries, x, y, strict=True):
        geometry.set("x", repr(here_x - shift_x))
        geometry.set("y", repr(here_y - shift_y))
    return CentredMap(ElementTree.tostring(root), shift_x, shift_y)


def _coordinate(geometry: ElementTree.Element, name: str) -> float:
    text = geometry.get(name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"<geometry> has {name}={text!r}, expected a number")
    return value


def moved(bank: MapBank, shift_x: float, shift_y: float) -> MapBank:
    """A bank of one town with all its places moved, in place."""
    tables = (bank.points, bank.signals, bank.stop_lines, bank.signs)
    columns = [(table.x, table.y) for table in (*tables, bank.limit_posts, bank.crosswalks)]
    columns += [(table.origin_x, table.origin_y) for table in (bank.grid, bank.layers)]
    for x, y in columns:
        x += shift_x
        y += shift_y
    return bank
