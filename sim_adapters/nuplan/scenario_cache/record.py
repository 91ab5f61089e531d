"""Scenarios as bytes: records of the scenario cache and shards (docs/nuplan_data.md has both).

A record is a header of int64 counts and then columns, each padded to eight bytes, little-endian.
Most arrays that are read are views of the bytes, so reading costs little more than fetching them.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.atomic_file import write_atomically
from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog
from sim_adapters.nuplan.slot_demand import slots_needed

# Raise whenever the layout or the meaning of a column changes: caches are made anew
RECORD_VERSION = 2
MAX_LIT_CONNECTORS = 1 << 16  # of a scenario: their column is of uint16
MAX_TOKEN_BYTES = 255  # of a track's token: their lengths are of uint8
_MAGIC = 0x4C52_4143_6C70_756E  # "nuplCARL" in the file
_ALIGNMENT = 8
_EGO_COLUMNS = EgoLog._fields[1:]
_MOVING_COLUMNS = ("x", "y", "yaw_rad", "vx_mps", "vy_mps")  # of BoxLog, one value a box
_SIZE_COLUMNS = ("length_m", "width_m")  # one value a track where no track changes its size


class ScenarioName(NamedTuple):
    """What the index of a cache says of a scenario."""

    token: str
    scenario_type: str
    log_name: str
    map_name: str


class _Counts(NamedTuple):
    """Header of a record."""

    magic: int
    version: int
    frames: int
    past: int
    future: int
    boxes: int
    tracks: int
    sizes: int  # of `tracks`, or of `boxes`
    lights: int
    connectors: int
    route: int
    corrected_route: int
    token_bytes: int  # of all track tokens together


def pack_scenario(log: ScenarioLog) -> bytes:
    """The record of a scenario; its names go to the index.

    Raises:
        ValueError: more connectors with lights, or longer tokens, than a record can hold.
    """
    boxes, lights = log.boxes, log.lights
    tokens = [bytes.fromhex(token) for token in log.track_tokens]
    if max(map(len, tokens), default=0) > MAX_TOKEN_BYTES:
        raise ValueError(f"a track's token of {log.token} is longer than {MAX_TOKEN_BYTES} bytes")
    sizes = _sizes_by_track(boxes, len(tokens))
    connectors, connector = np.unique(lights.connector_fid, return_inverse=True)
    if len(connectors) > MAX_LIT_CONNECTORS:
        raise ValueError(f"{log.token} has lights of more than {MAX_LIT_CONNECTORS} connectors")
    counts = _Counts(
        magic=_MAGIC,
        version=RECORD_VERSION,
        frames=log.num_frames,
        past=len(log.past_ego.x),
        future=len(log.future_ego.x),
        boxes=len(boxes.x),
        tracks=len(tokens),
        sizes=len(sizes[0]),
        lights=len(lights.state),
        connectors=len(connectors),
        route=len(log.route_fids),
        corrected_route=len(log.corrected_route_fids),
        token_bytes=sum(len(token) for token in tokens),
    )
    columns = _columns(counts)
    values: list[Any] = [
        *(np.concatenate(part) for part in zip(log.past_ego, log.ego, log.future_ego, strict=True)),
        boxes.first,
        boxes.track,
        _first_of_track(boxes.type, boxes.track, len(tokens)),
        *(getattr(boxes, name) for name in _MOVING_COLUMNS),
        *sizes,
        lights.first,
        connectors,
        connector,
        lights.state,
        log.route_fids,
        log.corrected_route_fids,
        [len(token) for token in tokens],
        np.frombuffer(b"".join(tokens), np.uint8),
    ]
    header = np.array(counts, "<i8").tobytes()
    return header + b"".join(
        _padded(np.asarray(value, dtype).tobytes())
        for value, (dtype, _) in zip(values, columns, strict=True)
    )


def unpack_scenario(record: bytes | bytearray, name: ScenarioName) -> ScenarioLog:
    """The scenario of a record, whose bytes its arrays share (a bytearray makes them writable).

    Raises:
        ValueError: the bytes are no record of this version.
    """
    num_counts = len(_Counts._fields)
    if len(record) < 8 * num_counts:
        raise ValueError(f"{len(record)} bytes are too few for a record")
    counts = _Counts(*np.frombuffer(record, "<i8", num_counts).tolist())
    if counts.magic != _MAGIC or counts.version != RECORD_VERSION or min(counts) < 0:
        raise ValueError("the bytes are no record of this version")
    values = _read_columns(record, 8 * num_counts, _columns(counts))
    ego = [values.pop(0) for _ in EgoLog._fields]
    past, future = counts.past, counts.past + counts.frames
    first, track, kinds = (values.pop(0) for _ in range(3))
    moving = {column: values.pop(0) for column in _MOVING_COLUMNS}
    by_track = counts.sizes == counts.tracks != counts.boxes
    sizes = {column: values.pop(0) for column in _SIZE_COLUMNS}
    sizes = {key: value[track] if by_track else value for key, value in sizes.items()}
    light_first, connectors, connector, state, route, corrected, lengths, tokens = values
    return ScenarioLog(
        **name._asdict(),
        ego=EgoLog(*(column[past:future] for column in ego)),
        past_ego=EgoLog(*(column[:past] for column in ego)),
        future_ego=EgoLog(*(column[future:] for column in ego)),
        boxes=BoxLog(first=first, track=track, type=kinds[track], **moving, **sizes),
        track_tokens=_split_tokens(tokens, lengths),
        lights=LightLog(light_first, connectors[connector], state),
        route_fids=tuple(route.tolist()),
        corrected_route_fids=tuple(corrected.tolist()),
    )


def _columns(counts: _Counts) -> list[tuple[str, int]]:
    """Type and length of each column, in the order of the record."""
    moments = counts.past + counts.frames + counts.future
    return [
        ("<i8", moments),
        *[("<f8", moments)] * len(_EGO_COLUMNS),
        ("<i4", counts.frames + 1),
        ("<i4", counts.boxes),
        ("u1", counts.tracks),
        *[("<f8", counts.boxes)] * len(_MOVING_COLUMNS),
        *[("<f8", counts.sizes)] * len(_SIZE_COLUMNS),
        ("<i4", counts.frames + 1),
        ("<i8", counts.connectors),
        ("<u2", counts.lights),
        ("u1", counts.lights),
        ("<i8", counts.route),
        ("<i8", counts.corrected_route),
        ("u1", counts.tracks),
        ("u1", counts.token_bytes),
    ]


def _read_columns(
    record: bytes | bytearray, offset: int, columns: list[tuple[str, int]]
) -> list[NDArray[Any]]:
    values: list[NDArray[Any]] = []
    for dtype, count in columns:
        size = np.dtype(dtype).itemsize * count
        if offset + size > len(record):
            raise ValueError("the record is cut short")
        values.append(np.frombuffer(record, dtype, count, offset))
        offset += size + -size % _ALIGNMENT
    return values


def _padded(column: bytes) -> bytes:
    return column + b"\0" * (-len(column) % _ALIGNMENT)


def _sizes_by_track(boxes: BoxLog, num_tracks: int) -> list[NDArray[np.float64]]:
    """Lengths and widths of the tracks; of the boxes if any track changes its size."""
    whole = [boxes.length_m, boxes.width_m]
    if num_tracks == len(boxes.x):
        return whole  # so that the number of sizes tells the two apart
    sizes = [_first_of_track(column, boxes.track, num_tracks) for column in whole]
    is_constant = all(
        np.array_equal(size[boxes.track], column) for size, column in zip(sizes, whole, strict=True)
    )
    return sizes if is_constant else whole


def _first_of_track(
    values: NDArray[Any], track: NDArray[np.int32], num_tracks: int
) -> NDArray[Any]:
    """Value of each track's first box, zero for a track without boxes."""
    present, first = np.unique(track, return_index=True)
    by_track = np.zeros(num_tracks, values.dtype)
    by_track[present] = values[first]
    return by_track


def _split_tokens(tokens: NDArray[np.uint8], lengths: NDArray[np.uint8]) -> tuple[str, ...]:
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    text = tokens.tobytes().hex()
    return tuple(text[2 * first : 2 * last] for first, last in zip([0, *ends], ends, strict=False))


# Shards of a scenario cache: the scenarios of one log in one file.
#
# A shard is a magic word, length and checksum of its header, a header of JSON, and records one
# after the other, whose checksums the header holds. It is written under another name and renamed,
# so that a shard that exists is whole.

SHARD_SUFFIX = ".scenarios"
_SHARD_MAGIC = b"CARLSHD2"
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
    write_atomically(path, b"".join([_SHARD_MAGIC, *numbers, text, *records]))
    return header


def read_header(path: Path) -> tuple[ShardHeader, int]:
    """What a shard holds, and where its records begin.

    Raises:
        ValueError: the file is no shard, or damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_SHARD_MAGIC)) != _SHARD_MAGIC:
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
