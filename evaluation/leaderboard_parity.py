"""Compares the official judgement with ours: `python -m evaluation.leaderboard_parity run=FOLDER`.

FOLDER is the output of `evaluation.longest6_official` with `record=true`. Our referee is fed the
very ticks that the official criteria saw; every difference is listed, route by route.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.command_errors import hydra_command
from evaluation.leaderboard_agent.tick_recording import read_recording
from evaluation.leaderboard_jobs.job import RouteJob, job_of_folder, read_record
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_results import official_result
from evaluation.leaderboard_jobs.second_opinion import judge_recording
from evaluation.scoring.episode_result import (
    EpisodeRecord,
    Infraction,
    InfractionKind,
    infraction_score,
)
from evaluation.scoring.results_file import write_json
from evaluation.scoring.score_table import ScoreTable, print_tables
from evaluation.scoring.scores import natural_key
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.town_files import town_name

log = logging.getLogger(__name__)
PARITY_FILE = "parity.json"
# No tick shows these: a scenario of scenario_runner says by itself that its time is over, or that
# its emergency vehicle was not let past
SCENARIO_REPORTS = (InfractionKind.SCENARIO_TIMEOUT, InfractionKind.YIELD_EMERGENCY)


@dataclass(frozen=True)
class RouteParity:
    """Both judgements of one drive."""

    route_id: str
    town: str
    seed: int
    official_score: float
    our_score: float
    official_completion: float
    our_completion: float
    differences: tuple[str, ...]  # infraction kinds that were not judged alike


def compare_run(folder: Path, config: DictConfig) -> list[RouteParity]:
    """Judge every recorded drive of an official run again.

    Raises:
        ValueError: the folder has no recorded drive.
    """
    detector = instantiate(config.detector)
    parities = []
    for file in sorted((folder / "routes").glob(f"route_*_seed_*/{RECORDING_FILE}")):
        recording = read_recording(file)
        job = job_of_folder(file.parent, town_name(recording.town))
        record = read_record(job) if job is not None else None
        if job is None or record is None:
            continue
        maps = load_map_bank([recording.town], pixels_per_meter=config.pixels_per_meter)
        ours = judge_recording(recording, maps, detector)
        parities.append(compare_route(job, record, ours))
        log.info("%s: %s", job.name, "; ".join(parities[-1].differences) or "judged alike")
    if not parities:
        raise ValueError(
            f"{folder} has no drive with a recording: run evaluation.longest6_official with "
            "record=true"
        )
    return sorted(parities, key=lambda parity: (natural_key(parity.route_id), parity.seed))


def compare_route(job: RouteJob, record: dict[str, Any], ours: EpisodeRecord) -> RouteParity:
    """The two judgements side by side; what scenarios report of themselves counts for both."""
    official = official_result(job, record)
    reported = [entry for entry in official.infractions if entry.kind in SCENARIO_REPORTS]
    found = [*ours.infractions, *reported]
    differences = infraction_differences(official.infractions, found)
    if official.end is not ours.end:
        differences.append(f"end: {official.end} | {ours.end}")
    return RouteParity(
        route_id=job.route_id,
        town=job.town,
        seed=job.seed,
        official_score=official.driving_score,
        our_score=max(ours.route_percent * infraction_score(found), 0.0),
        official_completion=official.route_completion,
        our_completion=ours.route_percent,
        differences=tuple(differences),
    )


def infraction_differences(official: Sequence[Infraction], ours: Sequence[Infraction]) -> list[str]:
    """Kinds whose number or percentages differ, as `kind: official | ours`."""
    theirs, mine = _by_kind(official), _by_kind(ours)
    return [
        f"{kind.value}: {_text(theirs[kind])} | {_text(mine[kind])}"
        for kind in InfractionKind
        if theirs[kind] != mine[kind]
    ]


def _by_kind(infractions: Sequence[Infraction]) -> dict[InfractionKind, Counter[float]]:
    return {
        kind: Counter(round(one.percent, 2) for one in infractions if one.kind is kind)
        for kind in InfractionKind
    }


def _text(percents: Counter[float]) -> str:
    shares = [f"{percent:g} %" for percent in sorted(percents.elements()) if percent]
    return f"{percents.total()}{' (' + ', '.join(shares) + ')' if shares else ''}"


def parity_table(parities: Sequence[RouteParity]) -> ScoreTable:
    """A row a route."""
    rows = [
        [
            parity.route_id,
            parity.town,
            f"{parity.official_completion:.2f} | {parity.our_completion:.2f}",
            f"{parity.official_score:.2f} | {parity.our_score:.2f}",
            "; ".join(parity.differences) or "nothing",
        ]
        for parity in parities
    ]
    heads = ["route", "town", "completion [%]", "driving score", "judged differently"]
    return ScoreTable("official criteria | our referee, on the same ticks", heads, rows)


def run_parity(config: DictConfig) -> list[RouteParity]:
    """Compare, print, and write parity.json into the run's folder."""
    if config.run is None:
        raise ValueError("run=FOLDER is needed: the output of evaluation.longest6_official")
    folder = Path(config.run)
    parities = compare_run(folder, config)
    write_json(folder / PARITY_FILE, [vars(parity) for parity in parities])
    print_tables(parity_table(parities))
    return parities


@hydra_command("leaderboard_parity")
def command(config: DictConfig) -> None:
    """The hydra command."""
    run_parity(config)


if __name__ == "__main__":
    command()
