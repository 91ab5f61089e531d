"""Channels of the raster: each is a painter, or a list of painters, chosen by `_target_` in YAML.

None of them draws: `MapLayer` and `Markings` say what they want of the map, which the observer
reads once for all of them, the others which `Shape` a kernel draws for them. A painter of your own
draws one plane of many frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sim_adapters.observation.bev_rows import BevRows
from sim_adapters.observation.raster import Brush, polygon_disc
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit
from sim_adapters.scene.state import ActorKind

Frames = NDArray[np.uint8]  # (N, C, H, W)
ACTORS, ROUTE_DISCS, ROUTE_LINE, LIGHT_LINES, STOP_SIGN, LIMIT_SIGNS = range(6)
_NUM_WHOLE, _NUM_REAL = 5, 2  # numbers of a shape


class Shape(NamedTuple):
    """What a painter draws, as numbers."""

    kind: int  # ACTORS and the like
    whole: tuple[int, ...] = ()
    real: tuple[float, ...] = ()
    disc: NDArray[np.int64] | None = None  # its first row and the one after its last end `whole`


class Painter(Protocol):
    """One of your own, by import path: draws one channel of frames from rows."""

    def paint(
        self,
        view: BevView,
        rows: BevRows,
        maps: MapBank,
        frames: Frames,
        channel: int,
        fresh: bool,
        brush: Brush,
    ) -> None:
        """Draw plane `channel` of every frame; clear it first if `fresh`."""
        ...


class ShapePainter(Protocol):
    """Leaves the drawing to `painting.paint_shape`."""

    @property
    def shape(self) -> Shape:
        """What to draw."""
        ...


def _member(kinds: type[IntEnum], name: str, option: str) -> IntEnum:
    """The member that a configuration names.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in kinds.__members__:
        raise ValueError(
            f"a channel has {option}=[{name}], expected one of {', '.join(kinds.__members__)}"
        )
    return kinds[name]


class MapLayer:
    """Pixels of a map layer as the warp gives them, 0 to 255.

    Args:
        layers: Names of `LayerBit`; a pixel counts if it is in any of them.
    """

    def __init__(self, *, layers: Sequence[str]) -> None:
        mask = 0
        for name in layers:
            mask |= int(_member(LayerBit, name, "layers"))
        self.warped: tuple[tuple[int, int], ...] = ((mask, 0),)


class Markings:
    """Lane markings: `value` wherever any shows, `broken_value` where a white broken one does."""

    def __init__(self, *, value: int, broken_value: int) -> None:
        self.warped: tuple[tuple[int, int], ...] = (
            (int(LayerBit.MARKING), value),
            (int(LayerBit.MARKING_BROKEN), broken_value),
        )


class Actors:
    """Boxes of some kinds of actors.

    Args:
        kinds: Names of `ActorKind`.
        value: Gray value, or None for the speed code.
        extent_scale: Factor on half extents.
        min_half_extent_m: Smallest half extent, after the factor [m].
        speed_lines: Draw a line as long as one second of driving ahead of each box.
        overlays: Draw doors, blinkers, brake and emergency lights on top.
        snapshot: 0 is the present, k is the k-th of the observer's `history_steps` (1 the oldest).
    """

    def __init__(
        self,
        *,
        kinds: Sequence[str],
        value: int | None,
        extent_scale: float = 1.0,
        min_half_extent_m: float = 0.8,
        speed_lines: bool = False,
        overlays: bool = False,
        snapshot: int = 0,
    ) -> None:
        mask = 0
        for kind in kinds:
            mask |= 1 << int(_member(ActorKind, kind, "kinds"))
        self.snapshot = snapshot
        gray = 0 if value is None else value  # 0: speed code
        whole = (mask, gray, int(speed_lines), int(overlays), snapshot)
        self.shape = Shape(ACTORS, whole, (extent_scale, min_half_extent_m))


class RouteDiscs:
    """A disc at each of the next route points.

    Args:
        num_points: How many points ahead.
        radius_px: Radius [px].
        only_in_junctions: Leave the choice of lane free outside of junctions, as CaRL.
    """

    def __init__(self, *, num_points: int, radius_px: int, only_in_junctions: bool) -> None:
        self.num_points = num_points
        whole = (num_points, int(only_in_junctions))
        self.shape = Shape(ROUTE_DISCS, whole, disc=polygon_disc(radius_px))


class RouteLine:
    """The next route points as a thick line.

    Args:
        num_points: How many points ahead.
        width_px: Thickness in OpenCV's sense [px].
    """

    def __init__(self, *, num_points: int, width_px: int) -> None:
        self.num_points = num_points
        self.shape = Shape(ROUTE_LINE, (num_points, width_px))


class LightLines:
    """Stop lines of the gathered traffic lights in the colour of their state.

    Args:
        width_px: Thickness in OpenCV's sense [px].
        snapshot: As in `Actors`.
    """

    def __init__(self, *, width_px: int, snapshot: int = 0) -> None:
        self.snapshot = snapshot
        self.shape = Shape(LIGHT_LINES, (width_px, snapshot))


class StopSign:
    """The square of the stop sign in force, until the ego has stopped at it.

    Args:
        snapshot: As in `Actors`; the past shows the sign that was in force then, if any.
    """

    def __init__(self, *, snapshot: int = 0) -> None:
        self.snapshot = snapshot
        self.shape = Shape(STOP_SIGN, (snapshot,))


class SpeedLimitSigns:
    """A box at every speed-limit sign, where it stands; its value is the speed code of the limit.

    Args:
        half_extent_m: Half side of the box [m].
    """

    def __init__(self, *, half_extent_m: float) -> None:
        self.shape = Shape(LIMIT_SIGNS, (), (half_extent_m,))


# Painters as tables of numbers, which one kernel draws on the CPU and one on a GPU: see
# `painting.paint_shape`.


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
