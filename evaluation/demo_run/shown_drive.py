"""The drive that the demo shows: which ones are recorded, which one becomes the video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.report.html_report import PLANNER_TITLES
from evaluation.rollout.recording import EpisodeRecorder, Recording
from evaluation.rollout.route_queue import EvaluationTask
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.video.film import VideoFrames, write_gif, write_mp4
from sim_adapters.scene.map_bank import MapBank

VIDEO_FILE, GIF_FILE = "drive.mp4", "drive.gif"


def video_candidates(
    tasks: Sequence[EvaluationTask], seen_towns: Sequence[str]
) -> list[tuple[str, int]]:
    """Routes worth a video: those in towns that the training never saw, or else all."""
    unseen = [task for task in tasks if task.scenario.town not in seen_towns]
    return [(task.scenario.scenario_id, task.seed) for task in unseen or tasks]


def choose_recording(recorder: EpisodeRecorder, results: Sequence[EpisodeResult]) -> Recording:
    """The recorded drive with the best score; among equals the longest."""
    drives = [result for result in results if (result.route_id, result.seed) in recorder.recordings]
    best = max(drives, key=lambda drive: (drive.driving_score, drive.length_m))
    return recorder.recordings[best.route_id, best.seed]


def make_videos(recording: Recording, maps: MapBank, folder: Path) -> None:
    """MP4 and GIF of one drive."""
    frames = VideoFrames(recording, maps, PLANNER_TITLES["trained"])
    write_mp4(frames, folder / VIDEO_FILE)
    write_gif(frames, folder / GIF_FILE)
