"""A town's picture for the page: areas, markings, stop lines and signs, packed as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.recording.folder import EpisodeFolder, town_file
from evaluation.recording.packing import Column, pack
from sim_adapters.atomic_file import write_atomically
from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.map_picture import MapPicture

FloatArray = NDArray[np.float64]

POINT_STEP_M = 0.05
AREAS = ("sidewalk", "shoulder", "parking", "road", "crosswalk")  # in the order of painting
LINES = ("marking", "centre")
LAYER_OF = {
    style.SIDEWALK: "sidewalk",
    style.SHOULDER: "shoulder",
    style.PARKING: "parking",
    style.ROAD: "road",
    style.CROSSWALK: "crosswalk",
    style.MARKING: "marking",
    style.CENTRE_MARKING: "centre",
}


def write_towns(folder: EpisodeFolder, maps: MapBank, towns: Sequence[str]) -> None:
    """Write the pictures of these towns beside the drives through them."""
    for town in towns:
        write_atomically(folder.path / town_file({"town": town}), pack_town(maps, town))


def pack_town(maps: MapBank, town: str) -> bytes:
    """The picture of a town of CARLA's, for the page.

    Args:
        maps: Holds the town.
        town: Its name.
    """
    map_index = maps.map_index(town)
    layers: dict[str, list[FloatArray]] = {name: [] for name in (*AREAS, *LINES)}
    for shape in MapPicture(maps, map_index).shapes:
        layers[LAYER_OF[shape.colour]].append(shape.points)
    signs, lines = _stop_signs(maps, map_index), _stop_lines(maps, map_index)
    return pack_layers(town, layers, stop_lines=lines, stop_signs=signs)


def pack_layers(
    town: str,
    layers: Mapping[str, Sequence[FloatArray]],
    *,
    stop_lines: FloatArray,
    stop_signs: FloatArray,
) -> bytes:
    """A picture from its parts.

    Args:
        town: Name.
        layers: Polygons of AREAS and lines of LINES, each (N, 2) [m].
        stop_lines: (K, 5): two ends [m] and the index of the light within the town.
        stop_signs: (S, 3): place [m] and direction [rad].
    """
    columns = {}
    for name in (*AREAS, *LINES):
        shapes = [shape for shape in layers.get(name, ()) if len(shape)]
        rows = np.array([len(shape) for shape in shapes], np.int64)
        points = np.concatenate(shapes) if shapes else np.zeros((0, 2))
        columns[f"{name}.count"] = Column(rows)
        columns[f"{name}.x"] = Column(points[:, 0], POINT_STEP_M, 1, rows)
        columns[f"{name}.y"] = Column(points[:, 1], POINT_STEP_M, 1, rows)
    for column, name in enumerate(("x0", "y0", "x1", "y1", "light")):
        columns[f"stop_line.{name}"] = Column(stop_lines[:, column], POINT_STEP_M)
    for column, name in enumerate(("x", "y", "yaw_rad")):
        columns[f"stop_sign.{name}"] = Column(stop_signs[:, column], POINT_STEP_M)
    return pack({"town": town}, columns)


def _stop_lines(maps: MapBank, map_index: int) -> FloatArray:
    lines, signals = maps.stop_lines, maps.signals
    first, last = maps.ranges.signal[map_index : map_index + 2]
    rows = np.arange(int(signals.first_stop_line[first]), int(signals.first_stop_line[last]))
    half, yaw = 0.45 * lines.lane_width_m[rows], lines.yaw_rad[rows]
    left_x, left_y = -np.sin(yaw) * half, np.cos(yaw) * half
    x, y, light = lines.x[rows], lines.y[rows], lines.signal[rows] - first
    return np.stack([x + left_x, y + left_y, x - left_x, y - left_y, light], axis=1)


def _stop_signs(maps: MapBank, map_index: int) -> FloatArray:
    signs = maps.signs
    first, last = maps.ranges.sign[map_index : map_index + 2]
    rows = np.arange(int(first), int(last))
    rows = rows[signs.kind[rows] == SignKind.STOP]
    return np.stack([signs.x[rows], signs.y[rows], signs.yaw_rad[rows]], axis=1)
