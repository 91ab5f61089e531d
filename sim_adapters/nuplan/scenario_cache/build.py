"""Builds a scenario cache: scan all logs, apply the filter, read what is left, log by log."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sim_adapters.atomic_file import write_atomically
from sim_adapters.maps.nuplan_gpkg import (
    MAP_VERSION,
    find_map_file,
    load_nuplan_maps,
    map_locations,
)
from sim_adapters.nuplan.log_candidates import Candidate, LogCandidates, find_candidates
from sim_adapters.nuplan.log_database import LogDatabase, LogError, ScenarioError
from sim_adapters.nuplan.log_reader import LogReader
from sim_adapters.nuplan.route_correction import RouteCorrector
from sim_adapters.nuplan.scenario_cache.file import (
    INDEX_FILE,
    REPORT_FILE,
    SHARD_FOLDER,
    MapFolder,
    write_index,
)
from sim_adapters.nuplan.scenario_cache.record import (
    RECORD_VERSION,
    SHARD_SUFFIX,
    ShardEntry,
    ShardHeader,
    read_header,
    write_shard,
)
from sim_adapters.nuplan.scenario_cache.report import CacheReport, done_tasks, started_pool
from sim_adapters.nuplan.scenario_filter import ScenarioFilter, keep_of_log, select_scenarios
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping, absent_types

SHOWN_FOLDERS = 4
STANDING_M = 0.1  # a human who moves less has no way whose share could be driven
_BELOW_THRESHOLD = "below the filter's thresholds on the ego's motion"
_NOT_IN_LOGS = "in none of the logs"


@dataclass(frozen=True)
class CacheJob:
    """What to cache.

    Args:
        data_root: Folders of .db files, or single files.
        map_root: Folder of the version file and the maps.
        scenario_filter: Which scenarios to take.
        out: Folder of the cache; what an earlier run finished there is kept.
        mapping: Window of each scenario type.
        map_version: Name of the version file.
        num_workers: Processes; 1 works in this one.
    """

    data_root: tuple[Path, ...]
    map_root: Path
    scenario_filter: ScenarioFilter
    out: Path
    mapping: ScenarioMapping = field(default_factory=ScenarioMapping)
    map_version: str = MAP_VERSION
    num_workers: int = 1


@dataclass(frozen=True)
class _ShardTask:
    """All that one log's shard is made from; goes to a worker process."""

    job: CacheJob
    path: Path
    candidates: tuple[Candidate, ...]


def build_cache(job: CacheJob) -> CacheReport:
    """Make the cache, or go on with one that was begun.

    Raises:
        FileNotFoundError: no logs, or no map of the right version.
        ValueError: a map that cannot be used, two logs of one name, none that the filter names, or
            a scenario type or location that nobody knows.
    """
    paths = _wanted_logs(job)
    present = {path.stem for path in paths}
    missing = [name for name in job.scenario_filter.log_names or () if name not in present]
    report = CacheReport(num_logs=len(paths), missing_logs=missing)
    with started_pool(min(job.num_workers, len(paths))) as pool:
        shards = _read(job, _select(job, paths, pool, report), pool, report)
    for header, _ in shards:
        _count(header, report)
    write_atomically(job.out / REPORT_FILE, report.to_json().encode())
    # Last: a cache with an index is finished
    maps = MapFolder(job.map_root, job.map_version)
    write_index(job.out, shards, maps, job.scenario_filter.name)
    return report


def _wanted_logs(job: CacheJob) -> list[Path]:
    found = find_logs(job.data_root)
    wanted = [path for path in found if job.scenario_filter.takes_log(path.stem)]
    if not wanted:
        raise ValueError(
            f"none of the {len(found)} logs in data_root ({found[0].stem}, ...) is among the "
            f"filter's log_names"
        )
    by_name: dict[str, Path] = {}
    for path in wanted:
        if by_name.setdefault(path.stem, path) is not path:
            raise ValueError(f"{by_name[path.stem]} and {path} have the same name: rename one")
    return wanted


