"""A town's driving lanes as nuPlan's graph: lanes in roadblocks, joined by lane connectors only.

OpenDRIVE cuts roads into short sections and lets lanes follow lanes directly. Here sections whose
lanes continue one to one are joined into a roadblock; whatever lies between two roadblocks (lanes
of junctions, sections too short to stand alone, the tail of a road whose lane count changes)
becomes connectors, one for each way through it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank

MIN_BLOCK_M = 4.0  # shorter stretches of road become part of the connectors around them
PASSAGE_M = 6.0  # tail of a roadblock that becomes connectors where road follows road ...
MAX_PASSAGE_SHARE = 0.4  # ... but no more than this share of it

Section = tuple[int, int, int]  # road id, section index, sign of the lane ids (direction)


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
    intersection_of, types = _intersections(maps, lanes, ways)
    links = sorted({(lanes[a].block, lanes[b].block) for a, b, _ in ways})
    link_row = {link: row for row, link in enumerate(links)}
    link_intersection: dict[tuple[int, int], int] = {}
    connectors = []
    for (a, b, pieces), intersection in zip(ways, intersection_of, strict=True):
        link = lanes[a].block, lanes[b].block
        link_intersection.setdefault(link, intersection)
        signals = [s for piece in pieces if (s := int(maps.rules.signal[piece.lane])) >= 0]
        connectors.append(
            NetworkConnector(a, b, link_row[link], signals[0] if signals else -1, pieces)
        )
    return RoadNetwork(
        tuple(lanes),
        tuple(connectors),
        tuple(BlockLink(*link, link_intersection[link]) for link in links),
        types,
    )


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


def _ways(
    maps: MapBank, lanes: list[NetworkLane], tails: list[Pieces]
) -> Iterator[tuple[int, int, Pieces]]:
    """All ways between two lanes: (from lane, to lane, what lies between)."""
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
            yield row, target, between


def _intersections(
    maps: MapBank, lanes: list[NetworkLane], ways: list[tuple[int, int, Pieces]]
) -> tuple[list[int], tuple[IntersectionType, ...]]:
    """Which intersection each way crosses; ways that share a junction or a lane share it."""
    root: dict[tuple[str, int], tuple[str, int]] = {}

    def find(key: tuple[str, int]) -> tuple[str, int]:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    keys_of = []
    for start, end, pieces in ways:
        keys = [("lane", piece.lane) for piece in pieces]
        junctions = {int(maps.lanes.junction[piece.lane]) for piece in pieces} - {-1}
        keys += [("junction", junction) for junction in sorted(junctions)]
        if not junctions:
            keys += [("from", lanes[start].block), ("to", lanes[end].block)]
        for key in keys[1:]:
            root[find(key)] = find(keys[0])
        keys_of.append(keys[0])
    rows: dict[tuple[str, int], int] = {}
    intersection_of = [rows.setdefault(find(key), len(rows)) for key in keys_of]
    types = [IntersectionType.PASS_THROUGH] * len(rows)
    for row, (_, _, pieces) in zip(intersection_of, ways, strict=True):
        types[row] = _stricter(types[row], _type_of_way(maps, pieces))
    return intersection_of, tuple(types)


def _type_of_way(maps: MapBank, pieces: Pieces) -> IntersectionType:
    if any(maps.rules.signal[piece.lane] >= 0 for piece in pieces):
        return IntersectionType.TRAFFIC_LIGHT
    if any(maps.rules.entry[piece.lane] == EntryRule.STOP for piece in pieces):
        return IntersectionType.STOP_SIGN
    if any(maps.lanes.junction[piece.lane] >= 0 for piece in pieces):
        return IntersectionType.DEFAULT
    return IntersectionType.PASS_THROUGH


def _stricter(a: IntersectionType, b: IntersectionType) -> IntersectionType:
    order = (
        IntersectionType.TRAFFIC_LIGHT,
        IntersectionType.STOP_SIGN,
        IntersectionType.DEFAULT,
        IntersectionType.PASS_THROUGH,
    )
    return min(a, b, key=order.index)
