"""Where an evaluation goes: a folder for each benchmark, driver and checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError
from evaluation.drivers.policy_driver import checkpoint_files

ROOT = Path("outputs") / "evaluate"


def default_folder(config: DictConfig) -> str:
    """`outputs/evaluate/<benchmark>/<driver>[_<checkpoint>][_route_<id>_seed_<seed>]`.

    A checkpoint is named after its folder and a digest of its content, so that one that was trained
    on has another folder.
    """
    parts = [str(config.driver.name)]
    if "checkpoint" in config.driver and config.driver.checkpoint is not None:
        parts.append(checkpoint_label(config.driver.checkpoint))
    if config.get("route") is not None:
        parts.append(f"route_{config.route}_seed_{config.seed}")
    return str(ROOT / benchmark_label(config.benchmark) / "_".join(parts))


def benchmark_label(benchmark: DictConfig) -> str:
    """The route file's name without its ending, or `val14` with its cache and filter."""
    if "routes" in benchmark:
        name = benchmark.routes or benchmark.get("own") or "longest6"
        return Path(str(name).removeprefix("pkg:")).name.partition(".")[0]
    parts = ("val14", benchmark.cache, benchmark.filter)
    return "_".join(Path(str(part)).stem for part in parts if part)


def checkpoint_label(checkpoint: Any) -> str:
    """Folder of the first file, and a digest of all of them; the bare name if there are none."""
    paths = [checkpoint] if isinstance(checkpoint, str) else list(checkpoint)
    try:
        files = checkpoint_files(paths)
        digest = checkpoint_digest(checkpoint)
    except (CheckpointError, OSError):  # said where it is loaded, before anything is written
        return Path(str(paths[0])).stem
    return f"{files[0].resolve().parent.name}_{digest}"


def checkpoint_digest(checkpoint: Any) -> str | None:
    """Digest of the content of all files of a checkpoint; None without one.

    Raises:
        CheckpointError, OSError: a file is missing.
    """
    if checkpoint is None:
        return None
    paths = [checkpoint] if isinstance(checkpoint, str) else list(checkpoint)
    content = b"".join(file.read_bytes() for file in checkpoint_files(paths))
    return hashlib.sha256(content).hexdigest()[:8]


def refuse_other_results(
    folder: Path, file: str, found: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """Refuse to write over results of something else.

    Raises:
        ValueError: `found`, what the folder's file is about, is not `about`.
    """
    keys = [key for key in {**about, **found} if found.get(key) != about.get(key)]
    if keys:
        text = ", ".join(f"{key}={found.get(key)} (not {about.get(key)})" for key in keys)
        raise ValueError(
            f"{folder} holds results of {text}: choose another output=DIR, or delete its {file}"
        )


OmegaConf.register_new_resolver(
    "evaluation_folder", lambda *, _root_: default_folder(_root_), replace=True
)
