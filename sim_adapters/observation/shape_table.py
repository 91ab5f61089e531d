"""Painters as tables of numbers, which one CUDA kernel draws: `bev_grids.paint_shapes_grid`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.observation import channels

ACTORS, ROUTE_DISCS, ROUTE_LINE, LIGHT_LINES, STOP_SIGN, LIMIT_SIGNS = range(6)
_NUM_WHOLE, _NUM_REAL = 5, 2  # numbers of a shape

NamedPainter = tuple[int, str, Any]  # plane of the picture, the channel's name, a painter


class ShapeTable(NamedTuple):
    """P shapes in K channels, those of a channel in the order in which they are drawn."""

    channel: NDArray[np.int32]  # (K,) plane of the picture
    first_shape: NDArray[np.int32]  # (K + 1,)
    kind: NDArray[np.int32]  # (P,) ACTORS and the like
    whole: NDArray[np.int64]  # (P, 5) what `_shape_of` lists
    real: NDArray[np.float64]  # (P, 2)
    discs: NDArray[np.int64]  # (rows of all discs, 2), see `raster.polygon_disc`


class _Shape(NamedTuple):
    """A painter as numbers."""

    kind: int
    whole: tuple[int, ...] = ()
    real: tuple[float, ...] = ()
    disc: NDArray[np.int64] | None = None  # its first row and the one after its last end `whole`


def _shape_of(painter: Any) -> _Shape | None:
    """A painter as numbers; None for any other, subclasses included, which may draw otherwise."""
    if type(painter) is channels.Actors:
        style = painter.style
        whole = (style.kinds, style.value, style.speed_lines, style.overlays, style.snapshot)
        return _Shape(ACTORS, whole, (style.extent_scale, style.min_half_extent_m))
    if type(painter) is channels.RouteDiscs:
        whole = (painter.num_points, painter.only_in_junctions)
        return _Shape(ROUTE_DISCS, whole, disc=painter.disc)
    if type(painter) is channels.RouteLine:
        return _Shape(ROUTE_LINE, (painter.num_points, painter.width_px))
    if type(painter) is channels.LightLines:
        return _Shape(LIGHT_LINES, (painter.width_px, painter.snapshot))
    if type(painter) is channels.StopSign:
        return _Shape(STOP_SIGN, (painter.snapshot,))
    if type(painter) is channels.SpeedLimitSigns:
        return _Shape(LIMIT_SIGNS, (), (painter.half_extent_m,))
    return None


def shape_table(painters: Sequence[NamedPainter]) -> ShapeTable:
    """Painters, in the order in which they draw, as numbers.

    Raises:
        ValueError: a painter is none of `channels`.
    """
    planes = list(dict.fromkeys(plane for plane, _, _ in painters))
    ordered = [entry for plane in planes for entry in painters if entry[0] == plane]
    counts = [sum(entry[0] == plane for entry in painters) for plane in planes]
    number = len(ordered)
    table = ShapeTable(
        np.array(planes, np.int32),
        np.cumsum([0, *counts]).astype(np.int32),
        np.zeros(number, np.int32),
        np.zeros((number, _NUM_WHOLE), np.int64),
        np.zeros((number, _NUM_REAL)),
        np.zeros((0, 2), np.int64),
    )
    discs = table.discs
    for index, (_, name, painter) in enumerate(ordered):
        shape = _shape_of(painter)
        if shape is None:
            raise ValueError(
                f"observation.channels.{name}: {type(painter).__name__} is CPU only, no CUDA "
                "kernel draws it: use ppo.paint_on=cpu"
            )
        whole = list(shape.whole)
        if shape.disc is not None:
            whole += [len(discs), len(discs) + len(shape.disc)]
            discs = np.concatenate([discs, shape.disc])
        table.kind[index] = shape.kind
        table.whole[index, : len(whole)] = whole
        table.real[index, : len(shape.real)] = shape.real
    return table._replace(discs=discs)
