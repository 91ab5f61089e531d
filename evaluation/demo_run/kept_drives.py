"""Drives of an earlier demo in the same folder: kept where all that decides them is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from evaluation.demo_run.summary import SUMMARY_FILE
from evaluation.recording.folder import find_episodes
from evaluation.rollout.route_queue import EvaluationTask
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.results_file import read_results
from sim_adapters.source_files import code_digest, module_file

MADE_FROM = "made_from"  # in the description of the results, and in the summary
PACKAGES = frozenset({"carl_planner", "evaluation", "rewards", "sim_adapters"})
# Of the training, which the checkpoint holds, and of where all goes
NOT_DRIVEN = (
    "output",
    "experiment",
    "train_minutes",
    "train_processes",
    "train_overrides",
    "trust",
)


def drives_digest(config: DictConfig, tasks: Sequence[EvaluationTask], checkpoint: Path) -> str:
    """Hash over what decides the drives: settings, routes, the trained weights and the code.

    Args:
        config: Of the demo, with the checkpoint's parts.
        tasks: Routes and seeds.
        checkpoint: Of the trained policy.
    """
    settings: Any = OmegaConf.to_container(config, resolve=False)
    driven = {key: value for key, value in settings.items() if key not in NOT_DRIVEN}
    modules = {target.rpartition(".")[0] for target in _targets(driven)} | {"evaluation.demo"}
    files = filter(None, (module_file(module, PACKAGES) for module in sorted(modules)))
    routes = [(t.scenario.scenario_id, t.scenario.town, t.scenario.seed) for t in tasks]
    parts = [json.dumps([driven, routes], sort_keys=True, default=str).encode()]
    parts += [task.scenario.route.x.tobytes() + task.scenario.route.y.tobytes() for task in tasks]
    parts += [checkpoint.read_bytes(), *(code_digest(file, PACKAGES).encode() for file in files)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def kept_results(
    folder: Path, digest: str, tasks: Sequence[EvaluationTask], *, recorded: bool
) -> list[EpisodeResult] | None:
    """What is in the folder of a planner, if it is these drives; None: they are to be driven.

    Args:
        folder: Of the planner.
        digest: Of `drives_digest`.
        tasks: Routes and seeds.
        recorded: Whether the viewer needs the drives, too.
    """
    try:
        results, about = read_results(folder)
    except (OSError, ValueError):
        return None
    if about.get(MADE_FROM) != digest or len(results) != len(tasks):
        return None
    if recorded and len(find_episodes(folder)) != len(tasks):
        return None
    return results


def is_all_done(folder: Path, digest: str) -> bool:
    """Whether a demo with these drives has come to its end in `folder`, its video included."""
    try:
        summary = json.loads((folder / SUMMARY_FILE).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and summary.get(MADE_FROM) == digest


def _targets(node: Any) -> Iterator[str]:
    """All that hydra builds in a part of a config."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for child in node.values():
            yield from _targets(child)
    elif isinstance(node, list):
        for child in node:
            yield from _targets(child)
