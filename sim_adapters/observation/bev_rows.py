"""The compact row of one raster observation: all that its picture needs besides the maps.

Places are ego-frame metres in float32; only the pose, which places the maps, is in world
coordinates and float64. A row of CaRL's raster is 5.3 kB where its picture is 655 kB.
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
    stop_sign: NDArray[np.float32]  # (N, 1 + H, 4) x, y, yaw, half side (0: none), as lights
    past_actors: NDArray[np.float32]  # (N, H, A, 3) x, y, yaw of `actors`, oldest first; nan: gone


def rows_of(arrays: Arrays) -> BevRows:
    """The named arrays of a buffer as kernels take them; without history there is no past."""
    num_rows, max_actors = arrays["actor_kinds"].shape[:2]
    past = arrays.get("past_actors")
    if past is None:
        past = np.zeros((num_rows, 0, max_actors, 3), np.float32)
    return BevRows(*(arrays[name] for name in BevRows._fields[:-1]), past_actors=past)


def stored_space(sizes: RowSizes) -> spaces.Dict:
    """Space of one driver's compact row."""
    actors, points, lines = sizes.max_actors, sizes.num_route_points, sizes.max_light_lines
    boxes: dict[str, spaces.Space] = {
        "pose": spaces.Box(-np.inf, np.inf, (4,), np.float64),
        "map_index": spaces.Box(0, np.iinfo(np.int32).max, (1,), np.int32),
        "actors": _floats(actors, 6),
        "actor_kinds": _bytes(actors, 2),
        "route": _floats(points, 2),
        "route_flags": _bytes(points),
        "light_lines": _floats(lines, 4),
        "light_values": _bytes(lines, 1 + sizes.num_past),
        "stop_sign": _floats(1 + sizes.num_past, 4),
    }
    if sizes.num_past:
        # Places of actors that did not exist yet are nan, so no bounds hold them
        boxes["past_actors"] = _floats(sizes.num_past, actors, 3)
    return spaces.Dict(boxes | measurement_spaces())


def _floats(*shape: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def _bytes(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def measurement_spaces() -> dict[str, spaces.Space]:
    """The short vectors beside every observation."""
    return {
        "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
        "value_measurements": spaces.Box(-np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32),
    }
