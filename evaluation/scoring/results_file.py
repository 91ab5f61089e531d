"""results.json in the leaderboard's own form, and episodes.json with everything.

The leaderboard's tools read the first; positions in its texts are in CARLA's left-handed frame.
Our comparison and report read the second, which loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.scoring.episode_result import (
    EpisodeEnd,
    EpisodeResult,
    InfractionKind,
    infraction_text,
    result_from_row,
)
from evaluation.scoring.scores import as_grid
from sim_adapters.atomic_file import write_atomically

RESULTS_FILE = "results.json"
EPISODES_FILE = "episodes.json"
SCORE_DIGITS, OTHER_DIGITS = 6, 3  # leaderboard's rounding
SCORES = {
    "score_composed": lambda result: result.driving_score,
    "score_route": lambda result: result.route_completion,
    "score_penalty": lambda result: result.infraction_score,
}
LABELS = {
    "score_composed": "Avg. driving score",
    "score_route": "Avg. route completion",
    "score_penalty": "Avg. infraction penalty",
    InfractionKind.COLLISION_PEDESTRIAN: "Collisions with pedestrians",
    InfractionKind.COLLISION_VEHICLE: "Collisions with vehicles",
    InfractionKind.COLLISION_LAYOUT: "Collisions with layout",
    InfractionKind.RED_LIGHT: "Red lights infractions",
    InfractionKind.STOP_SIGN: "Stop sign infractions",
    InfractionKind.OUTSIDE_ROUTE_LANES: "Off-road infractions",
    InfractionKind.ROUTE_DEVIATION: "Route deviations",
    InfractionKind.ROUTE_TIMEOUT: "Route timeouts",
    InfractionKind.BLOCKED: "Agent blocked",
    InfractionKind.YIELD_EMERGENCY: "Yield emergency vehicles infractions",
    InfractionKind.SCENARIO_TIMEOUT: "Scenario timeouts",
    InfractionKind.MINIMUM_SPEED: "Min speed infractions",
}


def write_results(folder: Path, results: Sequence[EpisodeResult], about: dict[str, Any]) -> None:
    """Write both files into `folder`.

    Args:
        folder: Made if missing.
        results: A complete set of episodes.
        about: What was evaluated (planner, benchmark, checkpoint ...), kept in both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULTS_FILE, leaderboard_form(results, about))
    rows = [result.as_row() for result in results]
    write_json(folder / EPISODES_FILE, {"about": about, "episodes": rows})


def read_results(folder: Path) -> tuple[list[EpisodeResult], dict[str, Any]]:
    """The episodes and the description that `write_results` put into `folder`.

    Raises:
        FileNotFoundError: the folder holds no evaluation.
        ValueError: the file is damaged.
    """
    path = folder / EPISODES_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {EPISODES_FILE}: expected the output folder of "
            f"`python -m evaluation.evaluate`"
        )
    try:
        document = json.loads(path.read_text())
        return [result_from_row(row) for row in document["episodes"]], document["about"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}): evaluate again") from error


def write_json(path: Path, document: Any) -> None:
    """Write atomically, so that a full disk leaves the old file whole."""
    write_atomically(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def leaderboard_form(results: Sequence[EpisodeResult], about: dict[str, Any]) -> dict[str, Any]:
    """The leaderboard's result document."""
    ordered = [result for row in as_grid(results) for result in row]
    seeds = sorted({result.seed for result in results})
    records = [_record(i, seeds.index(run.seed), run) for i, run in enumerate(ordered)]
    global_record = _global_record(ordered)
    values = {**global_record["scores_mean"], **global_record["infractions"]}
    return {
        "_checkpoint": {
            "global_record": global_record,
            "progress": [len(records), len(records)],
            "records": records,
        },
        "entry_status": "Finished",
        "eligible": False,  # an embedded score is none of the leaderboard's
        "sensors": [],
        "values": [str(values[key]) for key in LABELS],
        "labels": list(LABELS.values()),
        "about": about,
    }


def _record(index: int, repetition: int, result: EpisodeResult) -> dict[str, Any]:
    texts: dict[str, list[str]] = {kind.value: [] for kind in InfractionKind}
    for infraction in result.infractions:
        texts[infraction.kind].append(infraction_text(infraction, result))
    return {
        "index": index,
        "route_id": f"RouteScenario_{result.route_id}_rep{repetition}",
        "status": result.status,
        "num_infractions": len(result.infractions),
        "infractions": texts,
        "scores": {name: round(of(result), SCORE_DIGITS) for name, of in SCORES.items()},
        "meta": {
            "route_length": round(result.length_m, OTHER_DIGITS),
            "duration_game": round(result.duration_s, OTHER_DIGITS),
            "duration_system": round(result.wall_s, OTHER_DIGITS),
            "town": result.town,
            "seed": result.seed,
        },
    }


def _global_record(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    scores = {name: np.array([of(result) for result in results]) for name, of in SCORES.items()}
    driven_km = max(sum(result.driven_km for result in results), 1e-6)
    failed = [result for result in results if result.end is not EpisodeEnd.COMPLETED]
    perfect = all(result.status == "Perfect" for result in results)
    status = "Failed" if failed else ("Perfect" if perfect else "Completed")
    return {
        "index": -1,
        "route_id": -1,
        "status": status,
        "infractions": {
            kind.value: round(sum(r.count(kind) for r in results) / driven_km, OTHER_DIGITS)
            for kind in InfractionKind
        },
        "scores_mean": {name: round(float(v.mean()), SCORE_DIGITS) for name, v in scores.items()},
        "scores_std_dev": {
            name: round(float(v.std(ddof=1)) if len(v) > 1 else 0.0, SCORE_DIGITS)
            for name, v in scores.items()
        },
        "meta": {
            "total_length": round(sum(result.length_m for result in results), OTHER_DIGITS),
            "duration_game": round(sum(result.duration_s for result in results), OTHER_DIGITS),
            "duration_system": round(sum(result.wall_s for result in results), OTHER_DIGITS),
            "exceptions": [[r.route_id, r.seed, r.status] for r in failed],
        },
    }
