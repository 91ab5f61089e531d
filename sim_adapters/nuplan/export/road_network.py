"""RoadNetwork: a town's driving lanes as nuPlan's graph of roadblocks joined by connectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank


class IntersectionType(IntEnum):
    """Values of nuPlan's `intersection_type_fid` that occur here."""

    DEFAULT = 0
    TRAFFIC_LIGHT = 1
    STOP_SIGN = 2
    PASS_THROUGH = 5


class Piece(NamedTuple):
    """Part of a lane of the MapBank."""

    lane: int
    start_m: float
    end_m: float


Pieces = tuple[Piece, ...]


class NetworkLane(NamedTuple):
    """A nuPlan lane."""

    block: int  # roadblock
    index: int  # in its roadblock, 0 is leftmost
    pieces: Pieces


class NetworkConnector(NamedTuple):
    """A way from the end of one lane to the start of another."""

    from_lane: int
    to_lane: int
    block_link: int  # roadblock connector
    signal: int  # global index of the light that governs it, -1 none
    pieces: Pieces


class BlockLink(NamedTuple):
    """A nuPlan roadblock connector: all ways from one roadblock to another."""

    from_block: int
    to_block: int
    intersection: int


@dataclass(frozen=True)
class RoadNetwork:
    """The graph of one town; all references are rows of these tuples."""

    lanes: tuple[NetworkLane, ...]
    connectors: tuple[NetworkConnector, ...]
    block_links: tuple[BlockLink, ...]
    intersections: tuple[IntersectionType, ...]

    @property
    def num_blocks(self) -> int:
        """Number of roadblocks."""
        return 1 + max(lane.block for lane in self.lanes)

    def block_of_map_lane(self) -> dict[int, int]:
        """Roadblock of each MapBank lane that belongs to one (tails of passages included)."""
        return {piece.lane: lane.block for lane in self.lanes for piece in lane.pieces}


# Which ways between lanes cross the same intersection, and of what type it is.

_STRICTEST_FIRST = (
    IntersectionType.TRAFFIC_LIGHT,
    IntersectionType.STOP_SIGN,
    IntersectionType.DEFAULT,
    IntersectionType.PASS_THROUGH,
)
_Key = tuple[str, int]  # what ways of one intersection have in common


class Passage(NamedTuple):
    """From the end of one lane to the start of another; rows of a network."""

    from_lane: int
    to_lane: int
    from_block: int
    to_block: int
    pieces: Pieces


