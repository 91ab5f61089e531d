"""Packing: columns of numbers, and pictures, in one small file that Python and a browser read.

A column is rounded to a step, its rows are coded as first or second differences (a second
difference of a position is an acceleration, so nearly always near zero), and the bytes of equal
weight lie together before deflate sees them:

    magic (8 bytes) | zlib of: header length (uint32), header (JSON), blocks in the header's order

A block of width w holds byte 0 of all its values, then byte 1 ... up to w - 1; values are zigzag
coded (0, -1, 1, -2 -> 0, 1, 2, 3). `evaluation/viewer/page/packing.js` is the reader of the page.
Rounding comes before the differences, so errors do not add up: a value is off by half a step.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, Int64Array
from sim_adapters.observation.bev import BevObserver

MAGIC = b"CARLEP01"
MOST_UNPACKED_BYTES = 1 << 30  # a longer file is damaged, or made to fill the memory
_LENGTH = struct.Struct("<I")
_MOST_STEPS = 2**31 - 1


@dataclass(frozen=True)
class Column:
    """Rows of numbers, one after the other.

    Args:
        values: All rows, (N,).
        step: Values are rounded to multiples of it.
        order: How many times differences are taken along a row: 0, 1 or 2.
        rows: Length of each row; one row if not given.
    """

    values: NDArray[Any]
    step: float = 1.0
    order: int = 0
    rows: Int64Array | None = None

    @property
    def row_lengths(self) -> Int64Array:
        """Length of each row."""
        if self.rows is None:
            return np.array([len(self.values)])
        return np.asarray(self.rows, np.int64)


def table(values: NDArray[Any], step: float = 1.0, order: int = 1) -> Column:
    """Column of a (R, N) array: R rows of N numbers."""
    rows = np.full(values.shape[0], values.shape[1])
    return Column(values.reshape(-1), step, order, rows)


def pack(about: Mapping[str, Any], columns: Mapping[str, Column], *, level: int = 6) -> bytes:
    """One file of columns and a JSON document.

    Args:
        about: JSON values; kept as it is.
        columns: By name.
        level: Of zlib.

    Raises:
        ValueError: a column holds what no 32-bit number of its steps can be (NaN, infinity).
    """
    blocks, heads = [], []
    for name, column in columns.items():
        block, width = _encode(name, column)
        rows = None if column.rows is None else column.row_lengths.tolist()
        head = {"name": name, "count": len(column.values), "step": column.step}
        heads.append({**head, "order": column.order, "width": width, "rows": _run_lengths(rows)})
        blocks.append(block)
    header = json.dumps({"about": about, "columns": heads}, allow_nan=False).encode()
    return MAGIC + zlib.compress(b"".join([_LENGTH.pack(len(header)), header, *blocks]), level)


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """The document and all columns of a file, as float64.

    Raises:
        ValueError: it is no such file, or a damaged one.
    """
    try:
        header, blocks = _open(content)
        columns, at = {}, 0
        for head in header["columns"]:
            size = int(head["count"]) * int(head["width"])
            if min(size, head["width"]) < 0 or at + size > len(blocks):
                raise ValueError(f"the file ends within column {head['name']!r}")
            columns[str(head["name"])] = _decode(blocks[at : at + size], head)
            at += size
        return dict(header["about"]), columns
    except (KeyError, TypeError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"no recorded episode, or a damaged one: {error}") from error


def read_about(content: bytes) -> dict[str, Any]:
    """The document alone, without reading the columns.

    Raises:
        ValueError: it is no such file, or a damaged one.
    """
    try:
        _check_magic(content)
        inflater = zlib.decompressobj()
        start = inflater.decompress(content[len(MAGIC) :], _LENGTH.size)
        (length,) = _LENGTH.unpack(start)
        header = inflater.decompress(inflater.unconsumed_tail, length)
        return dict(json.loads(header)["about"])
    except (KeyError, TypeError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"no recorded episode, or a damaged one: {error}") from error


def _open(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and all blocks."""
    _check_magic(content)
    inflater = zlib.decompressobj()
    raw = inflater.decompress(content[len(MAGIC) :], MOST_UNPACKED_BYTES)
    if not inflater.eof:
        raise ValueError(f"it is cut short, or holds more than {MOST_UNPACKED_BYTES} bytes")
    (length,) = _LENGTH.unpack_from(raw)
    start = _LENGTH.size + length
    return json.loads(raw[_LENGTH.size : start]), raw[start:]


