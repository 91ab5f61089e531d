"""What a recorded episode says about itself: JSON values that the viewer lists and filters by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.scoring.episode_result import (
    NAMES,
    EpisodeResult,
    Infraction,
    InfractionKind,
    penalty_factor,
)
from sim_adapters.array_types import FloatArray
from sim_adapters.scene.scenario import ScenarioTrigger


def about_result(result: EpisodeResult) -> dict[str, Any]:
    """Route, town, seed, scores and infractions of a scored route."""
    return {
        "route": result.route_id,
        "town": result.town,
        "seed": result.seed,
        "length_m": round(result.length_m, 1),
        "score": round(result.driving_score, 3),
        "completion": round(result.route_completion, 3),
        "infraction_score": round(result.infraction_score, 5),
        "end": str(result.end),
        "duration_s": round(result.duration_s, 3),
        "infractions": [about_infraction(infraction) for infraction in result.infractions],
    }


def about_infraction(infraction: Infraction) -> dict[str, Any]:
    """One infraction with its name and what it costs."""
    return {
        "kind": str(infraction.kind),
        "name": NAMES[infraction.kind],
        "time_s": round(infraction.time_s, 3),
        "x": round(infraction.x, 2),
        "y": round(infraction.y, 2),
        "z": round(infraction.z, 2),
        "percent": infraction.percent,
        "other_id": infraction.other_id,
        "other": infraction.other_type,
        "factor": round(penalty_factor(infraction), 4),
    }


def read_infractions(about: Mapping[str, Any]) -> tuple[Infraction, ...]:
    """The infractions again."""
    return tuple(
        Infraction(
            InfractionKind(row["kind"]),
            row["time_s"],
            row["x"],
            row["y"],
            row["z"],
            row["percent"],
            row["other_id"],
            row["other"],
        )
        for row in about["infractions"]
    )


def about_triggers(
    triggers: Sequence[ScenarioTrigger], phases: NDArray[np.int64], step_s: float
) -> list[dict[str, Any]]:
    """Scripted events of a route.

    Args:
        triggers: In the order of the rows of `phases`.
        phases: (K, T), 0 is waiting; without a row for a trigger nobody knows when it began.
        step_s: Time between two columns.
    """
    rows = []
    for index, trigger in enumerate(triggers):
        begun = np.flatnonzero(phases[index] > 0) if index < len(phases) else np.zeros(0, int)
        rows.append(
            {
                "name": trigger.name,
                "type": trigger.scenario_type,
                "x": round(trigger.x, 2),
                "y": round(trigger.y, 2),
                "started_s": round((int(begun[0]) + 1) * step_s, 3) if begun.size else None,
            }
        )
    return rows


# How much of a route a recorded drive has passed, where nobody counted on the way

AHEAD_POINTS = 60  # of the plan, among which the ego's place is sought


def passed_percent(plan: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Percent of the plan's points that the ego has passed at each step, never falling, (T,).

    Args:
        plan: (P, 2) [m].
        x: Of the ego, (T,) [m].
        y: As `x`.
    """
    passed, here = np.zeros(len(x)), 0
    for step, (east, north) in enumerate(zip(x, y, strict=True)):
        ahead = plan[here : here + AHEAD_POINTS]
        here += int(np.argmin(np.hypot(ahead[:, 0] - east, ahead[:, 1] - north)))
        passed[step] = here
    return 100.0 * passed / max(len(plan) - 1, 1)
