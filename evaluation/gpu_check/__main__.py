"""Checks and measures a GPU: `python -m evaluation.gpu_check [json=PATH]`.

Whether it paints and learns what the CPU does, how far bfloat16 drifts, how fast it paints, acts,
updates and trains, what share of its memory's rate that is, and which keys follow. It takes about
ten minutes and ends with one table to paste. See configs/gpu_check.yaml.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from omegaconf import DictConfig

from carl_planner.command_errors import hydra_command
from carl_planner.distributed import ProcessGroup, choose_device
from carl_planner.learner import Learner
from evaluation.gpu_check.agreement import FixedRollout, compare_painters, learning_checks
from evaluation.gpu_check.figures import (
    SETTINGS,
    memory_rate,
    network_figures,
    painting_figure,
    training_figures,
)
from evaluation.gpu_check.findings import Check, Figure, Findings
from sim_adapters.atomic_file import write_atomically
from sim_adapters.gymnasium_envs import compose_training_config

log = logging.getLogger(__name__)

NO_GPU = (
    "torch {torch} finds no GPU here: on a machine with one, pip install -e '.[gpu]' and run "
    "python -m evaluation.gpu_check json=gpu_check.json"
)


def machine_of(device: torch.device) -> dict[str, str]:
    """Names and versions."""
    found = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "Python, torch": f"{platform.python_version()}, {torch.__version__}",
        "numba, numba-cuda": f"{_version('numba')}, {_version('numba-cuda')}",
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        capability = f"{card.major}.{card.minor}"
        found["GPU"] = f"{card.name}, {card.total_memory / 1e9:.0f} GB, capability {capability}"
        found["CUDA of torch"] = str(torch.version.cuda)
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def advice_of(figures: list[Figure], checks: list[Check]) -> list[str]:
    """What follows for a training's keys."""
    value = {figure.key: figure.value for figure in figures}
    advice = [
        f"{check.what} is beyond its limit: please report it" for check in checks if not check.holds
    ]
    updating = {s: value[f"updating, {s.name}"] for s in SETTINGS if f"updating, {s.name}" in value}
    best = max(updating, key=lambda setting: updating[setting])
    keys = f"ppo.precision={best.precision}"
    if best.compile_mode is not None:
        keys += f" ppo.compile_mode={best.compile_mode}"
    gain = updating[best] / updating[SETTINGS[0]]
    advice.append(f"{keys} updates {gain:.1f} times as fast as exact float32")
    if value["training: worlds"] > 0.3:
        share = value["training: worlds"]
        advice.append(
            f"the GPU waits for worlds {share:.0%} of the time: try ppo.collect_parts=2 and more"
        )
    if value["training: policy"] > 0.3:
        advice.append("acting takes long: more ppo.num_envs make larger batches")
    advice.append(
        "python -m carl_planner.train experiment=carl_embedded device=cuda ppo.paint_on=gpu " + keys
    )
    return advice


def examine(config: DictConfig, device: torch.device) -> Findings:
    """All checks and figures of a device."""
    checks: list[Check] = []
    for observation in config.painted:
        log.info("painting %s on both", observation)
        checks.append(compare_painters(observation, device))
    learner = Learner(compose_training_config(list(config.training)), {}, ProcessGroup())
    try:
        learner.start()
        log.info("training %d iterations", config.num_iterations)
        training = training_figures(learner, config.num_iterations)
        number = min(config.num_samples, learner.buffer.num_samples)
        rollout = FixedRollout.of(learner.buffer, number)
        log.info("learning on both")
        checks += learning_checks(
            learner.policy, learner.settings, rollout, drifting=config.num_updates
        )
        memory = memory_rate(learner.device, config.seconds, config.copied_floats)
        figures = [Figure("memory", memory / 1e9, "GB/s", "read and written by a copy")]
        if learner.settings.paint_on == "gpu":
            figures.append(painting_figure(learner, config.seconds))
        for setting in SETTINGS:
            log.info("acting and updating in %s", setting.name)
            figures += network_figures(learner, rollout, setting, memory, config.seconds)
    finally:
        learner.env.close()
    figures += training
    return Findings(machine_of(device), checks, figures, advice_of(figures, checks))


@hydra_command("gpu_check")
def main(config: DictConfig) -> None:
    """Console entry."""
    if not torch.cuda.is_available():
        raise SystemExit(NO_GPU.format(torch=torch.__version__))
    findings = examine(config, choose_device("cuda", ProcessGroup()))
    if config.json is not None:
        path = Path(config.json)
        write_atomically(path, (json.dumps(findings.document(), indent=2) + "\n").encode())
        log.info("all of it is in %s", path)
    log.info("%s", findings.table())
    if not findings.all_hold:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
