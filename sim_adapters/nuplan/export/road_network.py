"""RoadNetwork: a town's driving lanes as nuPlan's graph of roadblocks joined by connectors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


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
