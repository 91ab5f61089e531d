"""AreaIndex: the ways back from areas and signals to lanes that nuPlan's raster and detectors need.

A VectorMap says which polygon, roadblock and intersection an edge (lane or lane connector)
belongs to; here are the edges of a roadblock, the edge of a polygon, and the order in which CaRL's
picture is drawn.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.array_types import BoolArray
from sim_adapters.scene.map_areas import (
    AreaGrid,
    AreaKind,
    IntArray,
    MapAreas,
    Polylines,
    RoadEdges,
    VectorMap,
)
from sim_adapters.scene.map_bank import MapBank

# What CaRL puts into its spatial index, in this order
INDEXED_KINDS = (AreaKind.ROADBLOCK, AreaKind.ROADBLOCK_CONNECTOR, AreaKind.CARPARK)


class AreaIndex(NamedTuple):
    """Inverse tables of a VectorMap, N areas and S signals, in global rows."""

    edge: IntArray  # (N,) the lane or connector whose polygon this is, -1 for other areas
    first_edge: IntArray  # (N + 1,) CSR into `block_edge`
    block_edge: IntArray  # edges of a roadblock or roadblock connector, ascending
    signal_edge: IntArray  # (S,) the connector that a signal governs, -1 none
    light_order: IntArray  # (S,) signals of each map, by their connectors' places in `drawn`
    first_drawn: IntArray  # (M + 1,) first row of each map in `drawn`
    drawn: IntArray  # areas in the order in which CaRL draws them; a map's stop polygons go last
    is_road: BoolArray  # (N,) CaRL's road: roadblocks, car parks and connectors' intersections


class AreaTables(NamedTuple):
    """Polygons, which of them are near a place, and the edges that they belong to."""

    areas: MapAreas
    grid: AreaGrid
    index: AreaIndex
    edges: RoadEdges


class NuplanMaps(NamedTuple):
    """A bank of vector maps as nuPlan's detectors and raster take it."""

    tables: AreaTables
    baselines: Polylines  # (K,) of the edges, as both boundaries
    left_boundaries: Polylines
    right_boundaries: Polylines
    signal: IntArray  # `LaneRules.signal`
    first_signal: IntArray  # `MapRanges.signal`


def nuplan_maps(maps: MapBank) -> NuplanMaps:
    """The handle of a bank; its inverse tables are made anew.

    Raises:
        ValueError: the bank has no vector maps.
    """
    vector = vector_map(maps)
    return NuplanMaps(
        AreaTables(vector.areas, vector.area_grid, make_area_index(maps), vector.edges),
        vector.baselines,
        vector.left_boundaries,
        vector.right_boundaries,
        maps.rules.signal,
        maps.ranges.signal,
    )


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
    first_of_block = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    block_edge = in_block[order]
    drawn = [_drawing_order(vector, map_index) for map_index in range(len(vector.first_area) - 1)]
    every_drawn = np.concatenate(drawn).astype(np.int32)
    drawn_edges = [block_edge[first_of_block[a] : first_of_block[a + 1]] for a in every_drawn]
    is_road = np.isin(vector.areas.kind, (AreaKind.ROADBLOCK, AreaKind.CARPARK))
    is_road[edges.intersection[edges.intersection >= 0]] = True
    return AreaIndex(
        edge,
        first_of_block,
        block_edge,
        signal_edge,
        _light_order(maps, signal_edge, np.concatenate([in_block[:0], *drawn_edges])),
        np.cumsum([0, *map(len, drawn)]).astype(np.int32),
        every_drawn,
        is_road,
    )


def _drawing_order(vector: VectorMap, map_index: int) -> NDArray[np.int64]:
    """Areas of one map as CaRL's spatial index lists them, then its stop polygons.

    CaRL asks one shapely STRtree of a map's roadblocks, roadblock connectors and car parks for
    those in the picture and draws in the order of the answer. A tree walks its leaves in the same
    order whatever it is asked for, so that the order of one picture is a part of the order of all.
    """
    first, last = vector.first_area[map_index], vector.first_area[map_index + 1]
    kind, bounds = vector.areas.kind[first:last], vector.areas.bounds[first:last]
    rows = np.concatenate([np.flatnonzero(kind == indexed) for indexed in INDEXED_KINDS])
    boxes = shapely.box(*bounds[rows].T)  # a tree is built from the bounds of its shapes alone
    found = shapely.STRtree(boxes).query(shapely.box(*shapely.total_bounds(boxes)))
    stops = np.flatnonzero(kind == AreaKind.STOP_POLYGON)
    return first + np.concatenate([rows[found], stops])


def _light_order(maps: MapBank, signal_edge: IntArray, drawn_edges: IntArray) -> IntArray:
    """Signals of each map, from its first one on, in the order in which their edges are drawn."""
    place = np.full(len(maps.rules.signal), len(drawn_edges))
    place[drawn_edges] = np.arange(len(drawn_edges))
    place_of_signal = np.where(signal_edge >= 0, place[signal_edge], len(drawn_edges))
    order = np.zeros(len(signal_edge), np.int32)
    for first, last in itertools.pairwise(maps.ranges.signal.tolist()):
        order[first:last] = np.argsort(place_of_signal[first:last], kind="stable")
    return order


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
