"""Speed of all that is nuPlan's: reading a cache, the environment, Val14 beside the devkit."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from hydra.utils import instantiate

from evaluation.drivers.driver import driver_config
from evaluation.nuplan_metrics import score_scenarios
from evaluation.speed.stopwatch import Measurement, measure_rate
from evaluation.val14.rollout import TRAFFIC, simulate
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.gymnasium_envs import compose_config, compose_training_config
from sim_adapters.kernel_cache import cache_root
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.export.data_set import make_data_set, write_filter
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import (
    SHARD_FOLDER,
    ScenarioCache,
    open_cache,
    write_index,
)
from sim_adapters.nuplan.scenario_cache.record import SHARD_SUFFIX, read_header, write_shard
from sim_adapters.nuplan.scenario_filter import load_filter
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, LoggedScenario, ScenarioLog
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank

TOWN = "Town02"
DRIVE_S = 120.0


def speed_folder() -> Path:
    """Where the set lies: logs/, maps/ and cache/."""
    return cache_root() / "speed" / "nuplan"


def speed_scenarios() -> ScenarioCache:
    """All tagged scenarios of the drive, exported if they are not there yet."""
    folder = speed_folder()
    if not (folder / "cache" / "index.json").is_file():
        overrides = [f"out={folder}", f"drives.drive_s={DRIVE_S}"]
        settings = instantiate(compose_config("nuplan_export", overrides).drives)
        logs = [made.path for made in make_data_set(folder, [TOWN], 1, settings)]
        write_filter(folder / "filter.yaml", logs, None)
        wanted = load_filter(folder / "filter.yaml")
        build_cache(CacheJob((folder / "logs",), folder / "maps", wanted, folder / "cache"))
    return open_cache(folder / "cache")


# Speed of reading nuPlan scenarios out of a cache, on made-up logs of a busy street's size.

NUM_LOGS, NUM_SCENARIOS = 4, 16  # scenarios of each log
NUM_FRAMES, NUM_TRACKS, NUM_LIGHTS = 151, 60, 20
PAST_FRAMES, FUTURE_FRAMES = 50, 160


def measure_cache_read() -> list[Measurement]:
    """Scenarios per second and core, in random order, the files in the system's memory."""
    with tempfile.TemporaryDirectory() as folder:
        cache = open_cache(write_cache(Path(folder)))
        order = np.random.default_rng(0).integers(len(cache), size=4096)
        tokens = iter(np.resize(np.array(cache.tokens)[order], 1 << 22))

        def read() -> int:
            cache.read(str(next(tokens)))
            return 1

        median, low, high = measure_rate(read)
        kilobytes = next(iter(cache.entries.values())).size / 1024
    note = f"{NUM_FRAMES} frames, {NUM_TRACKS} tracks, {kilobytes:.0f} KiB a scenario"
    return [Measurement("cache_read", median, "scenarios/s/core", low, high, None, note)]


def write_cache(folder: Path) -> Path:
    """A cache of scenarios whose numbers mean nothing."""
    draws = np.random.default_rng(0)
    shards = []
    for number in range(NUM_LOGS):
        name = f"log_{number}"
        logs = [made_up_scenario(draws, name, number, row) for row in range(NUM_SCENARIOS)]
        path = folder / SHARD_FOLDER / f"{name}{SHARD_SUFFIX}"
        write_shard(path, name, "made up", logs, skipped={}, notes={})
        shards.append(read_header(path))
    write_index(folder, shards)
    return folder


