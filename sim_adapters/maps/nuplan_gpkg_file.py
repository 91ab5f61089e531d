"""VectorMaps on disk, and several of them joined into one (see `bank_file` for the rest)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_areas import AreaGrid, MapAreas, Polylines, RoadEdges, VectorMap

_TABLES: dict[str, Any] = {  # NamedTuple classes
    "areas": MapAreas,
    "area_grid": AreaGrid,
    "edges": RoadEdges,
    "baselines": Polylines,
    "left_boundaries": Polylines,
    "right_boundaries": Polylines,
}
_RANGES = ("first_area", "first_edge")
_AREA_INDICES = ("edges.area", "edges.roadblock", "edges.intersection", "edges.stop")

Columns = dict[str, NDArray[Any]]


def save_vector_map(vector: VectorMap, path: Path) -> None:
    """Write as uncompressed .npz."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **_columns(vector))


def load_vector_map(path: Path) -> VectorMap:
    """Read what `save_vector_map` wrote.

    Raises:
        ValueError: the file was damaged after it was written.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _vector({name: archive[name] for name in archive.files})
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"cached map {path} is damaged ({error}): delete it, it will be built again"
        ) from error


def join_vector_maps(maps: Sequence[VectorMap]) -> VectorMap:
    """One VectorMap of all maps, in order, every index made global."""
    parts = [_columns(vector) for vector in maps]
    return _vector({name: _join(name, parts) for name in parts[0]})


def _join(name: str, parts: list[Columns]) -> NDArray[Any]:
    columns = [part[name] for part in parts]
    target = _counted_by(name)
    if target is None:
        return np.concatenate(columns)
    closes = target.endswith("first_corner")  # a CSR column itself, with one entry too many
    counts = [len(part[target]) - closes for part in parts]
    shifts = [0, *np.cumsum(counts).tolist()[:-1]]
    if name in _AREA_INDICES or name == "area_grid.area":
        shifted = [np.where(c >= 0, c + shift, c) for c, shift in zip(columns, shifts, strict=True)]
    elif name == "area_grid.first_cell":
        cells = [len(part[target]) - 1 for part in parts]
        shifts = [0, *np.cumsum(cells).tolist()[:-1]]
        shifted = [c + shift for c, shift in zip(columns, shifts, strict=True)]
    else:  # CSR: only the last keeps its closing entry
        last = len(columns) - 1
        shifted = [
            (c if row == last else c[:-1]) + shift
            for row, (c, shift) in enumerate(zip(columns, shifts, strict=True))
        ]
    return np.concatenate(shifted).astype(columns[0].dtype)


def _counted_by(name: str) -> str | None:
    """Column whose rows an index or CSR column counts, None for plain values."""
    if name in _AREA_INDICES or name in ("area_grid.area", "first_area"):
        return "areas.fid"
    if name.endswith(".first_point"):
        return f"{name.removesuffix('first_point')}x"
    return {
        "first_edge": "edges.fid",
        "areas.first_ring": "areas.first_corner",
        "areas.first_corner": "areas.x",
        "area_grid.first_cell": "area_grid.first_entry",
        "area_grid.first_entry": "area_grid.area",
        "edges.first_stop": "edges.stop",
    }.get(name)


def _columns(vector: VectorMap) -> Columns:
    tables = {
        f"{table}.{field}": getattr(getattr(vector, table), field)
        for table, struct in _TABLES.items()
        for field in struct._fields
    }
    return tables | {name: getattr(vector, name) for name in _RANGES}


def _vector(columns: Columns) -> VectorMap:
    tables: dict[str, Any] = {
        table: struct(*(columns[f"{table}.{field}"] for field in struct._fields))
        for table, struct in _TABLES.items()
    }
    ranges: dict[str, Any] = {name: columns[name] for name in _RANGES}
    return VectorMap(**tables, **ranges)
