"""The compact row of one raster observation: all that its picture needs besides the maps.

Places are ego-frame metres in float32; only the pose, which places the maps, is in world
coordinates and float64. A row of CaRL's raster is about 6 kB where its picture is 655 kB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim_adapters.observation.measurements import NUM_MEASUREMENTS, NUM_VALUE_MEASUREMENTS
from sim_adapters.observation.observer import Arrays

ACTOR_X, ACTOR_Y, ACTOR_YAW, ACTOR_LENGTH, ACTOR_WIDTH, ACTOR_SPEED = range(6)
LINE_X0, LINE_Y0, LINE_X1, LINE_Y1 = range(4)
STOP_X, STOP_Y, STOP_YAW, STOP_HALF = range(4)
ROUTE_POINT, ROUTE_IN_JUNCTION = 1, 2  # bits of `route_flags`


class RowSizes(NamedTuple):
    """Capacities of a row."""

    max_actors: int
    num_route_points: int
    max_light_lines: int
    num_past: int  # snapshots of history


class BevRows(NamedTuple):
    """N rows. Unused actors have kind 0, unused lines value 0."""

    pose: NDArray[np.float64]  # (N, 4) world x, y, z [m], yaw [rad]
    map_index: NDArray[np.int32]  # (N, 1)
    actors: NDArray[np.float32]  # (N, A, 6) x, y, yaw, half length, half width, speed
    actor_kinds: NDArray[np.uint8]  # (N, A, 2) ActorKind, LightBit flags
    route: NDArray[np.float32]  # (N, P, 2) the next route points
    route_flags: NDArray[np.uint8]  # (N, P) ROUTE_POINT | ROUTE_IN_JUNCTION
    light_lines: NDArray[np.float32]  # (N, L, 4) both ends of the stop lines
    light_values: NDArray[np.uint8]  # (N, L, 1 + H) gray values: now, then the past, oldest first
    stop_sign: NDArray[np.float32]  # (N, 4) x, y, yaw, half side; half side 0: none
    past_actors: NDArray[np.float32]  # (N, H, A, 3) x, y, yaw of `actors`, oldest first; nan: gone


def rows_of(arrays: Arrays) -> BevRows:
    """The named arrays of a buffer as kernels take them."""
    return BevRows(*(arrays[name] for name in BevRows._fields))


def stored_space(sizes: RowSizes) -> spaces.Dict:
    """Space of one driver's compact row."""
    actors, past = sizes.max_actors, sizes.num_past
    shapes = {
        "pose": ((4,), np.float64),
        "map_index": ((1,), np.int32),
        "actors": ((actors, 6), np.float32),
        "actor_kinds": ((actors, 2), np.uint8),
        "route": ((sizes.num_route_points, 2), np.float32),
        "route_flags": ((sizes.num_route_points,), np.uint8),
        "light_lines": ((sizes.max_light_lines, 4), np.float32),
        "light_values": ((sizes.max_light_lines, 1 + past), np.uint8),
        "stop_sign": ((4,), np.float32),
        "past_actors": ((past, actors, 3), np.float32),
    }
    boxes: dict[str, spaces.Space] = {
        name: spaces.Box(0, 255, shape, np.uint8)
        if dtype is np.uint8
        else spaces.Box(
            -np.inf if dtype is not np.int32 else 0,
            np.inf if dtype is not np.int32 else 2**31 - 1,
            shape,
            dtype,
        )
        for name, (shape, dtype) in shapes.items()
    }
    return spaces.Dict(boxes | measurement_spaces())


def measurement_spaces() -> dict[str, spaces.Space]:
    """The short vectors beside every observation."""
    return {
        "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
        "value_measurements": spaces.Box(-np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32),
    }
