"""Which frames of a log may become scenarios, by the devkit's rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim_adapters.nuplan.log_database import LogDatabase
from sim_adapters.nuplan.scenario_mapping import UNKNOWN_TYPE

# A scenario's scene has this many scenes of the log before and after it, so that there is history
# and future to read (a scene is about 20 s)
SCENES_AROUND = 2


@dataclass(frozen=True)
class Candidate:
    """A frame of a log that a filter let through."""

    token: str  # hex digits
    time_us: int
    scenario_type: str
    map_name: str
    log_path: Path


@dataclass(frozen=True)
class CandidateQuery:
    """What a log is asked for; None asks for everything.

    Args:
        scenario_types: Tags; untagged frames are left out if any are given.
        tokens: Frames, hex digits.
        map_names: As the log names its location.
        needs_goal: The frame's scene names a goal that the log holds.
    """

    scenario_types: Collection[str] | None = None
    tokens: Collection[str] | None = None
    map_names: Collection[str] | None = None
    needs_goal: bool = False


@dataclass(frozen=True)
class LogCandidates:
    """Answer of one log."""

    candidates: tuple[Candidate, ...]  # by time
    refused: dict[str, str] = field(default_factory=dict)  # asked-for tokens it holds, and why not


def find_candidates(database: LogDatabase, query: CandidateQuery) -> LogCandidates:
    """Frames of one log, by time; of several allowed tags the alphabetically last is taken."""
    clauses, parameters = [], []
    valid_scenes = _valid_scenes(database)
    for column, values in (
        ("frame.scene_token", valid_scenes),
        ("tag.type", query.scenario_types),
        ("frame.token", _blobs(query.tokens)),
        ("log.map_version", query.map_names),
    ):
        if values is not None:
            clauses.append(f"{column} IN ({', '.join('?' * len(values))})")
            parameters += values
    if query.needs_goal:
        clauses.append(
            "frame.scene_token IN (SELECT scene.token FROM scene "
            "JOIN ego_pose ON ego_pose.token = scene.goal_ego_pose_token)"
        )
    rows = database.rows(
        "SELECT frame.token, frame.timestamp, MAX(tag.type), log.map_version "
        "FROM lidar_pc AS frame "
        "JOIN lidar ON lidar.token = frame.lidar_token "
        "JOIN log ON log.token = lidar.log_token "
        "LEFT JOIN scenario_tag AS tag ON tag.lidar_pc_token = frame.token "
        f"WHERE {' AND '.join(clauses)} "
        "GROUP BY frame.token ORDER BY frame.timestamp",
        parameters,
    )
    candidates = tuple(
        Candidate(token.hex(), time_us, tag or UNKNOWN_TYPE, map_name, database.path)
        for token, time_us, tag, map_name in rows
    )
    return LogCandidates(candidates, _refusals(database, query, valid_scenes, candidates))


def _valid_scenes(database: LogDatabase) -> list[bytes]:
    scenes = [row[0] for row in database.rows("SELECT token FROM scene ORDER BY name")]
    return scenes[SCENES_AROUND : len(scenes) - SCENES_AROUND]


def _blobs(tokens: Collection[str] | None) -> list[bytes] | None:
    return None if tokens is None else [bytes.fromhex(token) for token in tokens]


def _refusals(
    database: LogDatabase,
    query: CandidateQuery,
    valid_scenes: list[bytes],
    candidates: tuple[Candidate, ...],
) -> dict[str, str]:
    """Tokens that were asked for by name and that the log holds, but that became no scenario."""
    if query.tokens is None:
        return {}
    left = sorted(set(query.tokens) - {candidate.token for candidate in candidates})
    rows: list[tuple[Any, ...]] = database.rows(
        f"SELECT token, scene_token FROM lidar_pc WHERE token IN ({', '.join('?' * len(left))})",
        _blobs(left) or [],
    )
    near_end = f"fewer than {SCENES_AROUND} scenes of log {database.name} before or after it"
    other = "the filter's types, maps or goals exclude it"
    valid = set(valid_scenes)
    return {token.hex(): other if scene in valid else near_end for token, scene in rows}