def find_intersections(
    maps: MapBank, ways: list[Passage]
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


def _keys(maps: MapBank, way: Passage) -> list[_Key]:
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


# Builds a town's RoadNetwork: lanes in roadblocks, joined by lane connectors only.
#
# OpenDRIVE cuts roads into short sections and lets lanes follow lanes directly. Here sections whose
# lanes continue one to one are joined into a roadblock; whatever lies between two roadblocks (lanes
# of junctions, sections too short to stand alone, the tail of a road whose lane count changes)
# becomes connectors, one for each way through it.

MIN_BLOCK_M = 4.0  # shorter stretches of road become part of the connectors around them
PASSAGE_M = 6.0  # tail of a roadblock that becomes connectors where road follows road ...
MAX_PASSAGE_SHARE = 0.4  # ... but no more than this share of it

Section = tuple[int, int, int]  # road id, section index, sign of the lane ids (direction)


def build_road_network(maps: MapBank, map_index: int) -> RoadNetwork:
    """The graph of one of the bank's towns."""
    first, last = maps.ranges.lane[map_index], maps.ranges.lane[map_index + 1]
    driving = [lane for lane in range(first, last) if maps.lanes.kind[lane] == LaneKind.DRIVING]
    blocks = [
        stretch
        for stretch in _stretches(maps, driving)
        if min(_length_m(maps, chain) for chain in stretch) >= MIN_BLOCK_M
    ]
    lanes, tails = _block_lanes(maps, blocks)
    ways = list(_ways(maps, lanes, tails))
    intersection_of, types = find_intersections(maps, ways)
    links: dict[tuple[int, int], int] = {}  # intersection of each pair of roadblocks
    for way, intersection in zip(ways, intersection_of, strict=True):
        links.setdefault((way.from_block, way.to_block), intersection)
    row_of = {link: row for row, link in enumerate(sorted(links))}
    connectors = [
        NetworkConnector(
            way.from_lane,
            way.to_lane,
            row_of[way.from_block, way.to_block],
            _signal(maps, way.pieces),
            way.pieces,
        )
        for way in ways
    ]
    return RoadNetwork(
        tuple(lanes),
        tuple(connectors),
        tuple(BlockLink(*link, links[link]) for link in row_of),
        types,
    )


def _signal(maps: MapBank, pieces: Pieces) -> int:
    """The first light on the way, -1 none."""
    signals = [int(maps.rules.signal[piece.lane]) for piece in pieces]
    return next((signal for signal in signals if signal >= 0), -1)


def successors(maps: MapBank, lane: int) -> list[int]:
    """Driving lanes that follow a lane."""
    links = maps.links
    return links.successor[links.successor_first[lane] : links.successor_first[lane + 1]].tolist()


def _predecessors(maps: MapBank, lane: int) -> list[int]:
    links = maps.links
    first, last = links.predecessor_first[lane : lane + 2]
    return links.predecessor[first:last].tolist()


def _length_m(maps: MapBank, chain: list[int]) -> float:
    return float(sum(maps.lanes.length_m[lane] for lane in chain))


def _stretches(maps: MapBank, driving: list[int]) -> list[list[list[int]]]:
    """Roads outside junctions: for each stretch its lanes from left to right, as chains."""
    sections: dict[Section, list[int]] = defaultdict(list)
    for lane in driving:
        if maps.lanes.junction[lane] < 0:
            sections[_section(maps, lane)].append(lane)
    for row in sections.values():  # ids grow in size from the middle of the road outwards
        row.sort(key=lambda lane: abs(int(maps.lanes.lane_id[lane])))
    following = {key: _continuation(maps, row, sections) for key, row in sections.items()}
    continued = set(following.values())
    stretches = []
    for key in sections:
        if key in continued:
            continue
        chain: list[Section] = []
        at: Section | None = key
        while at is not None and at not in chain:
            chain.append(at)
            at = following[at]
        stretches.append([list(lanes) for lanes in zip(*(sections[k] for k in chain), strict=True)])
    return stretches


def _section(maps: MapBank, lane: int) -> Section:
    lanes = maps.lanes
    sign = 1 if lanes.lane_id[lane] > 0 else -1
    return int(lanes.road_id[lane]), int(lanes.section_id[lane]), sign


def _continuation(
    maps: MapBank, row: list[int], sections: dict[Section, list[int]]
) -> Section | None:
    """The section into which all lanes of this one continue one to one, if there is one."""
    ahead = [successors(maps, lane) for lane in row]
    if any(len(lanes) != 1 for lanes in ahead):
        return None
    targets = [lanes[0] for lanes in ahead]
    if any(maps.lanes.junction[lane] >= 0 for lane in targets):
        return None
    key = _section(maps, targets[0])
    if sections[key] != targets or any(len(_predecessors(maps, lane)) != 1 for lane in targets):
        return None
    return key


def _block_lanes(
    maps: MapBank, blocks: list[list[list[int]]]
) -> tuple[list[NetworkLane], list[Pieces]]:
    """Lanes of all roadblocks, and what is cut off the end of each as part of connectors."""
    in_blocks = {lane for stretch in blocks for chain in stretch for lane in chain}
    lanes, tails = [], []
    for block, stretch in enumerate(blocks):
        shortest_m = min(_length_m(maps, chain) for chain in stretch)
        cut_m = min(PASSAGE_M, MAX_PASSAGE_SHARE * shortest_m)
        for index, chain in enumerate(stretch):
            meets_road = any(lane in in_blocks for lane in successors(maps, chain[-1]))
            pieces, tail = _cut(maps, chain, cut_m if meets_road else 0.0)
            lanes.append(NetworkLane(block, index, pieces))
            tails.append(tail)
    return lanes, tails


def _cut(maps: MapBank, chain: list[int], tail_m: float) -> tuple[Pieces, Pieces]:
    """A chain without its last metres, and those metres."""
    kept_m = _length_m(maps, chain) - tail_m
    head, tail, done_m = [], [], 0.0
    for lane in chain:
        length = float(maps.lanes.length_m[lane])
        cut = min(max(kept_m - done_m, 0.0), length) if tail_m > 0.0 else length
        if cut > 0.0:
            head.append(Piece(lane, 0.0, cut))
        if cut < length:
            tail.append(Piece(lane, cut, length))
        done_m += length
    return tuple(head), tuple(tail)


def _ways(maps: MapBank, lanes: list[NetworkLane], tails: list[Pieces]) -> Iterator[Passage]:
    """All ways between two lanes."""
    starting_at = {lane.pieces[0].lane: row for row, lane in enumerate(lanes)}

    def follow(lane: int, between: Pieces) -> Iterator[tuple[int, Pieces]]:
        for following in successors(maps, lane):
            if following in starting_at:
                yield starting_at[following], between
            elif all(piece.lane != following for piece in between):  # not round a ring
                length = float(maps.lanes.length_m[following])
                yield from follow(following, (*between, Piece(following, 0.0, length)))

    for row, (lane, tail) in enumerate(zip(lanes, tails, strict=True)):
        last = tail[-1].lane if tail else lane.pieces[-1].lane
        for target, between in follow(last, tail):
            yield Passage(row, target, lane.block, lanes[target].block, between)