def made_up_scenario(
    draws: np.random.Generator, log_name: str, log_number: int, row: int
) -> ScenarioLog:
    """A scenario of the size of a busy street's."""
    tracks = np.tile(np.arange(NUM_TRACKS, dtype=np.int32), NUM_FRAMES)
    sizes = draws.uniform(1.0, 5.0, (2, NUM_TRACKS))[:, tracks]
    x, y, yaw, vx, vy = draws.normal(0.0, 50.0, (5, len(tracks)))
    starts = np.arange(NUM_FRAMES + 1, dtype=np.int32)
    lights = np.tile(np.arange(NUM_LIGHTS, dtype=np.int64), NUM_FRAMES)
    return ScenarioLog(
        token=f"{log_number:08x}{row:08x}",
        scenario_type="made_up",
        log_name=log_name,
        map_name="nowhere",
        ego=_ego(draws, NUM_FRAMES),
        past_ego=_ego(draws, PAST_FRAMES),
        future_ego=_ego(draws, FUTURE_FRAMES),
        boxes=BoxLog(
            first=starts * NUM_TRACKS,
            track=tracks,
            type=np.zeros(len(tracks), np.uint8),
            x=x,
            y=y,
            yaw_rad=yaw,
            length_m=sizes[0],
            width_m=sizes[1],
            vx_mps=vx,
            vy_mps=vy,
        ),
        track_tokens=tuple(f"{number:016x}" for number in range(NUM_TRACKS)),
        lights=LightLog(starts * NUM_LIGHTS, lights, np.zeros(len(lights), np.uint8)),
        route_fids=(1, 2, 3),
        corrected_route_fids=(1, 2, 3),
    )


def _ego(draws: np.random.Generator, num_frames: int) -> EgoLog:
    time_us = 100_000 * np.arange(num_frames, dtype=np.int64)
    return EgoLog._make([time_us, *draws.normal(size=(7, num_frames))])


# Speed of the whole nuPlan environment on synthetic maps, on one thread.

NUM_WORLDS = 32
MIN_TRACKS = 50  # the load the floor is stated for
FLOOR_STEPS_PER_S = 2_500.0


class _InTurn:
    """A source that goes through a list of scenarios, each world from another place."""

    def __init__(self, scenarios: Sequence[LoggedScenario]) -> None:
        self.scenarios = scenarios

    def next_scenario(self, world: int, episode: int) -> LoggedScenario:
        """The scenario of a world's episode."""
        return self.scenarios[(world + 7 * episode) % len(self.scenarios)]


def busy_logs(logs: Sequence[ScenarioLog]) -> list[ScenarioLog]:
    """The scenarios with 50 or more tracks a frame, or else the busiest four."""
    by_tracks = sorted(logs, key=_mean_tracks, reverse=True)
    return [log for log in by_tracks if _mean_tracks(log) >= MIN_TRACKS] or by_tracks[:4]


def _mean_tracks(log: ScenarioLog) -> float:
    return len(log.boxes.x) / log.num_frames


def make_env(logs: Sequence[ScenarioLog], maps: MapBank, num_worlds: int) -> DrivingVectorEnv:
    """CaRL's nuPlan environment over these scenarios."""
    config = compose_training_config(["experiment=carl_nuplan"])
    worlds = DrivingWorlds(
        NuplanSimulator(maps, num_worlds),
        instantiate(config.observation),
        instantiate(config.detector),
        instantiate(config.env.action_layout),
    )
    source = _InTurn([logged_scenario(log) for log in logs])
    return DrivingVectorEnv(worlds, source, instantiate(config.reward))


def stepping(env: DrivingVectorEnv) -> Callable[[], int]:
    """Work of one environment step; counts one per world."""
    # Gently forward: episodes last, resets stay part of the figure
    actions = np.tile(np.array([0.1, 0.0], np.float32), (env.num_envs, 1))

    def step() -> int:
        env.step(actions)
        return env.num_envs

    return step


def measure_nuplan_env() -> list[Measurement]:
    """Whole steps with CaRL's 9 x 256 x 256 raster, its events and reward, resets included."""
    cache = speed_scenarios()
    maps = load_nuplan_maps(speed_folder() / "maps", cache.map_names)
    logs = [cache.read(token) for token in cache.tokens]
    env = make_env(busy_logs(logs), maps, NUM_WORLDS)
    env.restart()
    step = stepping(env)
    for _ in range(20):
        step()
    median, low, high = measure_rate(step)
    tracks = float(env.scene.traits.valid[:, 1:].sum(axis=1).mean())
    note = f"{NUM_WORLDS} worlds, {tracks:.0f} tracks, synthetic maps"
    key, unit = "nuplan_env", "steps/s/core"
    return [Measurement(key, median, unit, low, high, FLOOR_STEPS_PER_S, note)]


