"""Val14: nuPlan's closed-loop benchmark on a scenario cache, without the devkit.

`python -m evaluation.evaluate benchmark=val14 cache=... checkpoint=... mode=both` drives every
scenario, scores it by the devkit's metrics and writes tables and a report. The yardsticks drive the
same scenarios beside the planner.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from evaluation.jobs.parts import Parts
from evaluation.nuplan_metrics import ScenarioScores
from evaluation.recording.folder import find_episodes
from evaluation.report.page import REPORT_FILE
from evaluation.scoring.results_file import write_json
from evaluation.scoring.score_table import ScoredWorld, print_tables
from evaluation.val14.files import (
    Drive,
    DrivenScenarios,
    ScenarioBook,
    Val14Scores,
    read_scenarios,
    val14_scores,
    write_val14,
)
from evaluation.val14.recording import ScenarioRecorder
from evaluation.val14.rollout import TRAFFIC, drive_scenarios
from evaluation.val14.selection import Selection, select
from evaluation.val14.table import score_tables, val14_page
from evaluation.viewer.page_file import VIEW_FILE, write_page
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.scenario_cache.file import ScenarioCache, open_cache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.scenario_filter import ScenarioFilter, load_filter
from sim_adapters.scene.map_bank import MapBank

log = logging.getLogger(__name__)
PART_FILE = "part.json"  # written when a part of a run is done


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
        run = self.open(config)
        with locked_folder(run.output):
            book = ScenarioBook(run.output, run.about)
            if config.get("jobs") is not None:
                drive_in_parts(run, book)
            results = run.drive(run.selection, book)
            finish(run.output, results, run.about, run.data)
        return results

    def open(self, config: DictConfig) -> Val14Run:
        """All that a run needs, read and checked.

        Raises:
            ValueError: something that cannot be meant, or a cache without a scenario to drive.
        """
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
        return Val14Run(config, self.modes, drivers, cache, selection, maps, data, about)

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


@dataclass(frozen=True)
class Val14Run:
    """What a run drives, by whom and where."""

    config: DictConfig
    modes: Sequence[str]
    drivers: Mapping[str, Driver]
    cache: ScenarioCache
    selection: Selection
    maps: MapBank
    data: ScoredWorld
    about: Mapping[str, Any]

    @property
    def output(self) -> Path:
        """Where its files go."""
        return Path(self.config.output)

    @property
    def drives(self) -> list[Drive]:
        """Every driver in every mode."""
        return [Drive(name, mode) for mode in self.modes for name in self.drivers]

    def drive(self, selection: Selection, book: ScenarioBook) -> DrivenScenarios:
        """Every scenario of a selection that the book has no score of, by every driver."""
        recorder = None
        if self.config.record_episodes:
            about = {"benchmark": self.data.score_title, "world": self.data.warning}
            recorder = ScenarioRecorder(self.output, self.maps, about)
        return {
            drive: _drive_all(
                *(drive, self.drivers[drive.planner], self.config, selection),
                *(self.cache, self.maps, book, recorder),
            )
            for drive in self.drives
        }


def drive_in_parts(run: Val14Run, book: ScenarioBook) -> None:
    """Drive what the book has no score of as jobs of an engine, and write it there."""
    scored = [book.scored(drive).keys() for drive in run.drives]
    tokens = [name.token for name in run.selection.names]
    missing = [token for token in tokens if not all(token in known for known in scored)]
    if not missing:
        return
    parts = Parts(
        run.config,
        missing,
        driver="evaluation.val14.benchmark:drive_part",
        result=PART_FILE,
        about=dict(run.about),
    )
    for folder in parts.drive():
        for drive, scenarios in read_scenarios(folder)[1].items():
            book.add(drive, scenarios)
    parts.clear()


def drive_part(config: DictConfig, tokens: Sequence[str], folder: Path) -> None:
    """Drive some scenarios; scores go to `folder`, drives to the config's output."""
    run = instantiate(config.benchmark).open(config)
    names = [name for name in run.selection.names if name.token in tokens]
    run.drive(Selection(names, {}), ScenarioBook(folder, run.about))
    write_json(folder / PART_FILE, {"scenarios": len(names)})


