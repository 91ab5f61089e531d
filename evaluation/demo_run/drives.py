"""What the demo makes of its drives: a summary, the one that it shows, and those that it keeps.

Drives of an earlier demo in the same folder are kept where all that decides them is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from evaluation.recording.folder import find_episodes
from evaluation.rollout.benchmark import EvaluationTask
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult
from evaluation.scoring.results_file import read_results
from evaluation.scoring.scores import as_grid, benchmark_scores
from sim_adapters.source_files import code_digest, module_file

SUMMARY_FILE = "summary.json"
MIN_ACTORS = 30.0  # that a held-out route should have, averaged over a drive


def summarise(
    results: Mapping[str, Sequence[EpisodeResult]], training: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        results: Episodes of every planner, among them `trained`.
        training: Progress in the checkpoint: `samples` and `elapsed_s`.
        seed: Of the training and of the first drive on each route.
    """
    routes = [route_facts(runs) for runs in as_grid(results["trained"])]
    return {name: planner_scores(episodes) for name, episodes in results.items()} | {
        "routes": routes,
        "thin_routes": [route["id"] for route in routes if route["actors"] < MIN_ACTORS],
        "samples": int(training["samples"]),
        "train_seconds": float(training["elapsed_s"]),
        "seed": seed,
    }


def planner_scores(episodes: Sequence[EpisodeResult]) -> dict[str, float | None]:
    """A planner's means over routes and seeds."""
    scores = benchmark_scores(episodes)
    return {
        "route_completion": scores.route_completion.value,
        "driving_score": scores.driving_score.value,
        # Nothing driven: no kilometre to count on
        "infractions_per_km": scores.infractions_per_km.value if scores.driven_km > 0 else None,
    }


def route_facts(runs: Sequence[EpisodeResult]) -> dict[str, Any]:
    """A route and how the trained planner's drives on it went, one a seed."""
    return {
        "id": runs[0].route_id,
        "town": runs[0].town,
        "length": runs[0].length_m,
        "actors": sum(run.mean_actors for run in runs) / len(runs),
        "completed": all(run.end is EpisodeEnd.COMPLETED for run in runs),
    }


def traffic_statement(summary: Mapping[str, Any]) -> str:
    """How busy the routes were, and which of them were not busy enough."""
    fewest = min(route["actors"] for route in summary["routes"])
    if not summary["thin_routes"]:
        return f"{fewest:.1f} actors or more on every route"
    thin = ", ".join(summary["thin_routes"])
    return f"thin, fewer than {MIN_ACTORS:.0f} actors (at least {fewest:.1f}), on: {thin}"


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
