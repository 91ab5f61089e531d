"""The demo: `python -m evaluation.demo output=outputs/demo [seed=0] [train_minutes=9]`.

Trains a planner for a few minutes, drives held-out routes with it, with its untrained self and with
three yardsticks without learning, and writes report, curves, video and summary.json.
A training that is already there is kept, if it has the same settings: finished, it is not repeated;
stopped, it goes on. One with other settings is refused.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.checkpoint import load_checkpoint
from carl_planner.command_errors import hydra_command, input_errors_reported
from carl_planner.metrics import read_metrics
from evaluation.demo_run.shown_drive import (
    SHOWN,
    VIDEO_FILE,
    choose_drive,
    make_videos,
    video_candidates,
)
from evaluation.demo_run.summary import SUMMARY_FILE, summarise, traffic_statement
from evaluation.demo_run.training import train
from evaluation.drivers.driver import Driver
from evaluation.drivers.policy_driver import PolicyDriver, policy_driver, untrained_driver
from evaluation.recording.folder import EpisodeFolder
from evaluation.recording.frames import frames_of
from evaluation.recording.recorder import recorder_of
from evaluation.report.dynamics_statement import dynamics_statement
from evaluation.report.html_report import PLANNER_TITLES, Report, write_report
from evaluation.rollout.benchmark import Benchmark
from evaluation.rollout.episode_rollout import run_episodes
from evaluation.rollout.evaluation_worlds import make_evaluation_worlds
from evaluation.rollout.progress import EvaluationProgress
from evaluation.rollout.recording import Recording
from evaluation.rollout.route_queue import EvaluationTask, make_tasks
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import write_json, write_results
from evaluation.scoring.score_table import print_scores
from evaluation.scoring.scored_world import EMBEDDED
from evaluation.scoring.scores import benchmark_scores
from evaluation.viewer.page_file import VIEW_FILE, write_page
from evaluation.viewer.town import write_towns
from rewards.reward_breakdown import Reward
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.scene.map_bank import MapBank

log = logging.getLogger(__name__)
TRAINING_FOLDER = "training"


def run_demo(config: DictConfig, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """All of it; returns what summary.json holds.

    Args:
        config: As composed.
        overrides: Words of the command line, for the report.
    """
    torch.set_num_threads(config.num_threads)
    folder = Path(config.output)
    checkpoint = train(config, folder / TRAINING_FOLDER)
    benchmark: Benchmark = instantiate(config.benchmark)
    trained = policy_driver(str(checkpoint), name="trained", trust=config.trust)
    trained.with_values = True
    merged = trained.parts(config)
    specs = benchmark.read()
    worlds, scenarios = make_evaluation_worlds(merged, specs, min(config.num_worlds, len(specs)))
    tasks = make_tasks(scenarios, range(config.seed, config.seed + config.seeds))
    try:
        worlds.prepare(scenarios[0])  # compiles before the progress bars begin
        untrained = untrained_driver(merged, worlds, config.seed)
        yardsticks = [instantiate(node) for node in config.yardsticks.values()]
        reward, results = instantiate(merged.reward), {}
        learned_repeat = worlds.action_repeat
        for driver in (untrained, trained, *yardsticks):
            # Rules decide in every step, networks as often as in training
            worlds.action_repeat = learned_repeat if isinstance(driver, PolicyDriver) else 1
            results[driver.name] = drive_routes(worlds, driver, tasks, reward, config)
    finally:
        worlds.close()
    summary = summarise(results, load_checkpoint(checkpoint).progress, config.seed)
    write_json(folder / SUMMARY_FILE, summary)
    if summary["thin_routes"]:
        log.warning("%s", traffic_statement(summary))
    shown = show_drives(config, tasks, benchmark, results, worlds.maps)
    again = again_with(config, overrides)
    log.info(
        "report: %s",
        write_report(folder, demo_report(config, benchmark, results, summary, shown, again)),
    )
    scores = {name: benchmark_scores(episodes) for name, episodes in results.items()}
    print_scores(benchmark.name, scores)
    return summary


def drive_routes(
    worlds: DrivingWorlds,
    driver: Driver,
    tasks: Sequence[EvaluationTask],
    reward: Reward,
    config: DictConfig,
) -> list[EpisodeResult]:
    """Drive all tasks and write what came of it into a folder of the driver's name."""
    name = driver.name
    folder = Path(config.output) / name
    about = {"planner": name, "benchmark": config.benchmark.name, "seed": config.seed}
    about["world"] = EMBEDDED.warning
    drives, recorder = EpisodeFolder(folder), None
    drives.clear()
    if config.record_episodes or name == SHOWN:
        recorder = recorder_of(worlds, drives.write, about)
    with EvaluationProgress(PLANNER_TITLES[name], len(tasks)) as progress:
        results = run_episodes(worlds, driver, tasks, reward, listener=progress, recorder=recorder)
    if recorder:
        write_towns(drives, worlds.maps, sorted({result.town for result in results}))
    write_results(folder, results, about)
    return results


def show_drives(
    config: DictConfig,
    tasks: Sequence[EvaluationTask],
    benchmark: Benchmark,
    results: dict[str, list[EpisodeResult]],
    maps: MapBank,
) -> Recording:
    """Write the viewer's page and the video; returns the drive that the video shows."""
    folder = Path(config.output)
    recorded = list(results) if config.record_episodes else [SHOWN]
    page = write_page([folder / name for name in recorded], folder / VIEW_FILE)
    log.info("drives: %s", page)
    best = choose_drive(results[SHOWN], video_candidates(tasks, benchmark.seen_towns))
    shown = frames_of(EpisodeFolder(folder / SHOWN).read(best.route_id, best.seed), maps)
    make_videos(shown, maps, folder)
    return shown


def demo_report(
    config: DictConfig,
    benchmark: Benchmark,
    results: dict[str, list[EpisodeResult]],
    summary: dict[str, Any],
    shown: Recording,
    again: str,
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
            "traffic": traffic_statement(summary),
            "dynamics": dynamics_statement(),
            "again with": again,
        },
        metrics=read_metrics(Path(config.output) / TRAINING_FOLDER),
        viewer=VIEW_FILE,
        video=VIDEO_FILE,
        video_title=(
            f"The trained policy on held-out route {shown.route_id} in {shown.town}, "
            "three times as fast as it happened."
        ),
    )


def again_with(config: DictConfig, overrides: Sequence[str]) -> str:
    """The command that repeats this demo: what was typed, seed and folder always with it."""
    typed = {word.partition("=")[0]: word for word in overrides}
    words = {key: f"{key}={config[key]}" for key in ("seed", "output")} | typed
    return shlex.join(["python", "-m", "evaluation.demo", *words.values()])


@hydra_command("demo")
def command(config: DictConfig) -> None:
    """The hydra command."""
    with input_errors_reported():
        run_demo(config, HydraConfig.get().overrides.task)


def main() -> None:
    """Run the demo."""
    command()


if __name__ == "__main__":
    main()
