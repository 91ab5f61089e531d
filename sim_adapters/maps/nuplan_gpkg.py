"""Turns nuPlan's map files into one MapBank with an exact VectorMap, cached by content."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernel_cache import cache_root, writable_cache
from sim_adapters.maps.bank_file import (
    Columns,
    filled_tables,
    join_banks,
    load_bank,
    load_columns,
    save_bank,
    save_columns,
)
from sim_adapters.maps.nuplan_gpkg_bank import build_bank
from sim_adapters.maps.nuplan_gpkg_layers import read_layers
from sim_adapters.scene.map_areas import VectorMap
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import iterate_arrays
from sim_adapters.source_files import code_digest

# VectorMaps on disk, and several of them joined into one (see `bank_file` for the rest).

_AREA_INDICES = ("edges.area", "edges.roadblock", "edges.intersection", "edges.stop")


def save_vector_map(vector: VectorMap, path: Path) -> None:
    """Write as uncompressed .npz."""
    save_columns(dict(iterate_arrays(vector)), path)


def load_vector_map(path: Path) -> VectorMap:
    """Read what `save_vector_map` wrote; see `load_columns`."""
    return load_columns(path, _vector)


def join_vector_maps(maps: Sequence[VectorMap]) -> VectorMap:
    """One VectorMap of all maps, in order, every index made global."""
    parts = [dict(iterate_arrays(vector)) for vector in maps]
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


def _vector(columns: Columns) -> VectorMap:
    ranges: dict[str, Any] = {name: columns[name] for name in ("first_area", "first_edge")}
    return VectorMap(**filled_tables(VectorMap, columns), **ranges)


MAP_VERSION = "nuplan-maps-v1.0"
_BANK_FILE, _VECTOR_FILE = "bank.npz", "vector.npz"


def load_nuplan_maps(
    map_root: str | Path,
    locations: Sequence[str],
    *,
    pixels_per_meter: float = 2.0,
    map_version: str = MAP_VERSION,
) -> MapBank:
    """One MapBank of all `locations`, in the order given, with `vector` filled.

    Coordinates are the logs': metres of the location's UTM zone. A map is read once and kept below
    `cache_root()/maps`, named by a hash of its file and of the code that reads it.

    Args:
        map_root: Folder with `<map_version>.json` and `<location>/<version>/map.gpkg`.
        locations: As logs name them, e.g. "us-nv-las-vegas-strip"; none twice.
        pixels_per_meter: Of the (empty) picture layers.
        map_version: Name of the version file.

    Raises:
        FileNotFoundError: no version file, or no map of the version that it names.
        ValueError: a location that the version file lacks, or a map that cannot be used.
    """
    if not locations or len(set(locations)) != len(locations):
        raise ValueError(
            f"locations must name at least one map and none twice, got {list(locations)}"
        )
    if not pixels_per_meter > 0.0:
        raise ValueError(f"pixels_per_meter must be positive, got {pixels_per_meter}")
    paths = [find_map_file(map_root, location, map_version) for location in locations]
    loaded = [
        _cached_map(path, location, pixels_per_meter)
        for path, location in zip(paths, locations, strict=True)
    ]
    joined = join_banks([bank for bank, _ in loaded])
    return replace(joined, vector=join_vector_maps([vector for _, vector in loaded]))


def find_map_file(map_root: str | Path, location: str, map_version: str = MAP_VERSION) -> Path:
    """The location's `map.gpkg` of the version that the version file names.

    Raises:
        FileNotFoundError: no version file, or no map of that version.
        ValueError: the version file is damaged or lacks the location.
    """
    versions = _read_versions(map_root, map_version)
    if location not in versions:
        raise ValueError(
            f"map {location!r} is not in {map_version}.json of {map_root} "
            f"(which has {', '.join(sorted(versions))})"
        )
    folder = Path(map_root) / location
    path = folder / versions[location] / "map.gpkg"
    if not path.is_file():
        others = sorted(found.parent.name for found in folder.glob("*/map.gpkg"))
        found = f"{folder} holds version {', '.join(others)}" if others else f"no map in {folder}"
        raise FileNotFoundError(
            f"{map_version}.json asks for version {versions[location]} of {location}, but {found}: "
            f"maps and version file must come from the same download"
        )
    return path


def map_locations(map_root: str | Path, map_version: str = MAP_VERSION) -> tuple[str, ...]:
    """Locations that the version file names, sorted.

    Raises:
        FileNotFoundError: no version file.
        ValueError: the version file is damaged.
    """
    return tuple(sorted(_read_versions(map_root, map_version)))


def _read_versions(map_root: str | Path, map_version: str) -> dict[str, str]:
    path = Path(map_root) / f"{map_version}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: map_root must be the folder that holds {path.name} "
            f"and one folder a location"
        )
    try:
        return {name: str(entry["version"]) for name, entry in json.loads(path.read_text()).items()}
    except (json.JSONDecodeError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is no version file: expected "
            f'{{"LOCATION": {{"version": "9.17.1964", ...}}, ...}}'
        ) from error


def _cached_map(path: Path, location: str, pixels_per_meter: float) -> tuple[MapBank, VectorMap]:
    """The map's tables, built now if they are not in the cache yet."""
    code = code_digest(__file__, frozenset({"sim_adapters"}))
    recipe = f"nuplan, {pixels_per_meter!r} px/m, {code}"
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "blake2b").hexdigest()
    digest = hashlib.sha256(f"{recipe}\0{content}".encode()).hexdigest()[:20]
    folder = cache_root() / "maps" / f"{location}-{digest}"
    if not folder.is_dir():
        folder = writable_cache("maps") / folder.name
    if not folder.is_dir():
        bank = build_bank(read_layers(path), location, pixels_per_meter=pixels_per_meter)
        # Each process writes a folder of its own and renames it: readers never see half a map
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as scratch:
            built = Path(scratch) / "map"
            built.mkdir()
            assert bank.vector is not None
            save_bank(bank, built / _BANK_FILE)
            save_vector_map(bank.vector, built / _VECTOR_FILE)
            try:
                built.rename(folder)
            except OSError:
                if not folder.is_dir():  # unless another process was first
                    raise
    return load_bank(folder / _BANK_FILE, location), load_vector_map(folder / _VECTOR_FILE)
