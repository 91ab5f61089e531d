"""Drives of one driver under the official evaluator, with what happened at their triggers.

`evaluation.longest6_official` makes them, with every tick recorded; the recordings are looked at
every tenth of a second, as the embedded world is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from evaluation.calibration.embedded_drives import CalibrationDrive
from evaluation.calibration.trigger_watch import TriggerWatch, WatchedWorld, watched_triggers
from evaluation.leaderboard_agent.tick_recording import TickRecording, read_recording
from evaluation.leaderboard_jobs.job import RouteJob, make_jobs, read_record
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_report import skipped_scenarios
from evaluation.leaderboard_jobs.official_results import MissingRoutesError, official_result
from evaluation.longest6_official import run_official
from evaluation.rollout.benchmark import trace_scenarios
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario

log = logging.getLogger(__name__)
TICKS_A_LOOK = 2  # of 20 Hz


def drive_officially(config: DictConfig) -> None:
    """Drive what is missing; routes that the evaluator cannot finish are named and left out.

    Args:
        config: Of `evaluation.longest6_official`, one driver.
    """
    try:
        run_official(config)
    except MissingRoutesError as error:
        log.warning("%s", error)


def official_drives(
    folder: Path, specs: Sequence[RouteSpec], seeds: range
) -> list[CalibrationDrive]:
    """All drives in an official run's folder that ended by the leaderboard's rules.

    Args:
        folder: Output of `evaluation.longest6_official` with record=true.
        specs: Routes that are asked for.
        seeds: Seeds that are asked for.

    Raises:
        ValueError: a drive has no recording.
    """
    by_id = {spec.route_id: spec for spec in specs}
    jobs = make_jobs([(spec.route_id, spec.town) for spec in specs], seeds, folder / "routes")
    records = {job: record for job in jobs if (record := read_record(job)) is not None}
    drives = []
    for town in sorted({job.town for job in records}):
        maps = load_map_bank([town])
        for job, record in records.items():
            if job.town == town:
                (scenario,) = trace_scenarios([by_id[job.route_id]], maps)
                drives.append(read_drive(job, record, scenario, maps))
    return drives


def read_drive(
    job: RouteJob, record: Mapping[str, Any], scenario: Scenario, maps: MapBank
) -> CalibrationDrive:
    """One recorded drive.

    Args:
        job: Its files.
        record: The evaluator's.
        scenario: Its route and triggers.
        maps: Of its town.

    Raises:
        ValueError: it has no recording.
    """
    file = job.folder / RECORDING_FILE
    if not file.is_file():
        raise ValueError(f"{job.folder} holds no {RECORDING_FILE}: drive again with record=true")
    recording = read_recording(file)
    watch = TriggerWatch(watched_triggers(scenario, maps))
    for tick in range(0, recording.num_ticks, TICKS_A_LOOK):
        watch.step(seen_in_recording(recording, tick))
    result = official_result(job, record)
    left_out = {skipped.name for skipped in skipped_scenarios([job])}
    outcomes = watch.outcomes(result.infractions)
    return CalibrationDrive(
        result,
        tuple(
            replace(one, is_played=one.is_played and one.name not in left_out) for one in outcomes
        ),
    )


def seen_in_recording(recording: TickRecording, tick: int) -> WatchedWorld:
    """One tick; the ego is in slot 0."""
    arrays = recording.arrays

    def of(name: str) -> np.ndarray:
        return arrays[name][tick]

    others = of("traits.valid").copy()
    others[0] = False
    x, y, z = (float(of(f"motion.{axis}")[0]) for axis in "xyz")
    return WatchedWorld(
        float(of("elapsed_s")),
        (x, y, z),
        of("motion.x")[others],
        of("motion.y")[others],
        of("motion.yaw_rad")[others],
        np.hypot(of("motion.vx_mps")[others], of("motion.vy_mps")[others]),
        of("traits.kind")[others],
        of("traits.actor_id")[others],
    )
