"""Which ways between lanes cross the same intersection, and of what type it is."""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.nuplan.export.road_network import IntersectionType, Pieces
from sim_adapters.scene.map_bank import EntryRule, MapBank

_STRICTEST_FIRST = (
    IntersectionType.TRAFFIC_LIGHT,
    IntersectionType.STOP_SIGN,
    IntersectionType.DEFAULT,
    IntersectionType.PASS_THROUGH,
)
_Key = tuple[str, int]  # what ways of one intersection have in common


class Way(NamedTuple):
    """From the end of one lane to the start of another; rows of a network."""

    from_lane: int
    to_lane: int
    from_block: int
    to_block: int
    pieces: Pieces


def find_intersections(
    maps: MapBank, ways: list[Way]
) -> tuple[list[int], tuple[IntersectionType, ...]]:
    """The intersection of each way, and the types of all.

    Ways that share a junction or a lane share an intersection; outside junctions those from or to
    one roadblock do.
    """
    root: dict[_Key, _Key] = {}

    def find(key: _Key) -> _Key:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    keys_of = [_keys(maps, way) for way in ways]
    for first, *others in keys_of:
        for key in others:
            root[find(key)] = find(first)
    rows: dict[_Key, int] = {}
    intersection_of = [rows.setdefault(find(keys[0]), len(rows)) for keys in keys_of]
    types = [IntersectionType.PASS_THROUGH] * len(rows)
    for row, way in zip(intersection_of, ways, strict=True):
        types[row] = min(types[row], _type(maps, way.pieces), key=_STRICTEST_FIRST.index)
    return intersection_of, tuple(types)


def _keys(maps: MapBank, way: Way) -> list[_Key]:
    lanes = [piece.lane for piece in way.pieces]
    junctions = sorted({int(maps.lanes.junction[lane]) for lane in lanes} - {-1})
    shared = [("lane", lane) for lane in lanes]
    if junctions:
        return [*shared, *(("junction", junction) for junction in junctions)]
    return [*shared, ("from", way.from_block), ("to", way.to_block)]


def _type(maps: MapBank, pieces: Pieces) -> IntersectionType:
    if any(maps.rules.signal[piece.lane] >= 0 for piece in pieces):
        return IntersectionType.TRAFFIC_LIGHT
    if any(maps.rules.entry[piece.lane] == EntryRule.STOP for piece in pieces):
        return IntersectionType.STOP_SIGN
    if any(maps.lanes.junction[piece.lane] >= 0 for piece in pieces):
        return IntersectionType.DEFAULT
    return IntersectionType.PASS_THROUGH
