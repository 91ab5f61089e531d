"""Speed of training runs, measured as the user starts them: in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evaluation.demo_run.training import default_processes
from evaluation.speed.stopwatch import Measurement

WARM_UP_ITERATIONS = 2  # kernels, memory and caches


def iteration_rates(overrides: Sequence[str], *, processes: int = 1) -> list[float]:
    """Samples per second of each iteration of a training run after the warm-up.

    Args:
        overrides: Of `carl_planner.train`.
        processes: Started by torchrun where more than one.

    Raises:
        RuntimeError: the run failed; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "carl_planner.train"]
        if processes > 1:
            torchrun = ["-m", "torch.distributed.run", "--standalone"]
            launcher = [*torchrun, f"--nproc_per_node={processes}", *launcher]
        command = [sys.executable, *launcher, *overrides, f"output_root={folder}"]
        environment = {**os.environ}
        if processes > 1:
            environment.setdefault("OMP_NUM_THREADS", "1")
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        metrics = next(Path(folder).rglob("metrics.jsonl"))
        lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    rates = [line["time/samples_per_s"] for line in lines if "time/samples_per_s" in line]
    return rates[WARM_UP_ITERATIONS:]


def measurement(key: str, rates: Sequence[float], floor: float | None, note: str) -> Measurement:
    """Median and range over iterations."""
    low, high = min(rates), max(rates)
    return Measurement(key, statistics.median(rates), "samples/s", low, high, floor, note)


def measure_train_demo() -> list[Measurement]:
    """`experiment=demo` end to end on all cores: simulation, observation, policy and updates."""
    processes = default_processes()
    rates = iteration_rates(["experiment=demo", "ppo.total_samples=400_000"], processes=processes)
    return [measurement("train_demo", rates, 10_000, f"{processes} processes, MLP, end to end")]


def measure_train_carl() -> list[Measurement]:
    """CaRL's network and raster end to end, with a batch that fits a laptop."""
    overrides = [
        "experiment=carl_embedded",
        "simulator.towns=[Town01,Town02]",
        "ppo.num_envs=16",
        "ppo.num_steps=32",
        "ppo.minibatch_size=256",
        "ppo.micro_batch_size=64",
        "ppo.total_samples=2560",
    ]
    rates = iteration_rates(overrides)
    note = "2M parameters, 10x256x256, 3 epochs, batch 512"
    return [measurement("train_carl", rates, None, note)]


def measure_ddp_efficiency() -> list[Measurement]:
    """Two processes with one thread each against one process with one thread, same batch."""
    overrides = [
        "experiment=demo",
        "num_threads=1",
        "simulator.num_threads=1",
        "ppo.total_samples=300_000",
    ]
    one = statistics.median(iteration_rates(overrides))
    two = iteration_rates(overrides, processes=2)
    ratios = [rate / one / 2.0 for rate in two]
    note = f"one process: {one:,.0f} samples/s"
    median = statistics.median(ratios)
    return [Measurement("ddp_efficiency", median, "ratio", min(ratios), max(ratios), 0.8, note)]
