"""MapBank: several towns in flat arrays that all worlds share.

Everything is concatenated and every index is global, so a kernel that holds a lane index never
needs to know its map. `MapRanges` gives each map's first index per table. Frame: right-handed
(OpenDRIVE's own; CARLA's y is negated).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.scene.map_areas import VectorMap
from sim_adapters.scene.map_layers import MapLayers


class LaneKind(IntEnum):
    """Lanes we keep. DRIVING and PARKING are in the lane grid, the others are not."""

    DRIVING = 0
    PARKING = 1
    SHOULDER = 2
    SIDEWALK = 3
    BIKING = 4


class EntryRule(IntEnum):
    """What a vehicle must heed before it enters a lane (set on the first junction lane)."""

    FREE = 0
    LIGHT = 1
    STOP = 2
    YIELD = 3


class SignKind(IntEnum):
    """Rows of `Signs`."""

    STOP = 0
    YIELD = 1
    SPEED_LIMIT = 2


class LanePoints(NamedTuple):
    """Centre lines, one point a metre in driving direction plus each lane's end, (P,)."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # driving direction
    s_m: FloatArray  # from the lane's first point
    width_m: FloatArray  # of the lane here
    speed_limit_mps: FloatArray  # posted limit in force here (see maps/speed_limits.py)
    lane: IntArray


class Lanes(NamedTuple):
    """One row a lane section of OpenDRIVE (road, section, lane id), (N,)."""

    first_point: IntArray  # (N + 1,), CSR: points of lane i are first_point[i]:first_point[i + 1]
    length_m: FloatArray
    kind: NDArray[np.uint8]  # LaneKind
    road_id: IntArray  # OpenDRIVE ids
    section_id: IntArray
    lane_id: IntArray
    junction: IntArray  # global junction index, -1 outside
    left: IntArray  # lane that a legal lane change to the left reaches (same direction), -1 none
    right: IntArray
    opposite: IntArray  # nearest driving lane of the other direction beside this one, -1 none


class LaneLinks(NamedTuple):
    """CSR lists of driving lanes: row i is `values[first[i]:first[i + 1]]`; `first` is (N + 1,)."""

    successor_first: IntArray
    successor: IntArray
    predecessor_first: IntArray
    predecessor: IntArray
    # Crossing or merging lanes of the same junction, and where on THIS lane they overlap
    conflict_first: IntArray
    conflict: IntArray
    conflict_start_m: FloatArray
    conflict_end_m: FloatArray
    first_ahead: IntArray  # (N,) lane that CARLA's `next(d)[0]` takes, also at a fork; -1 none


class LaneRules(NamedTuple):
    """Right of way of each lane, (N,); meaningful for a junction's connecting lanes."""

    entry: NDArray[np.uint8]  # EntryRule
    signal: IntArray  # global signal index that governs the entry, -1 none
    sign: IntArray  # global stop or yield sign index, -1 none
    priority: IntArray  # larger goes first at unsignalised junctions; equal: right before left
    turn: NDArray[np.uint8]  # RouteCommand LEFT, RIGHT or STRAIGHT; LANE_FOLLOW outside


class LaneGrid(NamedTuple):
    """Per map a grid of square cells; a cell lists points of DRIVING and PARKING lanes near it.

    All points within `LANE_GRID_REACH_M` of any place in the cell are listed.
    """

    origin_x: FloatArray  # (M,) [m] lower left corner
    origin_y: FloatArray
    num_x: IntArray  # (M,) cells
    num_y: IntArray
    first_cell: IntArray  # (M,) row of the map's cell (0, 0) in `first_entry`; y-major
    first_entry: IntArray  # (cells + 1,) CSR
    point: IntArray  # lane point indices


LANE_GRID_CELL_M = 4.0
LANE_GRID_REACH_M = 8.0


class Signals(NamedTuple):
    """Traffic lights, (S,)."""

    x: FloatArray  # [m] centre of the trigger volume
    y: FloatArray
    z: FloatArray
    group: IntArray  # global group (junction) index
    phase: IntArray  # position of the light's controller in the group's cycle
    opendrive_id: IntArray  # id of the OpenDRIVE signal; no number: -2 less its place in the file
    first_stop_line: IntArray  # (S + 1,) CSR into StopLines


class StopLines(NamedTuple):
    """Where vehicles stop for a light, one a lane, (K,): CARLA's last place before the junction.

    See `maps/stop_waypoints.py`; with lanes of OpenDRIVE 0 to 0.5 m before the junction's edge.
    """

    x: FloatArray
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # driving direction
    lane_width_m: FloatArray
    lane: IntArray  # approach lane
    signal: IntArray


class SignalGroups(NamedTuple):
    """Lights of one junction share a cycle: phases run one after the other, (G,)."""

    num_phases: IntArray
    green_s: FloatArray
    yellow_s: FloatArray
    red_s: FloatArray  # all-red gap after each yellow


class Signs(NamedTuple):
    """Stop, yield and speed-limit signs, (T,); the box is the trigger volume."""

    kind: NDArray[np.uint8]  # SignKind
    x: FloatArray  # [m] centre of the trigger box (speed limits: of the limit box)
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # driving direction
    half_length_m: FloatArray
    half_width_m: FloatArray
    value: FloatArray  # speed limit [m/s], else 0
    lane: IntArray  # lane the sign acts on, -1 unknown


class LimitPosts(NamedTuple):
    """Speed-limit signs where they stand beside the road, also those without effect, (P,).

    `Signs` has the boxes on the lanes in which limits begin.
    """

    first_post: IntArray  # (M + 1,) CSR: first row of each map
    x: FloatArray  # [m]
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # of the sign
    limit_mps: FloatArray


class Crosswalks(NamedTuple):
    """Polygons, CSR, (W,)."""

    first_corner: IntArray  # (W + 1,)
    x: FloatArray
    y: FloatArray
    z: FloatArray


class MapRanges(NamedTuple):
    """First row of each map in each table, (M + 1,)."""

    lane: IntArray
    point: IntArray
    signal: IntArray
    group: IntArray
    sign: IntArray
    crosswalk: IntArray
    junction: IntArray


class Roads(NamedTuple):
    """What kernels that judge or see driving ask the maps for, in one argument."""

    ranges: MapRanges
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    grid: LaneGrid
    signals: Signals
    stop_lines: StopLines
    signs: Signs
    layers: MapLayers


@dataclass(frozen=True)
class MapBank:
    """All maps of a run. Kernels take `roads` or single structs, not the bank."""

    towns: tuple[str, ...]
    ranges: MapRanges
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    rules: LaneRules
    grid: LaneGrid
    signals: Signals
    stop_lines: StopLines
    groups: SignalGroups
    signs: Signs
    limit_posts: LimitPosts
    crosswalks: Crosswalks
    layers: MapLayers
    vector: VectorMap | None = None  # polygons and exact lines, where the data set has them

    def map_index(self, town: str) -> int:
        """Row of `town`.

        Raises:
            ValueError: the bank was built without that town.
        """
        if town not in self.towns:
            raise ValueError(
                f"town {town!r} is not in this MapBank ({', '.join(self.towns)}): "
                f"add it to simulator.towns"
            )
        return self.towns.index(town)

    @property
    def roads(self) -> Roads:
        """The tables themselves, not copies of them."""
        return Roads(*(getattr(self, name) for name in Roads._fields))

    @property
    def max_lights(self) -> int:
        """Most traffic lights of any one map: L of `Lights`."""
        return max(1, int(np.diff(self.ranges.signal).max()))