def _check_magic(content: bytes) -> None:
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError(f"it begins with {content[: len(MAGIC)]!r}, expected {MAGIC!r}")


def _encode(name: str, column: Column) -> tuple[bytes, int]:
    """Bytes of a column, and how many a value takes."""
    steps = np.rint(np.asarray(column.values, np.float64) / column.step)
    if not np.all(np.abs(steps) <= _MOST_STEPS):
        raise ValueError(f"column {name!r} holds values that are not finite or beyond 32 bits")
    coded = _difference(steps.astype(np.int64), column.row_lengths, column.order)
    zigzag = ((coded << 1) ^ (coded >> 63)).astype("<u8")
    width = max(1, (int(zigzag.max(initial=0)).bit_length() + 7) // 8)
    planes = zigzag.view(np.uint8).reshape(-1, 8)[:, :width]
    return np.ascontiguousarray(planes.T).tobytes(), width


def _decode(block: bytes, head: Mapping[str, Any]) -> FloatArray:
    count, width = int(head["count"]), int(head["width"])
    planes = np.zeros((count, 8), np.uint8)
    planes[:, :width] = np.frombuffer(block, np.uint8).reshape(width, count).T
    zigzag = planes.reshape(-1).view("<u8")
    coded = (zigzag >> 1).astype(np.int64) ^ -(zigzag & 1).astype(np.int64)
    rows = np.array([count]) if head["rows"] is None else _repeat_runs(head["rows"])
    if int(rows.sum()) != count or (rows < 0).any():
        raise ValueError(f"rows of column {head['name']!r} do not add up to its {count} values")
    return _summed(coded, rows, int(head["order"])).astype(np.float64) * float(head["step"])


def _difference(values: Int64Array, rows: Int64Array, order: int) -> Int64Array:
    """Differences within rows; the first value of a row stays, its second difference is a first."""
    starts = (np.cumsum(rows) - rows)[rows > 0]
    coded = values
    for turn in range(order):
        previous = np.concatenate([[0], coded[:-1]])
        kept = starts if turn == 0 else _within(starts, rows[rows > 0], turn)
        previous[kept] = 0
        coded = coded - previous if len(coded) else coded
    return coded


def _summed(coded: Int64Array, rows: Int64Array, order: int) -> Int64Array:
    """Undoes `_difference`."""
    filled = rows[rows > 0]
    starts = np.cumsum(filled) - filled
    values = coded
    for turn in reversed(range(order)):
        kept = starts if turn == 0 else _within(starts, filled, turn)
        values = _segment_sums(values, kept)
    return values


def _segment_sums(values: Int64Array, kept: Int64Array) -> Int64Array:
    """Cumulative sums that begin anew at the places `kept`."""
    if not len(values):
        return values
    total = np.cumsum(values)
    base = np.zeros(len(values), np.int64)
    base[kept] = total[kept] - values[kept]
    places = np.zeros(len(values), np.int64)
    places[kept] = kept
    return total - base[np.maximum.accumulate(places)]


def _within(starts: Int64Array, rows: Int64Array, turn: int) -> Int64Array:
    """Starts of the rows and the `turn` places behind each, as far as the row reaches."""
    places = [starts + shift for shift in range(turn + 1)]
    valid = [rows > shift for shift in range(turn + 1)]
    return np.unique(np.concatenate([p[v] for p, v in zip(places, valid, strict=True)]))


def _run_lengths(rows: list[int] | None) -> list[list[int]] | None:
    """[length, how many rows of it] ..., since most columns have rows of one length."""
    if rows is None:
        return None
    runs: list[list[int]] = []
    for row in rows:
        if runs and runs[-1][0] == row:
            runs[-1][1] += 1
        else:
            runs.append([row, 1])
    return runs


def _repeat_runs(runs: list[list[int]]) -> Int64Array:
    lengths, counts = np.array(runs, np.int64).reshape(-1, 2).T
    if (counts < 0).any() or counts.sum() > MOST_UNPACKED_BYTES:
        raise ValueError("a column has an impossible number of rows")
    return np.repeat(lengths, counts)


# What a raster policy was shown, a frame a second, each deflated by itself.
#
# Large rasters are pooled to at most KEPT_PX pixels a side; a pixel keeps the highest value, so
# that thin lines stay.

PERIOD_S = 1.0  # between two frames
KEPT_PX = 128
_BYTE_OFFSET = 128  # a byte less this is one byte of a column, too


@dataclass(frozen=True)
class RasterFrames:
    """Frames of one drive.

    Args:
        view: JSON values: `channels` (names), `size_px`, `pixels_per_meter`, `ego_px_from_bottom`.
        steps: In which each frame was shown, ascending, (F,).
        frames: (C, H, W) bytes each, deflated.
    """

    view: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    frames: tuple[bytes, ...] = ()

    def frame(self, index: int) -> NDArray[np.uint8]:
        """One frame, (C, H, W)."""
        size = int(self.view["size_px"])
        flat = np.frombuffer(zlib.decompress(self.frames[index]), np.uint8)
        return flat.reshape(len(self.view["channels"]), size, size)

    def columns(self) -> dict[str, Column]:
        """What goes into the file of an episode; nothing without a frame."""
        if not self.frames:
            return {}
        sizes = np.array([len(frame) for frame in self.frames])
        content = np.frombuffer(b"".join(self.frames), np.uint8).astype(np.int64) - _BYTE_OFFSET
        return {
            "raster.step": Column(np.array(self.steps), order=1),
            "raster.size": Column(sizes),
            "raster.bytes": Column(content),
        }


NO_RASTER = RasterFrames()


def raster_of(view: Mapping[str, Any], columns: Mapping[str, NDArray[np.float64]]) -> RasterFrames:
    """The frames that `RasterFrames.columns` gave."""
    if not view:
        return NO_RASTER
    steps, sizes = (np.rint(columns[f"raster.{name}"]).astype(int) for name in ("step", "size"))
    content = (np.rint(columns["raster.bytes"]) + _BYTE_OFFSET).astype(np.uint8).tobytes()
    ends = np.cumsum(sizes)
    frames = tuple(content[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return RasterFrames(view, tuple(steps.tolist()), frames)


def raster_view(observer: BevObserver) -> dict[str, Any]:
    """`RasterFrames.view` of what is kept of an observer's rasters."""
    pool = pool_factor(observer.view.size_px)
    return {
        "channels": list(observer.channel_names),
        "size_px": observer.view.size_px // pool,
        "pixels_per_meter": observer.view.pixels_per_meter / pool,
        "ego_px_from_bottom": observer.view.ego_px_from_bottom / pool,
    }


def deflate_frame(raster: NDArray[np.uint8]) -> bytes:
    """One frame (C, H, W), pooled and deflated."""
    pool = pool_factor(raster.shape[1])
    size = raster.shape[1] // pool
    cut = raster[:, : size * pool, : size * pool].reshape(-1, size, pool, size, pool)
    return zlib.compress(cut.max(axis=(2, 4)).tobytes(), 9)


def pool_factor(size_px: int) -> int:
    """Pixels a side that are pooled to one of those that are kept."""
    return -(-size_px // KEPT_PX)