def finish(
    folder: Path, results: DrivenScenarios, about: Mapping[str, Any], data: ScoredWorld
) -> dict[Drive, Val14Scores]:
    """Write all files of a run and print its tables."""
    scores = {drive: val14_scores(scenarios) for drive, scenarios in results.items()}
    write_val14(folder, results, scores, about)
    planner = next(iter(results)).planner
    facts = {key: str(value) for key, value in about.items() if value is not None}
    page = val14_page(f"{data.score_title}: {planner}", results, scores, facts, data)
    print_tables(*score_tables(scores, data))
    for drive, one in scores.items():
        if not one.is_complete:
            lost = one.num_scenarios - one.num_done
            log.warning("%s: %d of %d scenarios have no score", drive, lost, one.num_scenarios)
    log.info("report: %s", page.write(folder / REPORT_FILE))
    if find_episodes(folder):
        log.info("drives: %s", write_page([folder], folder / VIEW_FILE))
    return scores


def describe(config: DictConfig, benchmark: Val14, data: ScoredWorld) -> dict[str, Any]:
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
        "scores": data.score_title,
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


# What scores of a scenario cache may be called: only nuPlan's own logs give nuPlan scores.
#
# Of those, only the scenarios of Val14's own filter are Val14; any other filter names its scores.

NUPLAN_LOCATIONS = (
    "us-nv-las-vegas-strip",
    "us-ma-boston",
    "us-pa-pittsburgh-hazelwood",
    "sg-one-north",
)
BENCHMARKS = {"val14_split": "Val14"}  # by the name of the filter's file
# Date, time, car and two numbers of the drive, e.g. 2021.05.12.22.00.38_veh-35_01008_01518
_NUPLAN_LOG = re.compile(r"\d{4}(\.\d\d){5}_veh-\d+_\d+_\d+")
NUPLAN_RULES = "the rules of nuPlan's closed-loop challenges"
SYNTHETIC = ScoredWorld(
    rules=NUPLAN_RULES,
    score_title="synthetic scores",
    warning="These are synthetic scores, not nuPlan results.",
    limits=(
        "The logs are drives of this project's own world on synthetic maps, or other logs that are "
        "not nuPlan's; nobody's published scores can be compared with these.",
        "Simulation and metrics follow nuPlan's devkit and are checked against it number by "
        "number; the traffic, the scenes and the expert are not nuPlan's.",
    ),
)
NUPLAN = ScoredWorld(
    rules=NUPLAN_RULES,
    score_title="nuPlan scores of no named filter",
    warning="Computed by this project, checked against the devkit's runner on exported logs.",
    limits=(
        "Logs and maps are taken to be nuPlan's by their names.",
        "A policy acts through CaRL's one-stage controller; planners that give trajectories are "
        "tracked by the devkit's LQR. Compare the two with care.",
    ),
)


def provenance(names: Sequence[ScenarioName], filter_name: str = "") -> ScoredWorld:
    """NUPLAN if all logs and maps bear names of nuPlan's, else SYNTHETIC; titled by the filter.

    Args:
        names: Scenarios that are driven.
        filter_name: Of the filter that chose them, `val14_split` for Val14.
    """
    genuine = all(
        name.map_name in NUPLAN_LOCATIONS and _NUPLAN_LOG.fullmatch(name.log_name) for name in names
    )
    data = NUPLAN if genuine else SYNTHETIC
    if not filter_name:
        return data
    title = BENCHMARKS.get(filter_name, filter_name)
    name = f"{title} scores" if genuine else f"{data.score_title} of {filter_name}"
    return replace(data, score_title=name)
