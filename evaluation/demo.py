"""The demo: `python -m evaluation.demo output=outputs/demo [seed=0] [train_minutes=9]`.

Trains a planner for a few minutes, drives held-out routes with it, with its untrained self and with
three yardsticks without learning, and writes report, curves, video and summary.json.
What is already there is kept: a finished training is not repeated, a stopped one goes on.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.checkpoint import load_checkpoint
from carl_planner.command_errors import input_errors_reported
from carl_planner.metrics import read_metrics
from carl_planner.policy_files import load_policy
from evaluation.drivers.checkpoint_planner import (
    policy_planner,
    untrained_planner,
    with_checkpoint_config,
)
from evaluation.drivers.planners import BlindFollower, ConstantSpeedPlanner
from evaluation.drivers.rule_based_driver import RuleBasedDriver
from evaluation.report.dynamics_statement import dynamics_statement
from evaluation.report.html_report import PLANNER_TITLES, Report, write_report
from evaluation.rollout.benchmark import Benchmark
from evaluation.rollout.episode_rollout import run_episodes
from evaluation.rollout.evaluation_env import make_evaluation_env
from evaluation.rollout.progress import EvaluationProgress
from evaluation.rollout.recording import EpisodeRecorder, Recording
from evaluation.rollout.route_queue import EvaluationTask, make_tasks
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult
from evaluation.scoring.results_file import write_json, write_results
from evaluation.scoring.score_table import print_scores
from evaluation.scoring.scores import benchmark_scores, natural_key
from evaluation.video.film import VideoFrames, write_gif, write_mp4
from sim_adapters.scene.map_bank import MapBank

log = logging.getLogger(__name__)
TRAINING_FOLDER = "training"
FINAL_MODEL, LATEST_MODEL = "model_final.pt", "latest.pt"
VIDEO_FILE, GIF_FILE, SUMMARY_FILE = "drive.mp4", "drive.gif", "summary.json"


def run_demo(config: DictConfig) -> dict[str, Any]:
    """All of it; returns what summary.json holds."""
    torch.set_num_threads(config.num_threads)
    folder = Path(config.output)
    checkpoint = train(config, folder / TRAINING_FOLDER)
    benchmark: Benchmark = instantiate(config.benchmark)
    loaded = load_policy(checkpoint, trusted_packages=("carl_planner", *config.trust))
    merged = with_checkpoint_config(config, loaded.config)
    specs = benchmark.read()
    env, scenarios = make_evaluation_env(merged, specs, min(config.num_worlds, len(specs)))
    tasks = make_tasks(scenarios, range(config.seed, config.seed + config.seeds))
    recorder = EpisodeRecorder(video_candidates(tasks, benchmark.seen_towns))
    try:
        planners = {
            "untrained": untrained_planner(merged, env, config.seed),
            "trained": policy_planner([loaded], env, "trained"),
            "idm": RuleBasedDriver(),
            "constant_speed": ConstantSpeedPlanner(),
            "blind_follower": BlindFollower(),
        }
        results = {}
        for name, planner in planners.items():
            with EvaluationProgress(PLANNER_TITLES[name], len(tasks)) as progress:
                results[name] = run_episodes(
                    env,
                    planner,
                    tasks,
                    listener=progress,
                    recorder=recorder if name == "trained" else None,
                )
            about = {"planner": name, "benchmark": benchmark.name, "seed": config.seed}
            write_results(folder / name, results[name], about)
    finally:
        env.close()
    progress_of_training = load_checkpoint(checkpoint).progress
    summary = summarise(results, progress_of_training, config.seed)
    write_json(folder / SUMMARY_FILE, summary)
    shown = choose_recording(recorder, results["trained"])
    make_videos(shown, env.maps, folder)
    report = demo_report(config, benchmark, results, summary, shown)
    log.info("report: %s", write_report(folder, report))
    scores = {name: benchmark_scores(episodes) for name, episodes in results.items()}
    print_scores(benchmark.name, scores)
    return summary


def train(config: DictConfig, folder: Path) -> Path:
    """Train in a process of its own, unless it is done; returns the final checkpoint.

    Raises:
        ChildProcessError: the training failed or was stopped.
    """
    final, latest = folder / FINAL_MODEL, folder / LATEST_MODEL
    if final.is_file():
        log.info("training is done already: %s", final)
        return final
    command = training_command(config.train_processes or default_processes())
    if latest.is_file():
        command.append(f"resume={folder}")
    else:
        command += [
            f"experiment={config.experiment}",
            f"seed={config.seed}",
            f"max_minutes={config.train_minutes}",
            "schedule_by_time=true",
            f"hydra.run.dir={folder}",
            *config.train_overrides,
        ]
    log.info("training: %s", " ".join(command[1:]))
    environment = {"OMP_NUM_THREADS": "1"} | os.environ  # processes share the cores already
    status = subprocess.run(command, check=False, env=environment).returncode
    if status != 0 or not final.is_file():
        raise ChildProcessError(
            f"training ended with status {status} and without {final}: its log is in {folder}; "
            "start the demo again to go on"
        )
    return final


def default_processes() -> int:
    """One training process a core, two at most: the demo's batch of 64 worlds gains no more."""
    return min(2, len(os.sched_getaffinity(0)))