def _select(
    job: CacheJob, paths: Sequence[Path], pool: ProcessPoolExecutor | None, report: CacheReport
) -> list[Candidate]:
    """Scenarios that the filter keeps by their names, their maps made ready."""
    found = _scan(job, paths, pool, report)
    candidates = [row for path in paths for row in found.get(path, ())]
    report.num_candidates = len(candidates)
    selected = _without_twins(select_scenarios(candidates, job.scenario_filter), report)
    report.num_selected = len(selected)
    for location in sorted({_location(row) for row in selected}):
        load_nuplan_maps(job.map_root, [location], map_version=job.map_version)
    return selected


def find_logs(roots: Iterable[Path]) -> list[Path]:
    """The .db files in folders (not below them), each folder's by name.

    Raises:
        FileNotFoundError: a folder or file that isn't there, or a folder without logs.
    """
    paths: list[Path] = []
    for root in sorted(set(roots)):
        if root.suffix == ".db" and root.is_file():
            paths.append(root)
            continue
        inside = (
            sorted(path for path in root.iterdir() if path.suffix == ".db") if root.is_dir() else []
        )
        if not inside:
            below = sorted({str(path.parent) for path in root.glob("*/**/*.db")})[:SHOWN_FOLDERS]
            hint = f"; there are some in {', '.join(below)}" if below else ""
            raise FileNotFoundError(f"data_root {root} holds no .db files{hint}")
        paths += inside
    return paths


def _scan(
    job: CacheJob, paths: Sequence[Path], pool: ProcessPoolExecutor | None, report: CacheReport
) -> dict[Path, tuple[Candidate, ...]]:
    """Candidates of each log; bad logs and tokens without a scenario go to the report."""
    scan = functools.partial(_scan_log, job.scenario_filter)
    found: dict[Path, tuple[Candidate, ...]] = {}
    refused: dict[str, str] = {}
    seen: set[str] = set()
    tags: set[str] = set(job.mapping.windows)
    locations = map_locations(job.map_root, job.map_version)
    for path, answer in done_tasks(pool, scan, paths, "scanning logs"):
        if isinstance(answer, str):
            report.bad_logs[path.stem] = answer
            continue
        tags |= answer.tags
        strange = {_location(row) for row in answer.candidates} - set(locations)
        if strange:
            report.bad_logs[path.stem] = (
                f"its location {', '.join(map(repr, sorted(strange)))} is not in "
                f"{job.map_version}.json of {job.map_root} (which has {', '.join(locations)})"
            )
            continue
        found[path] = answer.candidates
        refused |= answer.refused
        seen |= {row.token for row in answer.candidates}
    _name_empty_keys(job.scenario_filter, found, tags, locations, report)
    nowhere = _NOT_IN_LOGS
    if report.bad_logs:
        nowhere += f" that can be read; {len(report.bad_logs)} cannot, see bad_logs"
    for token in sorted(set(job.scenario_filter.scenario_tokens or ()) - seen):
        report.missing_tokens[token] = refused.get(token, nowhere)
    return found


def _location(row: Candidate) -> str:
    return row.map_name.removesuffix(".gpkg")


def _name_empty_keys(
    wanted: ScenarioFilter,
    found: Mapping[Path, tuple[Candidate, ...]],
    tags: Collection[str],
    locations: Collection[str],
    report: CacheReport,
) -> None:
    """Report what a filter asks for and no log gives; refuse what nobody can have meant."""
    rows = [row for rows in found.values() for row in rows]
    absent_types(wanted.scenario_types or (), tags, "these logs")
    types, maps = {row.scenario_type for row in rows}, {row.map_name for row in rows}
    report.empty_types = [name for name in wanted.scenario_types or () if name not in types]
    report.empty_maps = [name for name in wanted.map_names or () if name not in maps]
    for name in report.empty_maps:
        if name.removesuffix(".gpkg") not in locations:
            raise ValueError(
                f"map_names of the filter holds {name!r}, expected {', '.join(sorted(locations))}"
            )


def _scan_log(scenario_filter: ScenarioFilter, path: Path) -> LogCandidates | str:
    try:
        with LogDatabase(path) as database:
            return find_candidates(database, scenario_filter.query())
    except LogError as error:
        return str(error)


