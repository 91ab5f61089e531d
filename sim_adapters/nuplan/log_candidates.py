"""Which frames of a log may become scenarios, by the devkit's rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim_adapters.nuplan.log_database import LogDatabase, LogError
from sim_adapters.nuplan.scenario_mapping import UNKNOWN_TYPE

# A scenario's scene has this many scenes of the log before and after it, so that there is history
# and future to read (a scene is about 20 s)
SCENES_AROUND = 2
# More tokens than this are looked up here rather than bound to a query (SQLite allows 32,766)
MAX_BOUND_TOKENS = 10_000


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
    tags: frozenset[str] = frozenset()  # all types of the log's tags, if some are asked for


def find_candidates(database: LogDatabase, query: CandidateQuery) -> LogCandidates:
    """Frames of one log, by time; of several allowed tags the alphabetically last is taken."""
    clauses, parameters = [], []
    valid_scenes = _valid_scenes(database)
    tokens = _blobs(query.tokens)
    is_bound = tokens is not None and len(tokens) <= MAX_BOUND_TOKENS
    for column, values in (
        ("frame.scene_token", valid_scenes),
        ("tag.type", query.scenario_types),
        ("frame.token", tokens if is_bound else None),
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
    wanted = None if tokens is None or is_bound else set(tokens)
    candidates = tuple(
        _candidate(row, database.path) for row in rows if wanted is None or row[0] in wanted
    )
    refusals = _refusals(database, query, valid_scenes, candidates)
    return LogCandidates(candidates, refusals, _tags(database, query))


def _tags(database: LogDatabase, query: CandidateQuery) -> frozenset[str]:
    if query.scenario_types is None:
        return frozenset()
    rows = database.rows("SELECT DISTINCT type FROM scenario_tag")
    return frozenset(row[0] for row in rows if isinstance(row[0], str))


def _candidate(row: tuple[Any, ...], path: Path) -> Candidate:
    """A row as SQLite has it, whose columns may hold values of any type."""
    token, time_us, tag, map_name = row
    kinds = (bytes, int, str | None, str)
    if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)):
        raise LogError(f"log {path} has a frame of {row!r:.200}: it is no nuPlan log, or damaged")
    return Candidate(token.hex(), time_us, tag or UNKNOWN_TYPE, map_name, path)


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
    left = set(query.tokens) - {candidate.token for candidate in candidates}
    rows = _scenes_of_frames(database, [bytes.fromhex(token) for token in left])
    near_end = f"fewer than {SCENES_AROUND} scenes of log {database.name} before or after it"
    other = "the filter's types, maps or goals exclude it"
    valid = set(valid_scenes)
    return {token.hex(): other if scene in valid else near_end for token, scene in rows}


def _scenes_of_frames(database: LogDatabase, tokens: list[bytes]) -> list[tuple[Any, ...]]:
    """Token and scene of those frames that the log holds."""
    if len(tokens) > MAX_BOUND_TOKENS:
        wanted = set(tokens)
        rows = database.rows("SELECT token, scene_token FROM lidar_pc")
        return [row for row in rows if row[0] in wanted]
    places = ", ".join("?" * len(tokens))
    query = f"SELECT token, scene_token FROM lidar_pc WHERE token IN ({places})"
    return database.rows(query, tokens)
