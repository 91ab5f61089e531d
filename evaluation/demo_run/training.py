"""The demo's training: a run of its own, kept when finished, continued when stopped."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from carl_planner.training_run import FINAL, LATEST
from sim_adapters.gymnasium_envs import compose_training_config

log = logging.getLogger(__name__)
OPTIONS = {"max_minutes": "train_minutes"}  # the trainer's keys that the demo calls otherwise
MOST_SHOWN = 3  # settings in a message
ABSENT = "absent"


def train(config: DictConfig, folder: Path) -> Path:
    """Train in a process of its own, unless it is done; returns the final checkpoint.

    Args:
        config: Of the demo.
        folder: Of the training run.

    Raises:
        CheckpointError: the folder holds a training with other settings.
        ChildProcessError: the training failed or was stopped.
    """
    final, latest = folder / FINAL, folder / LATEST
    overrides = training_overrides(config)
    kept = final if final.is_file() else latest
    if kept.is_file():
        check_same_training(kept, overrides, config)
    if final.is_file():
        log.info("training is done already: %s", final)
        return final
    command = training_command(config.train_processes or default_processes())
    if latest.is_file():
        command.append(f"resume={folder}")
    else:
        command += [*overrides, f"hydra.run.dir={folder}"]
    log.info("training: %s", " ".join(command[1:]))
    environment = {"OMP_NUM_THREADS": "1"} | os.environ  # processes share the cores already
    status = subprocess.run(command, check=False, env=environment).returncode
    if status != 0 or not final.is_file():
        raise ChildProcessError(
            f"training ended with status {status} and without {final}: its log is in {folder}; "
            "start the demo again to go on"
        )
    return final


def training_overrides(config: DictConfig) -> list[str]:
    """What the demo tells `carl_planner.train`, its folder aside."""
    return [
        f"experiment={config.experiment}",
        f"seed={config.seed}",
        f"max_minutes={config.train_minutes}",
        "schedule_by_time=true",
        *config.train_overrides,
    ]


def default_processes() -> int:
    """One training process a core, two at most: the demo's batch of 64 worlds gains no more."""
    return min(2, len(os.sched_getaffinity(0)))


def training_command(processes: int) -> list[str]:
    """`carl_planner.train` in that many data-parallel processes."""
    if processes == 1:
        return [sys.executable, "-m", "carl_planner.train"]
    launcher = ["-m", "carl_planner.launch", "--standalone", f"--nproc_per_node={processes}"]
    return [sys.executable, *launcher, "-m", "carl_planner.train"]


def check_same_training(path: Path, overrides: list[str], config: DictConfig) -> None:
    """Refuse the training at `path` unless it has the settings that are asked for now.

    Raises:
        CheckpointError: names the settings that differ.
    """
    different = different_settings(
        load_checkpoint(path), compose_training_config(overrides), str(config.experiment)
    )
    if not different:
        return
    names = list(different)[:MOST_SHOWN]
    found = ", ".join(f"{name}={different[name][0]}" for name in names)
    asked = ", ".join(f"{name}={different[name][1]}" for name in names)
    more = f" and {len(different) - len(names)} more" if len(different) > len(names) else ""
    raise CheckpointError(
        f"{path.parent} holds a training with {found}{more}, asked for is {asked}{more}: "
        f"choose another folder with output=DIR, or delete {path.parent}"
    )


def different_settings(
    found: Checkpoint, asked: DictConfig, experiment: str
) -> dict[str, tuple[Any, Any]]:
    """Settings of a training that are not those asked for.

    Args:
        found: Of the training.
        asked: What hydra composes for a new one.
        experiment: The one asked for.

    Returns:
        What was found and what is asked for, by option; the demo's own options come first.
    """
    there = {"experiment": found.choices.get("experiment"), **flat(OmegaConf.create(found.config))}
    here = {"experiment": experiment, **flat(asked)}
    own = ["experiment", "seed", "max_minutes"]
    names = [*own, *sorted((there.keys() | here.keys()) - set(own))]
    pairs = {
        OPTIONS.get(name, name): (there.get(name, ABSENT), here.get(name, ABSENT)) for name in names
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def flat(config: Any) -> dict[str, Any]:
    """Settings by dotted name, interpolations resolved; lists stay whole."""
    values: dict[str, Any] = {}
    unvisited = [("", OmegaConf.to_container(config, resolve=True))]
    while unvisited:
        name, node = unvisited.pop()
        if isinstance(node, Mapping):
            unvisited += [(f"{name}.{key}" if name else str(key), node[key]) for key in node]
        else:
            values[name] = node
    return values
