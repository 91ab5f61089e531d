"""Shards of a scenario cache: the scenarios of one log in one file.

A shard is a magic word, length and checksum of its header, a header of JSON, and records one after
the other, whose checksums the header holds. It is written under another name and renamed, so that a
shard that exists is whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim_adapters.atomic_file import write_atomically
from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_cache.record import pack_scenario
from sim_adapters.nuplan.scenario_log import EgoLog, ScenarioLog
from sim_adapters.nuplan.slot_demand import slots_needed

SHARD_SUFFIX = ".scenarios"
_MAGIC = b"CARLSHD2"
_NUMBER_BYTES = 8  # of the header's length, and of its checksum


@dataclass(frozen=True)
class ShardEntry:
    """One scenario of a shard."""

    token: str
    scenario_type: str
    map_name: str
    offset: int  # of its record, from the end of the header
    size: int  # bytes
    num_frames: int
    human_path_m: float  # way of the logged ego's centre
    num_route: int  # roadblocks of the corrected route
    num_replayed: int  # most road users at once where the log is replayed
    num_reactive: int  # most road users at once among IDM agents
    checksum: int  # CRC-32 of the record


@dataclass(frozen=True)
class ShardHeader:
    """What a shard holds.

    Args:
        log_name: Of its scenarios.
        recipe: Hash of all that the shard was made from.
        entries: In the order of their records.
        skipped: Tokens that were wanted but are no scenario here, and why.
        notes: Oddities met in the log, and how often.
    """

    log_name: str
    recipe: str
    entries: tuple[ShardEntry, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


def write_shard(
    path: Path,
    log_name: str,
    recipe: str,
    logs: Sequence[ScenarioLog],
    *,
    skipped: dict[str, str],
    notes: dict[str, int],
) -> ShardHeader:
    """Write the scenarios of one log at once."""
    records = [pack_scenario(log) for log in logs]
    offsets = np.cumsum([0, *(len(record) for record in records)]).tolist()
    entries = tuple(
        ShardEntry(
            token=log.token,
            scenario_type=log.scenario_type,
            map_name=log.map_name,
            offset=offset,
            size=len(record),
            num_frames=log.num_frames,
            human_path_m=centre_path_m(log.ego),
            num_route=len(log.corrected_route_fids),
            num_replayed=slots_needed(log, "log"),
            num_reactive=slots_needed(log, "idm"),
            checksum=zlib.crc32(record),
        )
        for log, record, offset in zip(logs, records, offsets, strict=False)
    )
    header = ShardHeader(log_name, recipe, entries, skipped, notes)
    text = json.dumps(asdict(header)).encode()
    text += b" " * (-len(text) % _NUMBER_BYTES)
    numbers = [value.to_bytes(_NUMBER_BYTES, "little") for value in (len(text), zlib.crc32(text))]
    write_atomically(path, b"".join([_MAGIC, *numbers, text, *records]))
    return header


def read_header(path: Path) -> tuple[ShardHeader, int]:
    """What a shard holds, and where its records begin.

    Raises:
        ValueError: the file is no shard, or damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("it begins with other bytes")
            length, checksum = (int.from_bytes(file.read(_NUMBER_BYTES), "little") for _ in "lc")
            text = file.read(min(length, os.fstat(file.fileno()).st_size))
            if zlib.crc32(text) != checksum:
                raise ValueError("bytes of its header have changed")
            begin = file.tell()
            values: Any = json.loads(text)
            entries = tuple(ShardEntry(**entry) for entry in values.pop("entries"))
            header = ShardHeader(entries=entries, **values)
            end = begin + max((entry.offset + entry.size for entry in entries), default=0)
            if os.fstat(file.fileno()).st_size != end:
                raise ValueError("it is cut short")
            return header, begin
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} is no shard of a scenario cache of this version ({error}): delete it and run "
            f"the cache command again"
        ) from error


def centre_path_m(ego: EgoLog) -> float:
    """Way of the ego's centre along its logged frames."""
    x = ego.x + REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad)
    y = ego.y + REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad)
    return float(np.hypot(np.diff(x), np.diff(y)).sum())