# Speed of Val14 on synthetic maps: milliseconds a scenario, and how many times the devkit's.

MOST_MS = {"nonreactive": 30.0, "reactive": 60.0}
LEAST_RATIO = 200.0
VAL14_SCENARIOS = 16
DEVKIT_SCENARIOS = 3  # each run once, after one that warms the devkit up
COPIES = 5  # of these scenarios, which we drive at once, as an evaluation drives its portions


def measure_scenario_ms() -> list[Measurement]:
    """CPU time of one 15 s scenario: log replay behind the LQR tracker, and all metrics."""
    logs, maps = _logs_and_maps(VAL14_SCENARIOS)
    boxes = sum(len(log.boxes.x) for log in logs) / sum(log.num_frames for log in logs)
    note = f"{len(logs)} scenarios at once, {boxes:.0f} boxes a frame, log replay"
    measured = []
    for mode, most_ms in MOST_MS.items():
        median, low, high = measure_rate(_scoring(logs, maps, "log_replay", mode), num_windows=5)
        times = (1e3 / median, 1e3 / high, 1e3 / low)
        key = f"val14_scenario_ms.{mode}"
        measured.append(Measurement(key, times[0], "ms", *times[1:], note=note, ceiling=most_ms))
    return measured


def measure_vs_devkit() -> list[Measurement]:
    """How many times faster than the devkit: same scenarios, same planner, same process."""
    if importlib.util.find_spec("nuplan") is None:
        note = "nuplan-devkit is not installed"
        return [Measurement("val14_vs_devkit", 0.0, "not measured", 0.0, 0.0, note=note)]
    logs, maps = _logs_and_maps(DEVKIT_SCENARIOS + 1)
    measured = []
    for mode in MOST_MS:
        work = _scoring(logs[1:] * COPIES, maps, "idm", mode)
        ours_s = 1.0 / measure_rate(work, num_windows=3)[0]
        ratios = [theirs_s / ours_s for theirs_s in _devkit_seconds(logs, mode)]
        value = statistics.median(ratios)
        worlds = COPIES * len(ratios)
        note = f"IDM planner, {len(ratios)} scenarios; ours {1e3 * ours_s:.0f} ms, {worlds} at once"
        measured.append(
            Measurement(
                f"val14_vs_devkit.{mode}",
                value,
                "times as fast",
                min(ratios),
                max(ratios),
                LEAST_RATIO,
                note,
            )
        )
    return measured


def _logs_and_maps(count: int) -> tuple[list[ScenarioLog], MapBank]:
    cache = speed_scenarios()
    maps = load_nuplan_maps(speed_folder() / "maps", cache.map_names)
    return [cache.read(token) for token in cache.tokens[:count]], maps


def _scoring(
    logs: Sequence[ScenarioLog], maps: MapBank, planner: str, mode: str
) -> Callable[[], int]:
    """Work that simulates and scores all scenarios once."""
    driver = instantiate(driver_config(f"nuplan/{planner}"))

    def score() -> int:
        traces = simulate(logs, maps, driver, traffic=TRAFFIC[mode])
        return len(score_scenarios(*traces, logs, maps))

    return score


def _devkit_seconds(logs: Sequence[ScenarioLog], mode: str) -> list[float]:
    """CPU time of the devkit's own simulation and metrics, the first scenario left out."""
    from sim_adapters.nuplan.devkit.challenge import DevkitChallenge, devkit_scenarios

    roots = (speed_folder() / "logs", speed_folder() / "maps")
    scenarios = devkit_scenarios(*roots, [log.token for log in logs])
    challenge = DevkitChallenge(*roots, "idm", mode, scenarios)
    seconds = []
    for scenario in scenarios:
        start = time.process_time()
        challenge.run(scenario)
        seconds.append(time.process_time() - start)
    return seconds[1:]
