"""Painters as tables of numbers, which one kernel draws on the CPU and one on a GPU.

See `painting.paint_shape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ACTORS, ROUTE_DISCS, ROUTE_LINE, LIGHT_LINES, STOP_SIGN, LIMIT_SIGNS = range(6)
_NUM_WHOLE, _NUM_REAL = 5, 2  # numbers of a shape


class Shape(NamedTuple):
    """What a painter draws, as numbers."""

    kind: int  # ACTORS and the like
    whole: tuple[int, ...] = ()
    real: tuple[float, ...] = ()
    disc: NDArray[np.int64] | None = None  # its first row and the one after its last end `whole`


class PlacedPainter(NamedTuple):
    """A painter and where it paints."""

    plane: int  # of the picture
    name: str  # of the channel
    is_first: bool  # on its plane, which it clears
    painter: Any  # with a `shape`, or with a `paint` of its own: see `channels.Painter`

    @property
    def shape(self) -> Shape | None:
        """What our kernels draw; None for a painter that draws by itself."""
        return None if hasattr(self.painter, "paint") else self.painter.shape


class ShapeTable(NamedTuple):
    """P shapes in K channels, those of a channel in the order in which they are drawn."""

    channel: NDArray[np.int32]  # (K,) plane of the picture
    is_fresh: NDArray[np.bool_]  # (K,) the plane is to be cleared first
    first_shape: NDArray[np.int32]  # (K + 1,)
    kind: NDArray[np.int32]  # (P,) ACTORS and the like
    whole: NDArray[np.int64]  # (P, 5) of `Shape`
    real: NDArray[np.float64]  # (P, 2)
    discs: NDArray[np.int64]  # (rows of all discs, 2), see `raster.polygon_disc`


def shape_table(painters: Sequence[PlacedPainter]) -> ShapeTable:
    """Painters, in the order in which they draw, as numbers.

    Raises:
        ValueError: a painter draws by itself.
    """
    planes = list(dict.fromkeys(one.plane for one in painters))
    ordered = [one for plane in planes for one in painters if one.plane == plane]
    counts = [sum(one.plane == plane for one in painters) for plane in planes]
    number = len(ordered)
    table = ShapeTable(
        np.array(planes, np.int32),
        np.array([any(one.is_first for one in painters if one.plane == p) for p in planes], bool),
        np.cumsum([0, *counts]).astype(np.int32),
        np.zeros(number, np.int32),
        np.zeros((number, _NUM_WHOLE), np.int64),
        np.zeros((number, _NUM_REAL)),
        np.zeros((0, 2), np.int64),
    )
    discs = table.discs
    for index, one in enumerate(ordered):
        shape = one.shape
        if shape is None:
            raise ValueError(
                f"observation.channels.{one.name}: {type(one.painter).__name__} is CPU only, no "
                "CUDA kernel draws it: use ppo.paint_on=cpu"
            )
        whole = list(shape.whole)
        if shape.disc is not None:
            whole += [len(discs), len(discs) + len(shape.disc)]
            discs = np.concatenate([discs, shape.disc])
        table.kind[index] = shape.kind
        table.whole[index, : len(whole)] = whole
        table.real[index, : len(shape.real)] = shape.real
    return table._replace(discs=discs)
