"""AreaIndex: the ways back from areas and signals to lanes that nuPlan's raster and detectors need.

A VectorMap says which polygon, roadblock and intersection an edge (lane or lane connector)
belongs to; here are the edges of a roadblock and the edge of a polygon.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_areas import AreaKind, IntArray, VectorMap
from sim_adapters.scene.map_bank import MapBank

BoolArray = NDArray[np.bool_]


DRAWN_KINDS = (
    AreaKind.ROADBLOCK,
    AreaKind.ROADBLOCK_CONNECTOR,
    AreaKind.CARPARK,
    AreaKind.STOP_POLYGON,
)


class AreaIndex(NamedTuple):
    """Inverse tables of a VectorMap, N areas and S signals, in global rows."""

    edge: IntArray  # (N,) the lane or connector whose polygon this is, -1 for other areas
    first_edge: IntArray  # (N + 1,) CSR into `block_edge`
    block_edge: IntArray  # edges of a roadblock or roadblock connector, ascending
    signal_edge: IntArray  # (S,) the connector that a signal governs, -1 none
    first_drawn: IntArray  # (M + 1,) first row of each map in `drawn`
    drawn: IntArray  # areas that CaRL's raster looks for: blocks, car parks, stop polygons
    is_road: BoolArray  # (N,) CaRL's road: roadblocks, car parks and connectors' intersections


def make_area_index(maps: MapBank) -> AreaIndex:
    """The inverse tables of a bank.

    Raises:
        ValueError: the bank has no vector maps.
    """
    vector = vector_map(maps)
    edges, num_areas = vector.edges, len(vector.areas.kind)
    edge = np.full(num_areas, -1, np.int32)
    rows = np.arange(len(edges.area), dtype=np.int32)
    edge[edges.area] = rows
    in_block = rows[edges.roadblock >= 0]
    order = np.argsort(edges.roadblock[in_block], kind="stable")
    counts = np.bincount(edges.roadblock[in_block], minlength=num_areas)
    signal_edge = np.full(len(maps.signals.x), -1, np.int32)
    governed = maps.rules.signal[: len(rows)]
    signal_edge[governed[governed >= 0]] = rows[governed >= 0]
    is_road = np.isin(vector.areas.kind, (AreaKind.ROADBLOCK, AreaKind.CARPARK))
    is_road[edges.intersection[edges.intersection >= 0]] = True
    drawn = np.flatnonzero(np.isin(vector.areas.kind, DRAWN_KINDS)).astype(np.int32)
    return AreaIndex(
        edge,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        in_block[order],
        signal_edge,
        np.searchsorted(drawn, vector.first_area).astype(np.int32),
        drawn,
        is_road,
    )


def vector_map(maps: MapBank) -> VectorMap:
    """The polygons and exact lines of a bank.

    Raises:
        ValueError: the bank has none.
    """
    if maps.vector is None:
        raise ValueError(
            f"the maps {', '.join(maps.towns)} have no polygons, which nuPlan's observation and "
            f"detector need: use simulator=nuplan"
        )
    return maps.vector