def training_command(processes: int) -> list[str]:
    """`carl_planner.train` in that many data-parallel processes."""
    if processes == 1:
        return [sys.executable, "-m", "carl_planner.train"]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [sys.executable, *launcher, "-m", "carl_planner.train"]


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


def summarise(
    results: dict[str, list[EpisodeResult]], training: dict[str, Any], seed: int
) -> dict[str, Any]:
    """What summary.json holds."""
    summary: dict[str, Any] = {}
    for name, episodes in results.items():
        scores = benchmark_scores(episodes)
        summary[name] = {
            "route_completion": scores.route_completion.value,
            "driving_score": scores.driving_score.value,
            # Nothing driven: no kilometre to count on
            "infractions_per_km": scores.infractions_per_km.value if scores.driven_km > 0 else None,
        }
    routes = {}
    for episode in sorted(results["trained"], key=lambda result: natural_key(result.route_id)):
        routes[episode.route_id] = {
            "id": episode.route_id,
            "town": episode.town,
            "length": episode.length_m,
            "actors": episode.mean_actors,
            "completed": episode.end is EpisodeEnd.COMPLETED,
        }
    return summary | {
        "routes": list(routes.values()),
        "samples": int(training["samples"]),
        "train_seconds": float(training["elapsed_s"]),
        "seed": seed,
    }


def demo_report(
    config: DictConfig,
    benchmark: Benchmark,
    results: dict[str, list[EpisodeResult]],
    summary: dict[str, Any],
    shown: Recording,
) -> Report:
    """The report of the demo."""
    minutes = summary["train_seconds"] / 60
    return Report(
        title="carl-planner: a car that has learned to drive",
        planners=results,
        seen_towns=benchmark.seen_towns,
        facts={
            "trained for": f"{minutes:.1f} min, {summary['samples']:,} samples",
            "seed": str(config.seed),
            "dynamics": dynamics_statement(),
            "again with": f"python -m evaluation.demo seed={config.seed}",
        },
        metrics=read_metrics(Path(config.output) / TRAINING_FOLDER),
        video=VIDEO_FILE,
        video_title=(
            f"The trained policy on held-out route {shown.route_id} in {shown.town}, "
            "three times as fast as it happened."
        ),
    )


@hydra.main(config_path="pkg://configs", config_name="demo", version_base="1.3")
def command(config: DictConfig) -> None:
    """The hydra command."""
    with input_errors_reported():
        run_demo(config)


def main() -> None:
    """Run the demo."""
    command()


if __name__ == "__main__":
    main()