def _without_twins(selected: Sequence[Candidate], report: CacheReport) -> list[Candidate]:
    """One scenario a token: tokens are unique in nuPlan, but not in every data set."""
    kept: dict[str, Candidate] = {}
    for row in selected:
        first = kept.setdefault(row.token, row)
        if first is not row:
            name = f"{row.token} of {row.log_path.stem}"
            report.skipped[name] = f"log {first.log_path.stem} has the same token"
    return list(kept.values())


def _read(
    job: CacheJob,
    selected: Sequence[Candidate],
    pool: ProcessPoolExecutor | None,
    report: CacheReport,
) -> list[tuple[ShardHeader, int]]:
    """Shards of all logs with selected scenarios, made now where they aren't there yet."""
    (job.out / INDEX_FILE).unlink(missing_ok=True)  # until all of the new set is there
    by_log: defaultdict[Path, list[Candidate]] = defaultdict(list)
    for row in selected:
        by_log[row.log_path].append(row)
    tasks = [_ShardTask(job, path, tuple(rows)) for path, rows in sorted(by_log.items())]
    for task, error in done_tasks(pool, _read_log, tasks, "reading logs"):
        if error is not None:
            report.bad_logs[task.path.stem] = error
            reason = f"log {task.path.stem} is bad: {error}"
            report.skipped |= {row.token: reason for row in task.candidates}
    bad = report.bad_logs
    return [read_header(_shard_path(task)) for task in tasks if task.path.stem not in bad]


def _shard_path(task: _ShardTask) -> Path:
    return task.job.out / SHARD_FOLDER / f"{task.path.stem}{SHARD_SUFFIX}"


def _read_log(task: _ShardTask) -> str | None:
    """Make one shard, unless a finished one is there; the reason if the log is bad."""
    recipe, target = _recipe(task), _shard_path(task)
    if _is_made(target, recipe):
        return None
    skipped: dict[str, str] = {}
    logs = []
    try:
        with LogDatabase(task.path) as database:
            reader = LogReader(database, task.job.mapping)
            for candidate in task.candidates:
                reader.corrector = _corrector(
                    task.job.map_root, _location(candidate), task.job.map_version
                )
                try:
                    log = reader.read(candidate)
                except ScenarioError as error:
                    skipped[candidate.token] = str(error)
                    continue
                if keep_of_log(log, task.job.scenario_filter):
                    logs.append(log)
                else:
                    skipped[candidate.token] = _BELOW_THRESHOLD
            notes = dict(reader.notes + reader.count_oddities())
    except LogError as error:
        return str(error)
    write_shard(target, task.path.stem, recipe, logs, skipped=skipped, notes=notes)
    return None


@functools.lru_cache(maxsize=8)
def _corrector(map_root: Path, location: str, map_version: str) -> RouteCorrector:
    return RouteCorrector(load_nuplan_maps(map_root, [location], map_version=map_version))


def _recipe(task: _ShardTask) -> str:
    """Hash of all that a shard depends on: wanted frames, windows, thresholds, log and maps."""
    job, status = task.job, task.path.stat()
    locations = sorted({_location(row) for row in task.candidates})
    maps = [find_map_file(job.map_root, name, job.map_version).stat() for name in locations]
    facts: Any = [
        RECORD_VERSION,
        [(row.token, row.scenario_type) for row in task.candidates],
        {name: asdict(window) for name, window in job.mapping.windows.items()},
        asdict(job.mapping.fallback),
        [
            value
            for name, value in asdict(job.scenario_filter).items()
            if name.startswith(("ego_", "speed_"))
        ],
        [(file.st_size, file.st_mtime_ns) for file in (status, *maps)],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _is_made(path: Path, recipe: str) -> bool:
    try:
        return read_header(path)[0].recipe == recipe
    except (OSError, ValueError):
        return False


def _count(header: ShardHeader, report: CacheReport) -> None:
    for entry in header.entries:
        _count_entry(entry, report)
    for token, reason in header.skipped.items():
        if reason == _BELOW_THRESHOLD:
            report.thresholds.append(token)
        else:
            report.skipped[token] = reason
    report.notes.update(header.notes)


def _count_entry(entry: ShardEntry, report: CacheReport) -> None:
    report.scenarios[entry.scenario_type] += 1
    report.maps[entry.map_name] += 1
    if entry.num_route == 0:
        report.without_route.append(entry.token)
    if entry.human_path_m < STANDING_M:
        report.standing.append(entry.token)
