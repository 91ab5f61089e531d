"""Evaluate a driver: `python -m evaluation.evaluate checkpoint=PATH benchmark=embedded36`.

Drives every route with every seed, prints the table and writes the leaderboard's results.json,
all episodes and a report into `output`. See configs/evaluate.yaml for all options.
`benchmark=val14` drives nuPlan scenarios instead, see configs/benchmark/val14.yaml.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.run_folder import locked_folder
from evaluation import output_folder  # gives configs their ${evaluation_folder:}
from evaluation.drivers.driver import Driver, EstimatesValues, driver_command, with_parts
from evaluation.jobs.parts import Parts
from evaluation.recording.episode import frames_of
from evaluation.recording.folder import EpisodeFolder, file_name
from evaluation.recording.recorder import recorder_of
from evaluation.report.html_report import Report, write_report
from evaluation.rollout.benchmark import Benchmark, make_tasks, towns_of
from evaluation.rollout.episode_rollout import (
    EvaluationProgress,
    Recorder,
    make_evaluation_worlds,
    run_episodes,
    with_town_files,
)
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import EPISODES_FILE, read_results, write_results
from evaluation.scoring.score_table import planner_table, print_tables
from evaluation.scoring.scores import benchmark_scores
from evaluation.video.film import VideoFrames, write_mp4
from evaluation.viewer.page_file import VIEW_FILE, write_page, write_towns
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.dynamics_check import dynamics_statement

log = logging.getLogger(__name__)


def evaluate(config: DictConfig) -> list[EpisodeResult]:
    """Run the composed config; returns one result per route and seed.

    Raises:
        ValueError: options that cannot be meant, or another evaluation writes into the folder.
    """
    check_options(config)
    torch.set_num_threads(config.num_threads)
    benchmark: Benchmark = instantiate(config.benchmark)
    specs = benchmark.read(route_id(config))
    with locked_folder(Path(config.output)):
        return _evaluate(config, benchmark, specs)


def _evaluate(
    config: DictConfig, benchmark: Benchmark, specs: Sequence[RouteSpec]
) -> list[EpisodeResult]:
    """Drive and report, into a folder that is ours."""
    seeds = range(config.seed, config.seed + config.seeds)
    folder, about = Path(config.output), describe(config, benchmark)
    if (folder / EPISODES_FILE).is_file():
        output_folder.refuse_other_results(folder, EPISODES_FILE, read_results(folder)[1], about)
    drives = EpisodeFolder(folder)
    if config.get("jobs") is None:
        drives.clear()
        results, maps = drive_routes(config, specs, seeds, recorders(config, about))
    else:
        results = drive_in_parts(config, specs, about)
        maps = load_map_bank(with_town_files(towns_of(specs), config.simulator.towns))
    if config.record_episodes:
        write_towns(drives, maps, towns_of(specs))
        log.info("drives: %s", write_page([folder], folder / VIEW_FILE))
    write_results(folder, results, about)
    videos = write_videos(drives, video_tasks(config, specs, seeds), maps, config.driver.name)
    report = evaluation_report(config, benchmark, results, videos)
    scores = {config.driver.name: benchmark_scores(results)}
    print_tables(planner_table(report.title, scores))
    log.info("scenarios: %s", triggers_statement(results))
    log.info("report: %s", write_report(folder, report))
    return results


def recorders(
    config: DictConfig, about: dict[str, Any]
) -> Callable[[DrivingWorlds], Recorder | None]:
    """What makes the recorder of an evaluation's drives, if they are to be kept."""
    drives = EpisodeFolder(Path(config.output))

    def make_recorder(worlds: DrivingWorlds) -> Recorder | None:
        return recorder_of(worlds, drives.write, about) if config.record_episodes else None

    return make_recorder


def drive_in_parts(
    config: DictConfig, specs: Sequence[RouteSpec], about: dict[str, Any]
) -> list[EpisodeResult]:
    """Drive the routes as jobs of an engine; results in the order of routes and seeds."""
    names = [spec.route_id for spec in specs]
    evaluated = about | {"checkpoint": output_folder.checkpoint_digest(config.checkpoint)}
    parts = Parts(
        config,
        names,
        driver="evaluation.evaluate:drive_part",
        result=EPISODES_FILE,
        about=evaluated,
    )
    if not parts.is_resumed:
        EpisodeFolder(Path(config.output)).clear()
    results = [result for folder in parts.drive() for result in read_results(folder)[0]]
    parts.clear()
    return sorted(results, key=lambda result: (names.index(result.route_id), result.seed))


def drive_part(config: DictConfig, route_ids: Sequence[str], folder: Path) -> None:
    """Drive some routes of the benchmark; results go to `folder`, drives to the config's output."""
    torch.set_num_threads(config.num_threads)
    benchmark: Benchmark = instantiate(config.benchmark)
    specs = [spec for spec in benchmark.read() if spec.route_id in route_ids]
    seeds, about = range(config.seed, config.seed + config.seeds), describe(config, benchmark)
    results, _ = drive_routes(config, specs, seeds, recorders(config, about))
    write_results(folder, results, about)


