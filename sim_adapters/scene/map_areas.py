"""MapAreas and RoadEdges: a map as polygons and exact centre lines, where a data set gives them.

nuPlan's maps are vector maps: what counts is inside which polygon a point lies, to the last digit.
CARLA's towns are baked layers and one-metre lane points instead and leave these out.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray


class AreaKind(IntEnum):
    """Layers of a nuPlan map."""

    LANE = 0
    LANE_CONNECTOR = 1
    ROADBLOCK = 2
    ROADBLOCK_CONNECTOR = 3
    INTERSECTION = 4
    STOP_POLYGON = 5
    CROSSWALK = 6
    CARPARK = 7
    ROAD_SEGMENT = 8
    GENERIC_DRIVABLE = 9
    WALKWAY = 10


class MapAreas(NamedTuple):
    """Polygons of all maps, (N,), in global rows; a ring repeats its first corner at the end."""

    kind: NDArray[np.uint8]  # AreaKind
    fid: NDArray[np.int64]  # the layer's own feature id: unique within map and kind
    first_ring: IntArray  # (N + 1,) CSR into `first_corner`; an area's first ring is an exterior
    first_corner: IntArray  # (R + 1,) CSR into x and y
    is_exterior: NDArray[np.bool_]  # (R,) begins another part of its area; others are holes
    x: FloatArray  # [m]
    y: FloatArray
    bounds: FloatArray  # (N, 4) min x, min y, max x, max y [m]


class AreaGrid(NamedTuple):
    """Per map a grid of square cells; a cell lists the areas whose bounds touch it."""

    origin_x: FloatArray  # (M,) [m] lower left corner
    origin_y: FloatArray
    cell_m: FloatArray  # (M,)
    num_x: IntArray  # (M,) cells
    num_y: IntArray
    first_cell: IntArray  # (M,) row of the map's cell (0, 0) in `first_entry`; y-major
    first_entry: IntArray  # (cells + 1,) CSR
    area: IntArray  # rows of MapAreas, ascending within a cell


class Polylines(NamedTuple):
    """Rows of vertices, CSR; rows and vertices as the map file has them."""

    first_point: IntArray  # (K + 1,)
    x: FloatArray  # [m]
    y: FloatArray
    yaw_rad: FloatArray  # of the segment that begins here; the last point repeats its predecessor
    s_m: FloatArray  # arc length from the row's first point


class RoadEdges(NamedTuple):
    """Lanes and lane connectors, (K,): row i is lane i of `MapBank.lanes` and of the polylines."""

    area: IntArray  # its polygon, row of MapAreas
    roadblock: IntArray  # roadblock or roadblock connector it belongs to, row of MapAreas
    intersection: IntArray  # row of MapAreas, -1 for lanes
    is_connector: NDArray[np.bool_]
    fid: NDArray[np.int64]  # the map file's id; lane_connector_fid for connectors
    speed_limit_mps: FloatArray  # NaN where the map has none
    has_lights: NDArray[np.bool_]  # a connector with traffic-light stop lines
    first_stop: IntArray  # (K + 1,) CSR into `stop`
    stop: IntArray  # stop polygons of a connector, rows of MapAreas


class VectorMap(NamedTuple):
    """What a data set's maps have beyond MapBank; kernels take the single structs."""

    areas: MapAreas
    area_grid: AreaGrid
    edges: RoadEdges
    baselines: Polylines  # (K,) of the edges
    left_boundaries: Polylines  # (K,)
    right_boundaries: Polylines  # (K,)
    first_area: IntArray  # (M + 1,) rows of each map in `areas`
    first_edge: IntArray  # (M + 1,) rows of each map in `edges`
