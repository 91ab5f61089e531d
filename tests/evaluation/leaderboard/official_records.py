"""Records as the official evaluator writes them, for tests without it."""

from __future__ import annotations

import json
from typing import Any

from evaluation.leaderboard_jobs.job import RouteJob
from evaluation.scoring.episode_result import InfractionKind

COLLISION = (
    "Agent collided against object with type=vehicle.audi.tt and id=77 at (x=10.5, y=-2.25, z=0.1)"
)
RED_LIGHT = "Agent ran a red light 12 at (x=1.0, y=2.0, z=3.0)"
OUTSIDE = "Agent went outside its route lanes for about 25.0 meters (10.0% of the completed route)"
SLOW = "Average speed is 50.0% of the surrounding traffic's one"


def make_record(
    route_id: str,
    *,
    status: str = "Completed",
    completion: float = 100.0,
    penalty: float = 1.0,
    length_m: float = 1000.0,
    infractions: dict[InfractionKind, list[str]] | None = None,
) -> dict[str, Any]:
    texts: dict[str, list[str]] = {kind.value: [] for kind in InfractionKind}
    texts |= {kind.value: lines for kind, lines in (infractions or {}).items()}
    return {
        "index": 0,
        "route_id": f"RouteScenario_{route_id}_rep0",
        "status": status,
        "num_infractions": sum(map(len, texts.values())),
        "infractions": texts,
        "scores": {
            "score_route": completion,
            "score_penalty": penalty,
            "score_composed": round(completion * penalty, 6),
        },
        "meta": {"route_length": length_m, "duration_game": 100.0, "duration_system": 50.0},
    }


def write_record(job: RouteJob, **choices: Any) -> dict[str, Any]:
    """Put a record where the evaluator would."""
    record = make_record(job.route_id, **choices)
    job.folder.mkdir(parents=True, exist_ok=True)
    document = {"_checkpoint": {"records": [record], "progress": [1, 1]}}
    job.record_file.write_text(json.dumps(document))
    return record
