"""Speed of reading nuPlan scenarios out of a cache, on made-up logs of a busy street's size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.nuplan.scenario_cache.file import SHARD_FOLDER, open_cache, write_index
from sim_adapters.nuplan.scenario_cache.shard import SHARD_SUFFIX, read_header, write_shard
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog

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