def drive_routes(
    config: DictConfig,
    specs: Sequence[RouteSpec],
    seeds: Sequence[int],
    make_recorder: Callable[[DrivingWorlds], Recorder | None],
) -> tuple[list[EpisodeResult], MapBank]:
    """Drive every route with every seed by the driver of the config.

    Args:
        config: Of this command.
        specs: Routes.
        seeds: Of each of them.
        make_recorder: Gives who looks on; None for nobody.

    Returns:
        One result per route and seed, and the maps of their towns.
    """
    driver: Driver = instantiate(config.driver)
    config = with_parts(config, driver)
    if isinstance(driver, EstimatesValues):
        driver.with_values = config.record_episodes
    num_worlds = min(config.num_worlds, len(specs) * len(seeds))
    worlds, scenarios = make_evaluation_worlds(config, specs, num_worlds)
    try:
        worlds.prepare(scenarios[0])  # compiles before the progress bar begins
        tasks = make_tasks(scenarios, seeds)
        recorder = make_recorder(worlds)
        with EvaluationProgress(driver.name, len(tasks)) as progress:
            results = run_episodes(
                worlds,
                driver,
                tasks,
                instantiate(config.reward),
                listener=progress,
                recorder=recorder,
            )
    finally:
        worlds.close()
    return results, worlds.maps


def video_tasks(
    config: DictConfig, specs: Sequence[RouteSpec], seeds: Sequence[int]
) -> list[tuple[str, int]]:
    """Routes and seeds that get a video: those of a single route, all, or none."""
    if not config.record_episodes or config.video is False:
        return []
    if config.video == "auto" and config.route is None:
        return []
    return [(spec.route_id, seed) for spec in specs for seed in seeds]


def write_videos(
    drives: EpisodeFolder, wanted: Sequence[tuple[str, int]], maps: MapBank, planner: str
) -> list[str]:
    """A video of each of these drives, beside their folder; returns the names of the files."""
    names = []
    for route_id, seed in wanted:
        names.append(f"route_{file_name(route_id)}_seed_{seed}.mp4")
        frames = VideoFrames(frames_of(drives.read(route_id, seed), maps), maps, planner)
        write_mp4(frames, drives.path.parent / names[-1])
    return names


def evaluation_report(
    config: DictConfig,
    benchmark: Benchmark,
    results: Sequence[EpisodeResult],
    videos: Sequence[str],
) -> Report:
    """The report of one planner on one benchmark."""
    first, last = config.seed, config.seed + config.seeds - 1
    return Report(
        title=f"{benchmark.name}: {config.driver.name}",
        planners={config.driver.name: results},
        facts={
            "checkpoint": str(config.checkpoint or "none"),
            "routes": benchmark.routes,
            "seeds": f"{first} to {last}" if last > first else str(first),
            "scenarios": triggers_statement(results),
            "dynamics": dynamics_statement(),
        },
        viewer=VIEW_FILE if config.record_episodes else None,
        video=videos[0] if videos else None,
        video_title="Three times as fast as it happened.",
    )


def triggers_statement(results: Sequence[EpisodeResult]) -> str:
    """How many of the routes' scenarios the drives have reached."""
    started = sum(result.num_started for result in results)
    total = sum(result.num_triggers for result in results)
    if not total:
        return "the routes have none"
    if started == total:
        return f"all {total} triggers started"
    others = "the others lie beyond the end of a drive, or are named in the log as not played"
    return f"{started} of {total} triggers started; {others}"


def check_options(config: DictConfig) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: says what was found, what was expected and what to do.
    """
    if "checkpoint" in config.driver and config.driver.checkpoint is None:
        raise ValueError("driver=policy needs checkpoint=PATH; rules do not, e.g. driver=idm")
    if "max_triggers" not in config.simulator:
        raise ValueError(
            "evaluation.evaluate drives routes in simulator=embedded; evaluation.longest6_official "
            "drives them on CARLA's servers, benchmark=val14 drives nuPlan's scenarios"
        )
    if config.video is True and not config.record_episodes:
        raise ValueError("video=true needs the recorded drives: leave out record_episodes=false")
    if config.seeds < 1:
        raise ValueError(f"seeds={config.seeds}: at least one is needed")


def route_id(config: DictConfig) -> str | None:
    """The single route to drive; None means all."""
    return None if config.route is None else str(config.route)


def describe(config: DictConfig, benchmark: Benchmark) -> dict[str, Any]:
    """What was evaluated, for the result files."""
    return {
        "planner": config.driver.name,
        "checkpoint": None if config.checkpoint is None else str(config.checkpoint),
        "benchmark": benchmark.name,
        "routes": benchmark.routes,
        "seed": config.seed,
        "seeds": config.seeds,
        "route": route_id(config),
        "world": "embedded world of carl-planner; embedded scores, not CARLA results",
    }


@driver_command("evaluate")
def main(config: DictConfig) -> None:
    """Console script `carl-evaluate`."""
    benchmark = instantiate(config.benchmark)
    if isinstance(benchmark, Benchmark):
        evaluate(config)
    else:
        shortfall = benchmark.shortfall(benchmark.evaluate(config))  # Val14 has no routes
        if shortfall:
            raise SystemExit(f"error: {shortfall}")


if __name__ == "__main__":
    main()
