"""Val14: nuPlan's closed-loop benchmark on a scenario cache, without the devkit.

`python -m evaluation.evaluate benchmark=val14 cache=... checkpoint=... mode=both` drives every
scenario, scores it by the devkit's metrics and writes tables and a report. The yardsticks drive the
same scenarios beside the planner.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.progress import Progress

from carl_planner.run_folder import locked_folder
from evaluation.drivers.driver import NUPLAN_NAMES, Driver, driver_config, with_parts
from evaluation.drivers.policy_driver import checkpoint_files
from evaluation.nuplan_metrics import ScenarioScores
from evaluation.recording.folder import find_episodes
from evaluation.val14.files import Drive, DrivenScenarios, ScenarioBook, write_val14
from evaluation.val14.provenance import Provenance, provenance
from evaluation.val14.recording import ScenarioRecorder
from evaluation.val14.rollout import TRAFFIC, drive_scenarios
from evaluation.val14.scores import Val14Scores, val14_scores
from evaluation.val14.table import Val14Report, print_val14, write_val14_report
from evaluation.viewer.page_file import VIEW_FILE, write_page
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import REPORT_FILE, ScenarioCache, open_cache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.scenario_filter import ScenarioFilter, load_filter
from sim_adapters.nuplan.scenario_mapping import absent_types
from sim_adapters.scene.map_bank import MapBank

# Which scenarios of a cache a Val14 run drives, with every wanted one accounted for by name.

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Scenarios to drive and those that can't be.

    Args:
        names: To drive, in the order of their tokens.
        missing: Why a wanted scenario is not among them, by token.
    """

    names: Sequence[ScenarioName]
    missing: Mapping[str, str]


def select(cache: ScenarioCache, wanted: ScenarioFilter) -> Selection:
    """What a filter means for a cache that was made with it, or with a wider one.

    Tokens, types, logs, maps and numbers of a type are applied. Thresholds on the drives and
    between them need the logs and belong to the making of the cache.

    Args:
        cache: Where the scenarios are.
        wanted: Filter; one without any key takes the whole cache, and all that its making skipped.

    Raises:
        ValueError: nothing is left to drive, or the filter names a type that nobody knows.
    """
    _name_empty_keys(cache, wanted)
    missing = {}
    chosen: list[ScenarioName] = []
    skipped = _skipped_by_cache(cache)
    for token in sorted(wanted.scenario_tokens or {*cache.tokens, *skipped}):
        if token not in cache.entries:
            missing[token] = skipped.get(token, "not in the cache")
            continue
        name = cache.entries[token].name
        reason = _other_than_wanted(name, wanted)
        if not reason:
            chosen.append(name)
        elif wanted.scenario_tokens:
            missing[token] = reason
    if wanted.num_scenarios_per_type is not None and not wanted.scenario_tokens:
        chosen = list(_first_of_each_type(chosen, wanted.num_scenarios_per_type))
    if not chosen:
        raise ValueError(
            f"no scenario to drive: {cache.folder} holds {len(cache)}, the filter takes none of "
            f"them"
        )
    return Selection(chosen, missing)


