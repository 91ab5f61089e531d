"""The drive that the demo shows: which ones it may be, which one becomes the video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.report.html_report import PLANNER_TITLES
from evaluation.rollout.recording import Recording
from evaluation.rollout.route_queue import EvaluationTask
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.video.film import VideoFrames, write_gif, write_mp4
from sim_adapters.scene.map_bank import MapBank

SHOWN = "trained"  # the planner
VIDEO_FILE, GIF_FILE = "drive.mp4", "drive.gif"


def video_candidates(
    tasks: Sequence[EvaluationTask], seen_towns: Sequence[str]
) -> list[tuple[str, int]]:
    """Routes worth a video: those in towns that the training never saw, or else all."""
    unseen = [task for task in tasks if task.scenario.town not in seen_towns]
    return [(task.scenario.scenario_id, task.seed) for task in unseen or tasks]


def choose_drive(
    results: Sequence[EpisodeResult], candidates: Sequence[tuple[str, int]]
) -> EpisodeResult:
    """Of these drives (route id and seed) the one with the best score; among equals the longest."""
    drives = [result for result in results if (result.route_id, result.seed) in candidates]
    return max(drives, key=lambda drive: (drive.driving_score, drive.length_m))


def make_videos(recording: Recording, maps: MapBank, folder: Path) -> None:
    """MP4 and GIF of one drive."""
    frames = VideoFrames(recording, maps, PLANNER_TITLES[SHOWN])
    write_mp4(frames, folder / VIDEO_FILE)
    write_gif(frames, folder / GIF_FILE)
