"""Official drives for the viewer: what an agent recorded of its routes, with the official record.

The evaluator notes where infractions happened, not when: a time is that at which the ego was
nearest to the place, and the end of the drive where a sentence names no place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.leaderboard_agent.tick_recording import TickRecording, read_recording
from evaluation.leaderboard_jobs.job import RouteJob
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_results import OfficialResult
from evaluation.recording.about import about_result, passed_percent
from evaluation.recording.episode import RecordedEpisode, Tracks, find_presences
from evaluation.recording.folder import EpisodeFolder
from evaluation.scoring.episode_result import Infraction
from evaluation.viewer.page_file import VIEW_FILE, write_page, write_towns
from sim_adapters.array_types import FloatArray
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank

KEPT_TICKS = 2  # every second of the evaluator's 20 Hz: the agent decides no more often
KEPT_RADIUS_M = 150.0


def write_official_view(
    folder: Path, jobs: Sequence[RouteJob], results: Sequence[OfficialResult], about: dict[str, Any]
) -> Path | None:
    """The viewer's page of all drives that were recorded; None if there are none.

    Args:
        folder: Of the run; the page goes there.
        jobs: In the order of `results`.
        results: As the official evaluator judged them.
        about: JSON values that go into every drive: planner, benchmark, world.
    """
    drives, towns = EpisodeFolder(folder), {}
    drives.clear()
    for job, result in zip(jobs, results, strict=True):
        path = job.folder / RECORDING_FILE
        if path.is_file():
            recording = read_recording(path)
            if result.town not in towns:
                towns[result.town] = load_map_bank([recording.town])
            drives.write(official_episode(recording, result, towns[result.town], about))
    for town, maps in towns.items():
        write_towns(drives, maps, [town])
    return write_page([folder], folder / VIEW_FILE) if towns else None


def official_episode(
    recording: TickRecording, result: OfficialResult, maps: MapBank, about: dict[str, Any]
) -> RecordedEpisode:
    """One drive.

    Args:
        recording: Its ticks.
        result: Its judgement.
        maps: Of its town alone.
        about: JSON values that go into it.
    """
    elapsed_s = recording.arrays["elapsed_s"]
    step_s = KEPT_TICKS * float(np.median(np.diff(elapsed_s)))
    arrays = {name: array[KEPT_TICKS::KEPT_TICKS] for name, array in recording.arrays.items()}
    x, y = arrays["motion.x"][:, 0], arrays["motion.y"][:, 0]
    times_s = np.arange(1, len(x) + 1) * np.float64(step_s)
    ego = {
        name: arrays[f"ego.{name}"].astype(np.float64)
        for name in ("speed_limit_mps", "steer", "throttle", "brake")
    }
    ego["speed_mps"] = np.hypot(arrays["motion.vx_mps"][:, 0], arrays["motion.vy_mps"][:, 0])
    ego["route_percent"] = passed_percent(recording.plan[:, :2], x, y)
    timed = tuple(_timed(one, x, y, times_s) for one in result.infractions)
    num_signals = int(maps.ranges.signal[1])
    signals = arrays["lights.state"].astype(np.int64).T[:num_signals]
    return RecordedEpisode(
        about={**about, **about_result(replace(result, infractions=timed)), "triggers": []},
        step_s=step_s,
        route=recording.plan[:, :2],
        tracks=_tracks(arrays),
        driver=ego,
        signals=signals,
        phases=np.zeros((0, len(x)), np.int64),
    )


def _timed(infraction: Infraction, x: FloatArray, y: FloatArray, times_s: FloatArray) -> Infraction:
    """The infraction with the moment at which the ego was nearest to its place."""
    if not math.isfinite(infraction.x):
        return replace(infraction, time_s=float(times_s[-1]), x=float(x[-1]), y=float(y[-1]), z=0.0)
    step = int(np.argmin(np.hypot(x - infraction.x, y - infraction.y)))
    return replace(infraction, time_s=float(times_s[step]))


def _tracks(arrays: dict[str, np.ndarray]) -> Tracks:
    """Everybody near the ego, who is in slot 0."""
    x, y = arrays["motion.x"], arrays["motion.y"]
    near = np.hypot(x - x[:, :1], y - y[:, :1]) < KEPT_RADIUS_M
    present = arrays["traits.valid"].astype(bool) & near
    ids = np.where(present, arrays["traits.actor_id"], 0)
    found = find_presences(ids.astype(np.int64), 0)
    start, place = found.start, found.place
    return Tracks(
        actor_id=ids[start].astype(np.int64),
        kind=arrays["traits.kind"][start].astype(np.int64),
        half_length_m=arrays["traits.half_length_m"][start],
        half_width_m=arrays["traits.half_width_m"][start],
        first_step=found.first_step,
        num_steps=found.num_steps,
        x=x[place],
        y=y[place],
        yaw_rad=arrays["motion.yaw_rad"][place],
        speed_mps=np.hypot(arrays["motion.vx_mps"][place], arrays["motion.vy_mps"][place]),
        lights=arrays["traits.lights"][place].astype(np.int64),
    )