def _skipped_by_cache(cache: ScenarioCache) -> dict[str, str]:
    """Why the making of the cache left out a scenario, by token."""
    path = cache.folder / REPORT_FILE
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text())
        return {**report["missing_tokens"], **report["skipped"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read ({error!r}): run the cache command again, which writes it anew"
        ) from error


def _name_empty_keys(cache: ScenarioCache, wanted: ScenarioFilter) -> None:
    """Say which types, logs and maps of the filter no scenario of the cache has."""
    names = [entry.name for entry in cache.entries.values()]
    types = absent_types(
        wanted.scenario_types or (), {name.scenario_type for name in names}, str(cache.folder)
    )
    logs, maps = {name.log_name for name in names}, {name.map_name for name in names}
    for what, absent in (
        ("scenario types", types),
        ("logs", [name for name in wanted.log_names or () if name not in logs]),
        ("maps", [name for name in wanted.map_names or () if name not in maps]),
    ):
        if absent:
            log.warning(
                "%d %s of the filter have no scenario in %s: %s%s",
                *(len(absent), what, cache.folder, ", ".join(absent[:5])),
                ", ..." if len(absent) > 5 else "",
            )


def _other_than_wanted(name: ScenarioName, wanted: ScenarioFilter) -> str:
    """Why a scenario of the cache is not what the filter takes, "" if it is."""
    for what, value, allowed in (
        ("type", name.scenario_type, wanted.scenario_types),
        ("log", name.log_name, wanted.log_names),
        ("map", name.map_name, wanted.map_names),
    ):
        if allowed is not None and value not in allowed:
            return f"its {what} {value} is not among those of the filter"
    return ""


def _first_of_each_type(names: Sequence[ScenarioName], count: int) -> Iterator[ScenarioName]:
    taken: dict[str, int] = defaultdict(int)
    for name in names:
        if taken[name.scenario_type] < count:
            taken[name.scenario_type] += 1
            yield name


@dataclass(frozen=True)
class Val14:
    """Scenarios and how to drive them.

    Args:
        cache: Folder made by `python -m sim_adapters.nuplan.cache`.
        map_root: Folder of the maps; None takes the one that the cache was made with.
        filter: The devkit's filter YAML, e.g. val14_split.yaml; None drives the whole cache.
        mode: "nonreactive" (log replay), "reactive" (IDM agents) or "both".
        yardsticks: Names of drivers (of configs/driver) to drive beside the chosen one.
    """

    cache: str
    map_root: str | None = None
    filter: str | None = None
    mode: str = "both"
    yardsticks: Sequence[str] = ()

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes to drive in."""
        return tuple(TRAFFIC) if self.mode == "both" else (self.mode,)

    def __post_init__(self) -> None:
        if self.cache is None:
            raise ValueError(
                "benchmark=val14 needs cache=FOLDER, made by python -m sim_adapters.nuplan.cache"
            )
        if self.mode not in (*TRAFFIC, "both"):
            raise ValueError(f"mode={self.mode}: choose {', '.join(TRAFFIC)} or both")
        for key in ("filter", "map_root"):
            if getattr(self, key) == "":
                raise ValueError(f"{key} is empty: name a file or folder, or leave it out")

    def evaluate(self, config: DictConfig) -> DrivenScenarios:
        """Run the composed config of `evaluate`; returns every scenario by planner and mode."""
        if not (isinstance(config.num_worlds, int) and config.num_worlds >= 1):
            raise ValueError(f"num_worlds={config.num_worlds}: at least one is needed")
        torch.set_num_threads(config.num_threads)
        drivers = self.drivers(config)
        cache = open_cache(self.cache)
        wanted = load_filter(self.filter) if self.filter else ScenarioFilter()
        selection = select(cache, wanted)
        locations = sorted({name.map_name for name in selection.names})
        folder = cache.find_maps(self.map_root)
        maps = load_nuplan_maps(folder.root, locations, map_version=folder.version)
        data = provenance(selection.names, wanted.name or cache.filter_name)
        about = describe(config, self, data)
        output = Path(config.output)
        with locked_folder(output):
            book = ScenarioBook(output, about)
            recorder = None
            if config.record_episodes:
                recorder = ScenarioRecorder(
                    output, maps, {"benchmark": data.score_name, "world": data.warning}
                )
            results: DrivenScenarios = {}
            for drive in (Drive(name, mode) for mode in self.modes for name in drivers):
                results[drive] = _drive_all(
                    drive, drivers[drive.planner], config, selection, cache, maps, book, recorder
                )
            finish(output, results, about, data)
        return results

    def drivers(self, config: DictConfig) -> dict[str, Driver]:
        """The chosen driver first, then the yardsticks, by name.

        Raises:
            MissingConfigException: no yardstick has such a name.
        """
        drivers: dict[str, Driver] = {config.driver.name: instantiate(config.driver)}
        for name in self.yardsticks:
            node = driver_config(f"nuplan/{name}" if name in NUPLAN_NAMES else name)
            if node.name not in drivers:
                drivers[node.name] = instantiate(node)
        return drivers

    def shortfall(self, results: DrivenScenarios) -> str:
        """What a run lacks: a line on its failed scenarios, "" if there are none."""
        lost = {
            "/".join(drive): sum(one.metrics is None for one in scenarios)
            for drive, scenarios in results.items()
        }
        named = ", ".join(f"{count} of {drive}" for drive, count in lost.items() if count)
        return (
            named and f"scenarios without a score: {named}; the report names each with its reason"
        )


def finish(
    folder: Path, results: DrivenScenarios, about: Mapping[str, Any], data: Provenance
) -> dict[Drive, Val14Scores]:
    """Write all files of a run and print its tables."""
    scores = {drive: val14_scores(scenarios) for drive, scenarios in results.items()}
    write_val14(folder, results, scores, about)
    planner = next(iter(results)).planner
    facts = {key: str(value) for key, value in about.items() if value is not None}
    report = Val14Report(f"{data.score_name}: {planner}", results, scores, facts, data)
    print_val14(scores, data)
    for drive, one in scores.items():
        if not one.is_complete:
            lost = one.num_scenarios - one.num_done
            log.warning("%s: %d of %d scenarios have no score", drive, lost, one.num_scenarios)
    log.info("report: %s", write_val14_report(folder, report))
    if find_episodes(folder):
        log.info("drives: %s", write_page([folder], folder / VIEW_FILE))
    return scores


def describe(config: DictConfig, benchmark: Val14, data: Provenance) -> dict[str, Any]:
    """What is evaluated, for the result files; equal descriptions are the same run."""
    checkpoint = None
    if config.checkpoint is not None:
        paths = [config.checkpoint] if isinstance(config.checkpoint, str) else config.checkpoint
        files = checkpoint_files(paths)
        digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files]
        checkpoint = ", ".join(f"{f} ({d})" for f, d in zip(files, digests, strict=True))
    index = Path(str(benchmark.cache)) / "index.json"
    return {
        "benchmark": "val14",
        "scores": data.score_name,
        "planner": config.driver.name,
        "checkpoint": checkpoint,
        "yardsticks": ", ".join(benchmark.yardsticks) or None,
        "mode": benchmark.mode,
        "cache": str(benchmark.cache),
        "cache_digest": hashlib.sha256(index.read_bytes()).hexdigest()[:16],
        "filter": benchmark.filter,
        "warning": data.warning,
    }


def _drive_all(
    drive: Drive,
    driver: Driver,
    config: DictConfig,
    selection: Selection,
    cache: ScenarioCache,
    maps: MapBank,
    book: ScenarioBook,
    recorder: ScenarioRecorder | None,
) -> list[ScenarioScores]:
    """Every scenario of the selection under one planner in one mode, missing ones included."""
    known = book.scored(drive)
    names = [name for name in selection.names if name.token not in known]
    fresh: dict[str, ScenarioScores] = {}
    with Progress(disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task(f"{drive.planner}, {drive.mode}", total=len(names))
        for scenarios in drive_scenarios(
            *(names, cache, maps, driver, with_parts(config, driver), drive.mode),
            num_worlds=config.num_worlds,
            keep=partial(recorder.keep, drive) if recorder is not None else None,
        ):
            book.add(drive, scenarios)
            fresh |= {one.token: one for one in scenarios}
            progress.advance(bar, len(scenarios))
            log.info("%s: %d of %d scenarios", "/".join(drive), len(fresh), len(names))
    done = [(known | fresh)[name.token] for name in selection.names]
    lost = [
        ScenarioScores(token, "not driven", "", None, failure=reason)
        for token, reason in selection.missing.items()
    ]
    return done + lost
