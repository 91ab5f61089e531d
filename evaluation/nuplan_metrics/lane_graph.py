"""LaneGraph: lanes and connectors as the metrics walk them, and which of them lie at a point.

"Lanes" in this package's names means both: nuPlan's lanes and lane connectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.area_lookup import area_contains, areas_at
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas, Polylines
from sim_adapters.scene.map_bank import MapBank

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

MAX_LANES = 32  # most connectors over one point; lookups that find more fail by name
SEVERAL_LANES = -1  # lookups return these instead of a count
TOO_MANY_CONNECTORS = -2
LOOKUP_FAILURES = {
    SEVERAL_LANES: "two lanes of the map overlap where the ego drives: the devkit refuses, too",
    TOO_MANY_CONNECTORS: f"more than {MAX_LANES} connectors of the map overlap at one point",
}

_LANE = int(AreaKind.LANE)
_CONNECTOR = int(AreaKind.LANE_CONNECTOR)


class LaneGraph(NamedTuple):
    """Lanes and lane connectors, (K,): row i is edge i of `VectorMap.edges`."""

    area: IntArray  # polygon, row of MapAreas
    roadblock: IntArray  # of roadblock or roadblock connector, row of MapAreas
    is_connector: NDArray[np.bool_]
    speed_limit_mps: FloatArray  # NaN where the map has none
    first_successor: IntArray  # (K + 1,) CSR
    successor: IntArray
    first_predecessor: IntArray
    predecessor: IntArray
    lane_of_area: IntArray  # (N,) inverse of `area`, -1 for other areas


class RoadMap(NamedTuple):
    """One map of a bank, as this package's functions take it; its kernels take the parts."""

    map_index: int
    areas: MapAreas
    grid: AreaGrid
    graph: LaneGraph
    baselines: Polylines  # of the graph's lanes


def road_maps(maps: MapBank) -> list[RoadMap]:
    """The maps of a bank, by their index.

    Raises:
        ValueError: the bank has no vector map.
    """
    if maps.vector is None:
        raise ValueError("these maps have no polygons: load them with load_nuplan_maps")
    edges = maps.vector.edges
    lane_of_area = np.full(len(maps.vector.areas.kind), -1, np.int32)
    lane_of_area[edges.area] = np.arange(len(edges.area), dtype=np.int32)
    graph = LaneGraph(
        edges.area,
        edges.roadblock,
        edges.is_connector,
        edges.speed_limit_mps,
        maps.links.successor_first,
        maps.links.successor,
        maps.links.predecessor_first,
        maps.links.predecessor,
        lane_of_area,
    )
    vector = maps.vector
    return [
        RoadMap(index, vector.areas, vector.area_grid, graph, vector.baselines)
        for index in range(len(maps.towns))
    ]


@device_function
def lanes_at(
    x: float,
    y: float,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    graph: LaneGraph,
    found: IntArray,
) -> int:
    """Writes the lane that contains a point, or else all connectors that do.

    Returns:
        How many, or a negative key of LOOKUP_FAILURES.
    """
    count = areas_at(x, y, map_index, _LANE, areas, grid, found)
    if count > 1:
        return SEVERAL_LANES
    if count == 0:
        count = areas_at(x, y, map_index, _CONNECTOR, areas, grid, found)
        if count > len(found):
            return TOO_MANY_CONNECTORS
    for i in range(count):
        found[i] = graph.lane_of_area[found[i]]
    return count


@device_function
def lanes_onward(
    x: float,
    y: float,
    candidates: IntArray,
    num_candidates: int,
    areas: MapAreas,
    graph: LaneGraph,
    found: IntArray,
) -> int:
    """Writes which of the candidates contain a point; a sole candidate may pass to its successors.

    Returns:
        How many were found.
    """
    count = 0
    for i in range(num_candidates):
        lane = int(candidates[i])
        if count < len(found) and area_contains(graph.area[lane], x, y, areas):
            found[count] = lane
            count += 1
    if count > 0 or num_candidates != 1:
        return count
    only = candidates[0]
    for i in range(graph.first_successor[only], graph.first_successor[only + 1]):
        lane = int(graph.successor[i])
        if count < len(found) and area_contains(graph.area[lane], x, y, areas):
            found[count] = lane
            count += 1
    return count


@device_function
def is_listed(lane: int, lanes: IntArray, count: int) -> bool:
    """Whether `lane` is among the first `count` of `lanes`."""
    listed = False
    for i in range(count):
        listed = listed or lanes[i] == lane
    return listed
