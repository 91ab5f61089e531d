"""The compact row of one nuPlan raster: all that its picture needs besides the maps.

Boxes are kept as the whole pixels they are drawn with, so that a redrawn picture can't differ. A
row is about 6 kB where its picture is 590 kB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim_adapters.observation.observer import Arrays

NUM_MEASUREMENTS = 10
NUM_VALUE_MEASUREMENTS = 4
NUM_CORNERS = 4
NO_LINE = np.iinfo(np.int16).min  # column of a speed line that is not drawn


class NuplanRowSizes(NamedTuple):
    """Capacities of a row."""

    max_boxes: int  # the ego's included
    max_lights: int
    max_route_areas: int
    has_speed_lines: bool


class NuplanRows(NamedTuple):
    """N rows. Unused boxes have value 0, unused lights and route areas are -1."""

    pose: NDArray[np.float64]  # (N, 3) ego centre x, y [m] in the world, yaw [rad]
    map_index: NDArray[np.int32]  # (N, 1)
    route_areas: NDArray[np.int32]  # (N, R) rows of MapAreas near the ego that its route passes
    light_edges: NDArray[np.int32]  # (N, L) rows of RoadEdges in the order in which to draw them
    light_values: NDArray[np.uint8]  # (N, L)
    box_points: NDArray[np.int16]  # (N, A, 4 or 6, 2) (column, row): corners, ends of a speed line
    box_values: NDArray[np.uint8]  # (N, A)
    box_channels: NDArray[np.uint8]  # (N, A)


def rows_of(arrays: Arrays) -> NuplanRows:
    """The named arrays of a buffer as kernels take them."""
    return NuplanRows(*(arrays[name] for name in NuplanRows._fields))


def stored_space(sizes: NuplanRowSizes) -> spaces.Dict:
    """Space of one driver's compact row."""
    num_points = NUM_CORNERS + (2 if sizes.has_speed_lines else 0)
    short = np.iinfo(np.int16)
    boxes: dict[str, spaces.Space] = {
        "pose": spaces.Box(-np.inf, np.inf, (3,), np.float64),
        "map_index": _rows(1),
        "route_areas": _rows(sizes.max_route_areas),
        "light_edges": _rows(sizes.max_lights),
        "light_values": spaces.Box(0, 255, (sizes.max_lights,), np.uint8),
        "box_points": spaces.Box(
            int(short.min), int(short.max), (sizes.max_boxes, num_points, 2), np.int16
        ),
        "box_values": spaces.Box(0, 255, (sizes.max_boxes,), np.uint8),
        "box_channels": spaces.Box(0, 255, (sizes.max_boxes,), np.uint8),
    }
    return spaces.Dict(boxes | measurement_spaces())


def _rows(count: int) -> spaces.Box:
    return spaces.Box(-1, np.iinfo(np.int32).max, (count,), np.int32)


def measurement_spaces() -> dict[str, spaces.Space]:
    """The short vectors beside the picture."""
    return {
        "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
        "value_measurements": spaces.Box(-np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32),
    }
