"""The official leaderboard: `python -m evaluation.longest6_official checkpoint=PATH routes=FILE`.

Starts CARLA servers (Unreal below CARLA_ROOT, else headless) and an unmodified evaluator a route,
runs again what crashed, ends what hangs, goes on where an earlier run stopped, and joins the
records. There is no score while a route is missing. See configs/longest6_official.yaml.
"""

from __future__ import annotations

import logging
from contextlib import closing
from functools import partial
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.command_errors import stop_reported
from carl_planner.run_folder import locked_folder
from evaluation.drivers.driver import driver_command
from evaluation.jobs.command_job import JobEngine, LocalEngine
from evaluation.leaderboard_jobs.evaluator_process import (
    EvaluatorSettings,
    OfficialServers,
    find_upstream,
    run_evaluator,
)
from evaluation.leaderboard_jobs.far_drive import FarDrive, ServedDrive
from evaluation.leaderboard_jobs.job import Attempt, Drive, JobEnd, JobQueue, make_jobs, read_record
from evaluation.leaderboard_jobs.official_options import (
    check_options,
    check_towns,
    chosen_routes,
    evaluator_settings,
    route_text,
    server_settings,
)
from evaluation.leaderboard_jobs.official_report import (
    OfficialRun,
    headless_world,
    read_beside,
    unreal_world,
    write_official_report,
)
from evaluation.leaderboard_jobs.official_results import official_results
from evaluation.leaderboard_jobs.recorded_drives import write_official_view
from sim_adapters.carla.servers import describe

log = logging.getLogger(__name__)


def run_official(config: DictConfig) -> Path:
    """Drive all routes that have no record yet, then score; the report's path.

    Raises:
        MissingUpstreamError: the leaderboard is not on this machine.
        MissingRoutesError: routes are left without a record; names them.
        ValueError: options that cannot be meant, or another run drives into the folder.
    """
    check_options(config)
    upstream = find_upstream(config.leaderboard_root, config.scenario_runner_root)
    folder = Path(config.output).resolve()
    routes = chosen_routes(config)
    seeds = range(config.seed, config.seed + config.seeds)
    jobs = make_jobs([(spec.route_id, spec.town) for spec in routes], seeds, folder / "routes")
    beside = dict(read_beside(Path(path), jobs) for path in config.beside)
    settings = server_settings(config)
    is_headless = settings.kind == "headless"
    check_towns(routes, needs_maps=config.agent is None or is_headless)
    servers = OfficialServers(settings, config.servers, folder)
    with locked_folder(folder):
        engine: JobEngine = instantiate(config.jobs)
        with closing(engine):
            queue = JobQueue(
                jobs,
                drive_with(engine, evaluator_settings(config, upstream), servers),
                num_drives=config.servers,
                max_attempts=config.attempts,
                on_attempt=log_attempt,
            )
            log.info("%s", describe(settings, config.servers))
            log.info("%d drives, %d of them done already", len(jobs), queue.num_resumed)
            outcome = queue.run()
    results = official_results(jobs, outcome.missing)
    version = servers.version() or "of unknown version"
    is_carla = settings.kind == "unreal" or (settings.kind == "running" and config.running_is_carla)
    run = OfficialRun(
        name=config.name,
        world=unreal_world(version) if is_carla else headless_world(version),
        results=results,
        facts={
            "server": f"{'CARLA' if is_carla else 'carl-planner headless server'} {version}",
            "agent": str(config.agent or config.checkpoint or config.driver.name),
            "routes": route_text(config, len(routes)),
            "seeds": f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]),
            "scenario_runner": "repaired" if config.repair_scenario_runner else "as it is",
            "attempts that failed": str(sum(a.end is not JobEnd.DONE for a in outcome.attempts)),
        },
        beside=beside,
    )
    if config.record:
        about = {
            "planner": config.name,
            "benchmark": Path(config.routes).stem,
            "world": run.world.warning,
        }
        log.info("drives: %s", write_official_view(folder, jobs, results, about))
    report = write_official_report(folder, run, jobs)
    log.info("report: %s", report)
    return report


def drive_with(engine: JobEngine, settings: EvaluatorSettings, servers: OfficialServers) -> Drive:
    """How a drive is made: here, by a thread of this process, or wherever the engine sends it."""
    if isinstance(engine, LocalEngine):
        return ServedDrive(servers.make, partial(run_evaluator, settings))
    return FarDrive(engine, settings, servers)


def log_attempt(attempt: Attempt) -> None:
    """One line for each route that is done."""
    record = read_record(attempt.job)
    if attempt.end is JobEnd.DONE and record is not None:
        scores, meta = record["scores"], record["meta"]
        log.info(
            "%s in %s: score %.1f, %.1f %% of the route, %s; %.0f s of game in %.0f s",
            attempt.job.name,
            attempt.job.town,
            scores["score_composed"],
            scores["score_route"],
            record["status"],
            meta["duration_game"],
            meta["duration_system"],
        )


@driver_command("longest6_official")
def main(config: DictConfig) -> None:
    """The hydra command."""
    with stop_reported():
        run_official(config)


if __name__ == "__main__":
    main()
