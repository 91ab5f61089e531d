"""Drives of one driver, with what happened at their triggers: embedded ones on file, official ones.

Of the embedded world: one file a seed. A route that the file holds is not driven again, unless the
code of the world or of the drivers has changed since.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from evaluation.calibration.trigger_watch import (
    TriggerOutcome,
    TriggerWatch,
    WatchedWorld,
    watched_triggers,
)
from evaluation.drivers import rule_drivers
from evaluation.drivers.driver import Driver
from evaluation.evaluate import check_options, drive_routes
from evaluation.leaderboard_agent.tick_recording import TickRecording, read_recording
from evaluation.leaderboard_jobs.job import RouteJob, make_jobs, read_record
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_report import skipped_scenarios
from evaluation.leaderboard_jobs.official_results import MissingRoutesError, official_result
from evaluation.longest6_official import run_official
from evaluation.rollout import episode_rollout
from evaluation.rollout.benchmark import EvaluationTask, trace_scenarios
from evaluation.scoring.episode_result import EpisodeRecords, EpisodeResult, result_from_row
from evaluation.scoring.results_file import write_json
from rewards.driving_events import DrivingEvents
from rewards.reward_terms import RewardBreakdown
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.embedded import simulator
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch
from sim_adapters.source_files import code_digest

log = logging.getLogger(__name__)
_PACKAGES = frozenset({"evaluation", "rewards", "sim_adapters"})


@dataclass(frozen=True)
class CalibrationDrive:
    """One drive, of whichever world."""

    result: EpisodeResult
    triggers: tuple[TriggerOutcome, ...]


class TriggerRecorder:
    """A `Recorder` that follows every drive's triggers.

    Attributes:
        drives: Those that are over.
    """

    def __init__(self) -> None:
        self._scene: SceneBatch | None = None
        self._running: dict[int, TriggerWatch] = {}  # by driver
        self.drives: list[CalibrationDrive] = []

    def begin(
        self, agent: int, task: EvaluationTask | None, scene: SceneBatch, maps: MapBank
    ) -> None:
        """Driver `agent` starts a task, or none."""
        self._scene = scene
        self._running.pop(agent, None)
        if task is not None:
            self._running[agent] = TriggerWatch(watched_triggers(task.scenario, maps))

    def decided(self, driver: Driver, worlds: DrivingWorlds) -> None:
        """What the driver sees and does shows in where the ego goes."""

    def watch(
        self, events: DrivingEvents, outcome: RewardBreakdown, records: EpisodeRecords
    ) -> None:
        """Look at this step of all drives."""
        scene = self._scene
        assert scene is not None
        for agent, watch in self._running.items():
            time_s = float(records.num_steps[agent]) * scene.step_s
            watch.step(seen_in_scene(scene, agent, time_s))

    def end(self, agent: int, result: EpisodeResult) -> None:
        """A drive is over and judged."""
        outcomes = self._running.pop(agent).outcomes(result.infractions)
        self.drives.append(CalibrationDrive(result, outcomes))


def seen_in_scene(scene: SceneBatch, agent: int, time_s: float) -> WatchedWorld:
    """The present of one driver's world."""
    world, own = scene.ego.world[agent], scene.ego.slot[agent]
    motion, traits = scene.motion, scene.traits
    others = traits.valid[world].copy()
    others[own] = False
    x, y, z = (float(axis[world, own]) for axis in (motion.x, motion.y, motion.z))
    speed = np.hypot(motion.vx_mps[world, others], motion.vy_mps[world, others])
    return WatchedWorld(
        time_s,
        (x, y, z),
        motion.x[world, others],
        motion.y[world, others],
        motion.yaw_rad[world, others],
        speed,
        traits.kind[world, others],
        traits.actor_id[world, others],
    )


def embedded_drives(
    config: DictConfig, specs: Sequence[RouteSpec], seed: int, file: Path, *, may_drive: bool
) -> list[CalibrationDrive]:
    """The drives of these routes with one seed, driven now or read from the file.

    Args:
        config: Of `evaluation.evaluate`, one driver.
        specs: Routes.
        seed: Of the worlds.
        file: Where they are kept.
        may_drive: Else only those on file are given.

    Raises:
        ValueError: the file holds drives of another driver.
    """
    check_options(config)
    about = {"made_by": made_by(config), "code": world_digest()}
    kept = read_drives(file, about)
    missing = [spec for spec in specs if spec.route_id not in kept]
    if missing and may_drive:
        recorder = TriggerRecorder()
        drive_routes(config, missing, [seed], lambda worlds: recorder)
        kept |= {drive.result.route_id: drive for drive in recorder.drives}
        write_drives(file, list(kept.values()), about)
    return [kept[spec.route_id] for spec in specs if spec.route_id in kept]


def made_by(config: DictConfig) -> dict[str, Any]:
    """Who drove: a file belongs to one driver."""
    driver = OmegaConf.to_container(config.driver, resolve=True)
    return {"driver": driver, "routes": config.routes}


def world_digest() -> str:
    """Hash over the code of the embedded world, its referee and the hand-written drivers."""
    files = (simulator.__file__, episode_rollout.__file__, rule_drivers.__file__)
    return "-".join(code_digest(file, _PACKAGES)[:12] for file in files)


def read_drives(file: Path, about: dict[str, Any]) -> dict[str, CalibrationDrive]:
    """The file's drives by route; none if there is no file or its world has changed.

    Raises:
        ValueError: it is another driver's, or damaged.
    """
    if not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text())
        made_by, code = document["about"]["made_by"], document["about"]["code"]
        drives = [drive_from_row(row) for row in document["drives"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error!r}): remove it to drive again") from error
    if made_by != about["made_by"]:
        raise ValueError(
            f"{file} holds drives of {made_by}, now it is {about['made_by']}: choose another "
            "output="
        )
    if code != about["code"]:
        log.warning("%s was driven in an older world and counts no more", file)
        return {}
    return {drive.result.route_id: drive for drive in drives}


def write_drives(file: Path, drives: Sequence[CalibrationDrive], about: dict[str, Any]) -> None:
    """Write what `read_drives` reads."""
    write_json(file, {"about": about, "drives": [drive_row(drive) for drive in drives]})


def drive_row(drive: CalibrationDrive) -> dict[str, Any]:
    """As JSON values."""
    return {"result": drive.result.as_row(), "triggers": [asdict(one) for one in drive.triggers]}


def drive_from_row(row: dict[str, Any]) -> CalibrationDrive:
    """The drive that `drive_row` gave."""
    triggers = tuple(TriggerOutcome(**one) for one in row["triggers"])
    return CalibrationDrive(result_from_row(row["result"]), triggers)


# Drives under the official evaluator.
#
# `evaluation.longest6_official` makes them, with every tick recorded; the recordings are looked at
# every tenth of a second, as the embedded world is.

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
