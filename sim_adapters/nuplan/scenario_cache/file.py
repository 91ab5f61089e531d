"""ScenarioCache: the scenarios of a cache folder, found by their tokens."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sim_adapters.atomic_file import write_atomically
from sim_adapters.maps.nuplan_gpkg import MAP_VERSION
from sim_adapters.nuplan.scenario_cache.record import (
    RECORD_VERSION,
    SHARD_SUFFIX,
    ScenarioName,
    ShardEntry,
    ShardHeader,
    unpack_scenario,
)
from sim_adapters.nuplan.scenario_log import ScenarioLog

INDEX_FILE = "index.json"
REPORT_FILE = "report.json"
SHARD_FOLDER = "logs"
_FORMAT = "carl-planner nuPlan scenarios"


@dataclass(frozen=True)
class CacheEntry(ShardEntry):
    """What a shard says of a scenario, and where its record lies."""

    log_name: str
    first_record_byte: int  # where records begin in the log's shard

    @property
    def first_byte(self) -> int:
        """Of its record in the log's shard."""
        return self.first_record_byte + self.offset

    @property
    def name(self) -> ScenarioName:
        """Its names, as its record is unpacked with."""
        return ScenarioName(self.token, self.scenario_type, self.log_name, self.map_name)


@dataclass(frozen=True)
class CacheSize:
    """The most of everything in any scenario of a cache: what a simulator must hold."""

    num_frames: int
    num_route: int
    num_replayed: int
    num_reactive: int


@dataclass(frozen=True)
class MapFolder:
    """Where maps lie, and the name of their version file."""

    root: Path
    version: str = MAP_VERSION


class ScenarioCache:
    """Scenarios made by `python -m sim_adapters.nuplan.cache`; reading is thread-safe.

    Args:
        folder: The cache.
        entries: By token.
        maps: What it was made with; None where that was not noted.
        filter_name: Name of the filter that it was made with, "" if it was none's.
    """

    def __init__(
        self,
        folder: Path,
        entries: Mapping[str, CacheEntry],
        maps: MapFolder | None = None,
        filter_name: str = "",
    ) -> None:
        self.folder = folder
        self.maps, self.filter_name = maps, filter_name
        self.entries = dict(sorted(entries.items()))
        self.tokens = tuple(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> CacheSize:
        """The largest of each figure of its scenarios."""
        entries = list(self.entries.values())
        figures = [field.name for field in fields(CacheSize)]
        return CacheSize(*(max((getattr(e, f) for e in entries), default=0) for f in figures))

    @property
    def map_names(self) -> tuple[str, ...]:
        """Locations of the scenarios, sorted."""
        return tuple(sorted({entry.map_name for entry in self.entries.values()}))

    def find_maps(self, root: str | Path | None = None, *, key: str = "map_root") -> MapFolder:
        """The maps in a folder of the caller's, or else those that the cache was made with.

        Args:
            root: The caller's folder.
            key: The option that sets it, for the errors.

        Raises:
            ValueError: no folder is given, and the cache does not know one.
            FileNotFoundError: the folder that the cache was made with is gone.
        """
        if root is not None:
            return MapFolder(Path(root), self.maps.version if self.maps else MAP_VERSION)
        if self.maps is None:
            raise ValueError(
                f"cache {self.folder} does not say where its maps lie: give {key}=FOLDER, or "
                f"run its cache command again, which notes it and keeps what is there"
            )
        if not self.maps.root.is_dir():
            raise FileNotFoundError(
                f"cache {self.folder} was made with the maps in {self.maps.root}, which is no "
                f"folder now: give {key}=FOLDER"
            )
        return self.maps

    def read(self, token: str) -> ScenarioLog:
        """One scenario, in memory of its own.

        Raises:
            KeyError: the cache has no such token.
            ValueError: the file was damaged after it was made: its checksum says so.
        """
        if token not in self.entries:
            raise KeyError(f"scenario {token} is not among the {len(self)} of {self.folder}")
        entry = self.entries[token]
        path = self.folder / SHARD_FOLDER / f"{entry.log_name}{SHARD_SUFFIX}"
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                record = bytearray(entry.size)
                if os.preadv(descriptor, [record], entry.first_byte) != entry.size:
                    raise ValueError("the file is cut short")
            finally:
                os.close(descriptor)
            if zlib.crc32(record) != entry.checksum:
                raise ValueError("bytes of its record have changed")
            return unpack_scenario(record, entry.name)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"scenario {token} cannot be read from {path} ({error}): delete the file and run "
                f"the cache command again"
            ) from error


def open_cache(folder: str | Path) -> ScenarioCache:
    """The cache in a folder.

    Raises:
        FileNotFoundError: the folder holds no cache, or one that isn't finished.
        ValueError: the cache has another format version, or is damaged.
    """
    path = Path(folder) / INDEX_FILE
    if not path.is_file():
        started = (Path(folder) / SHARD_FOLDER).is_dir()
        what = "an unfinished scenario cache" if started else "no scenario cache"
        raise FileNotFoundError(
            f"{folder} holds {what} (no {INDEX_FILE}): run python -m sim_adapters.nuplan.cache "
            f"data_root=... map_root=... filter=FILE.yaml out={folder}"
        )
    try:
        index: Any = json.loads(path.read_text())
        version = index["version"] if index["format"] == _FORMAT else None
        if version != RECORD_VERSION:
            raise ValueError(f"format version {version}, this program reads {RECORD_VERSION}")
        if _checksum(index["logs"]) != index["checksum"]:
            raise ValueError("its list of scenarios has changed")
        maps = index.get("maps")
        place = MapFolder(Path(maps["root"]), maps["version"]) if maps else None
        entries = [
            CacheEntry(*row, log_name=log["name"], first_record_byte=log["first_byte"])
            for log in index["logs"]
            for row in log["scenarios"]
        ]
        by_token = {entry.token: entry for entry in entries}
        return ScenarioCache(Path(folder), by_token, place, str(index["filter"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} cannot be used ({error}): delete the folder and make the cache again"
        ) from error


def _checksum(logs: list[Any]) -> int:
    """Of an index's list of logs, which JSON gives back as it was written."""
    return zlib.crc32(json.dumps(logs).encode())


def write_index(
    folder: Path,
    shards: Sequence[tuple[ShardHeader, int]],
    maps: MapFolder | None = None,
    filter_name: str = "",
) -> None:
    """Write the index of a finished cache.

    Args:
        folder: The cache.
        shards: Header of each log's shard and where its records begin.
        maps: What the scenarios' routes were corrected on; None if on no files.
        filter_name: Name of the filter that chose the scenarios.
    """
    logs = [
        {
            "name": header.log_name,
            "first_byte": first_byte,
            "scenarios": [list(vars(entry).values()) for entry in header.entries],
        }
        for header, first_byte in shards
    ]
    index = {
        "format": _FORMAT,
        "version": RECORD_VERSION,
        "maps": maps and {"root": str(maps.root.resolve()), "version": maps.version},
        "filter": filter_name,
        "checksum": _checksum(logs),
        "logs": logs,
    }
    write_atomically(folder / INDEX_FILE, json.dumps(index).encode())
