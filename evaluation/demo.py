"""The demo: `python -m evaluation.demo output=outputs/demo [seed=0] [train_minutes=9]`.

Trains a planner for a few minutes, drives held-out routes with it, with its untrained self and with
three yardsticks without learning, and writes report, curves, video and summary.json.
A training that is already there is kept, if it has the same settings: finished, it is not repeated;
stopped, it goes on. One with other settings is refused. Drives of the same policy with the same
settings and code are kept, too.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.checkpoint import load_checkpoint
from carl_planner.command_errors import hydra_command
from carl_planner.metrics import read_metrics
from evaluation.demo_run.drives import (
    MADE_FROM,
    SUMMARY_FILE,
    drives_digest,
    is_all_done,
    kept_results,
    summarise,
    traffic_statement,
)
from evaluation.demo_run.training import train
from evaluation.drivers.driver import Driver
from evaluation.drivers.policy_driver import PolicyDriver, policy_driver, untrained_driver
from evaluation.recording.episode import frames_of
from evaluation.recording.folder import EpisodeFolder
from evaluation.recording.recorder import recorder_of
from evaluation.report.html_report import PLANNER_TITLES, Report, write_report
from evaluation.report.in_words import planner_in_words, python_to_type
from evaluation.rollout.benchmark import Benchmark, EvaluationTask, make_tasks
from evaluation.rollout.episode_rollout import (
    EvaluationProgress,
    make_evaluation_worlds,
    run_episodes,
)
from evaluation.rollout.recording import Recording
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import write_json, write_results
from evaluation.scoring.score_table import EMBEDDED, planner_table, print_tables
from evaluation.scoring.scores import benchmark_scores
from evaluation.video.film import VideoFrames, write_gif, write_mp4
from evaluation.viewer.page_file import VIEW_FILE, write_page, write_towns
from rewards.reward_terms import Reward
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.dynamics_check import dynamics_statement

log = logging.getLogger(__name__)
SHOWN = "trained"  # the planner
VIDEO_FILE, GIF_FILE = "drive.mp4", "drive.gif"
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
    digest = drives_digest(merged, tasks, checkpoint)
    all_done = is_all_done(folder, digest)
    try:
        results = drive_all(merged, worlds, trained, tasks, digest)
    finally:
        worlds.close()
    summary = summarise(results, load_checkpoint(checkpoint).progress, config.seed)
    if summary["thin_routes"]:
        log.warning("%s", traffic_statement(summary))
    shown = show_drives(config, tasks, benchmark, results, worlds.maps, make_video=not all_done)
    again = again_with(config, overrides)
    report = write_report(folder, demo_report(config, benchmark, results, summary, shown, again))
    write_json(folder / SUMMARY_FILE, summary | {MADE_FROM: digest})  # last: all is done
    scores = {name: benchmark_scores(runs) for name, runs in results.items()}
    print_tables(planner_table(benchmark.name, scores))
    tell(results, report, checkpoint.parent)
    return summary


def tell(
    results: Mapping[str, Sequence[EpisodeResult]], report: Path, training_folder: Path
) -> None:
    """Say what came of it in one line, and what to open and to do next."""
    log.info("%s", planner_in_words(results, SHOWN))
    log.info("open %s", report.resolve().as_uri())
    log.info("  or %s", (report.parent / VIEW_FILE).resolve().as_uri())
    command = f"{python_to_type()} -m evaluation.play checkpoint={training_folder}"
    log.info("next: %s (share the wheel)", command)


def drive_all(
    config: DictConfig,
    worlds: DrivingWorlds,
    trained: PolicyDriver,
    tasks: Sequence[EvaluationTask],
    digest: str,
) -> dict[str, list[EpisodeResult]]:
    """Drive all tasks with every planner, but those whose drives are there; results by name.

    Args:
        config: Of the demo, with the parts of the trained policy.
        worlds: To drive in.
        trained: The policy that the demo has trained.
        tasks: Routes and seeds.
        digest: Of `drives_digest`.
    """
    yardsticks = [instantiate(node) for node in config.yardsticks.values()]
    names = ["untrained", trained.name, *(driver.name for driver in yardsticks)]
    kept = {}
    for name in names:
        recorded = config.record_episodes or name == SHOWN
        found = kept_results(Path(config.output) / name, digest, tasks, recorded=recorded)
        if found is not None:
            kept[name] = found
            log.info("%s has driven already: %s", name, Path(config.output) / name)
    if len(kept) == len(names):
        return {name: kept[name] for name in names}
    worlds.prepare(tasks[0].scenario)  # compiles before the progress bars begin
    untrained = untrained_driver(config, worlds, config.seed)
    reward, results = instantiate(config.reward), {}
    learned_repeat = worlds.action_repeat
    for driver in (untrained, trained, *yardsticks):
        # Rules decide in every step, networks as often as in training
        worlds.action_repeat = learned_repeat if isinstance(driver, PolicyDriver) else 1
        results[driver.name] = kept.get(driver.name) or drive_routes(
            worlds, driver, tasks, reward, config, digest
        )
    return results


def drive_routes(
    worlds: DrivingWorlds,
    driver: Driver,
    tasks: Sequence[EvaluationTask],
    reward: Reward,
    config: DictConfig,
    digest: str,
) -> list[EpisodeResult]:
    """Drive all tasks and write what came of it into a folder of the driver's name."""
    name = driver.name
    folder = Path(config.output) / name
    about = {"planner": name, "benchmark": config.benchmark.name, "seed": config.seed}
    about |= {"world": EMBEDDED.warning, MADE_FROM: digest}
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
    *,
    make_video: bool,
) -> Recording:
    """Write the viewer's page and, if asked for, the video; returns the drive that it shows."""
    folder = Path(config.output)
    recorded = list(results) if config.record_episodes else [SHOWN]
    write_page([folder / name for name in recorded], folder / VIEW_FILE)
    best = choose_drive(results[SHOWN], video_candidates(tasks, benchmark.seen_towns))
    shown = frames_of(EpisodeFolder(folder / SHOWN).read(best.route_id, best.seed), maps)
    if make_video:
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
            "in words": planner_in_words(results, SHOWN),
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


@hydra_command("demo")
def main(config: DictConfig) -> None:
    """The hydra command."""
    run_demo(config, HydraConfig.get().overrides.task)


if __name__ == "__main__":
    main()
