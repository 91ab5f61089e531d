"""MapBanks on disk, and several of them joined into one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_bank import MapBank, MapRanges
from sim_adapters.scene.named_arrays import iterate_arrays

# What each index column counts, so that joining can shift it. CSR columns (`first_*`) are shifted
# by the length of the column they point into and lose their closing entry but for the last map's.
_INDEX_OF = {
    "points.lane": "lane",
    "lanes.junction": "junction",
    "lanes.left": "lane",
    "lanes.right": "lane",
    "lanes.opposite": "lane",
    "links.successor": "lane",
    "links.predecessor": "lane",
    "links.conflict": "lane",
    "links.first_ahead": "lane",
    "rules.signal": "signal",
    "rules.sign": "sign",
    "grid.point": "point",
    "signals.group": "group",
    "stop_lines.lane": "lane",
    "stop_lines.signal": "signal",
    "signs.lane": "lane",
}
_CSR_INTO = {
    "lanes.first_point": "points.x",
    "links.successor_first": "links.successor",
    "links.predecessor_first": "links.predecessor",
    "links.conflict_first": "links.conflict",
    "grid.first_entry": "grid.point",
    "signals.first_stop_line": "stop_lines.lane",
    "limit_posts.first_post": "limit_posts.x",
    "crosswalks.first_corner": "crosswalks.x",
}
# First rows without a closing entry: shifted by the rows (cells, bytes) of the maps before
_START_IN = {"grid.first_cell": "grid.first_entry", "layers.first_byte": "layers.tiles"}

Columns = dict[str, NDArray[Any]]
Built = TypeVar("Built")


def save_columns(columns: Columns, path: Path) -> None:
    """Write as uncompressed .npz."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)


def load_columns(path: Path, build: Callable[[Columns], Built]) -> Built:
    """What `build` makes of the columns that `save_columns` wrote.

    Raises:
        ValueError: the file was damaged after it was written.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return build({name: archive[name] for name in archive.files})
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"cached map {path} is damaged ({error}): delete it, it will be built again"
        ) from error


def filled_tables(kind: type, columns: Columns) -> dict[str, Any]:
    """Every field of a class that is a NamedTuple of columns, of those named FIELD.COLUMN."""
    return {
        table: struct(*(columns[f"{table}.{column}"] for column in struct._fields))
        for table, struct in get_type_hints(kind).items()
        if hasattr(struct, "_fields")
    }


def save_bank(bank: MapBank, path: Path) -> None:
    """Write a bank, without what its `vector` holds."""
    save_columns(_columns(bank), path)


def load_bank(path: Path, town: str) -> MapBank:
    """Read a one-town bank written by `save_bank`, under the name `town`; see `load_columns`."""
    return load_columns(path, partial(_bank, (town,)))


def join_banks(banks: Sequence[MapBank]) -> MapBank:
    """One bank of all maps, in order, every index made global."""
    parts = [_columns(bank) for bank in banks]
    ranges: dict[str, list[int]] = {}
    for field in MapRanges._fields:
        counts = [int(part[f"ranges.{field}"][-1]) for part in parts]
        ranges[field] = [0, *np.cumsum(counts).tolist()]
    joined = {
        name: _join_column(name, parts, ranges)
        for name in parts[0]
        if not name.startswith("ranges.")
    }
    for field, firsts in ranges.items():
        joined[f"ranges.{field}"] = np.array(firsts, np.int32)
    towns = tuple(town for bank in banks for town in bank.towns)
    return _bank(towns, joined)


def _join_column(name: str, parts: list[Columns], ranges: dict[str, list[int]]) -> NDArray[Any]:
    columns = [part[name] for part in parts]
    if name in _INDEX_OF:
        firsts = ranges[_INDEX_OF[name]]
        columns = [
            np.where(column >= 0, column + np.asarray(first, column.dtype), column)
            for column, first in zip(columns, firsts, strict=False)
        ]
    elif name in _CSR_INTO:
        firsts = _starts([len(part[_CSR_INTO[name]]) for part in parts])
        last = len(columns) - 1
        columns = [
            (column if row == last else column[:-1]) + np.asarray(first, column.dtype)
            for row, (column, first) in enumerate(zip(columns, firsts, strict=True))
        ]
    elif name in _START_IN:
        closing = 1 if _START_IN[name] in _CSR_INTO else 0
        firsts = _starts([len(part[_START_IN[name]]) - closing for part in parts])
        columns = [
            column + np.asarray(first, column.dtype)
            for column, first in zip(columns, firsts, strict=True)
        ]
    return np.concatenate(columns)


def _starts(counts: list[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()[:-1]]


def _columns(bank: MapBank) -> Columns:
    return dict(iterate_arrays(replace(bank, vector=None)))


def _bank(towns: tuple[str, ...], columns: Columns) -> MapBank:
    return MapBank(towns=towns, **filled_tables(MapBank, columns))
