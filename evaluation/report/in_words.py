"""Drives, and how planners compare, in words."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.scoring.episode_result import (
    NAMES,
    ROUTE_ENDS,
    EpisodeEnd,
    EpisodeResult,
    Infraction,
    InfractionKind,
    shortfall_percent,
)
from evaluation.scoring.score_table import difference
from evaluation.scoring.scores import as_grid

ENDS = {
    EpisodeEnd.COMPLETED: "arrived",
    EpisodeEnd.ROUTE_DEVIATION: "left its route",
    EpisodeEnd.BLOCKED: "stood still for three minutes",
    EpisodeEnd.TIMEOUT: "ran out of time",
    EpisodeEnd.SIMULATOR_FAILED: "lost its simulator",
    EpisodeEnd.STOPPED: "was stopped",
}
PLANNERS = {
    "untrained": "its untrained self",
    "trained": "the trained policy",
    "idm": "the rule-based driver",
    "constant_speed": "constant speed",
    "blind_follower": "driving the route blind",
}


def drive_in_words(result: EpisodeResult) -> str:
    """How a drive went, in one line."""
    way = f"{result.route_completion:.0f} % of {result.length_m:.0f} m"
    flaws = "; ".join(_faults(result.infractions)) or "no infraction"
    return (
        f"{result.town}, route {result.route_id}: {ENDS[result.end]} after {way} and "
        f"{result.duration_s:.0f} s, {result.driving_score:.0f} of 100 points: {flaws}"
    )


def planner_in_words(results: Mapping[str, Sequence[EpisodeResult]], name: str) -> str:
    """How a planner compares with the others over the same drives, in one line.

    Where the 95 % interval of the paired difference holds 0, it says so.

    Args:
        results: Episodes of every planner, the same routes and seeds each.
        name: Of the planner that is compared.
    """
    mine = _driving_scores(results[name])
    better, others = [], []
    for other in (each for each in results if each != name):
        change = difference(_driving_scores(results[other]), mine).change
        title = PLANNERS.get(other, other)
        if change.low > 0.0:
            better.append(title)
            continue
        points = round(abs(change.value))
        unit = "point" if points == 1 else "points"
        below = f"{points} {unit} {'below' if change.value < 0.0 else 'above'} {title}"
        if change.high >= 0.0:
            below = f"like {title}" if points == 0 else f"{below}, not told apart by these routes"
        others.append(below)
    better_text = [f"better than {_listed(better)}"] if better else []
    told = "; ".join(better_text + others)
    return f"{PLANNERS.get(name, name)}, {mine.mean():.0f} of 100 points: {told}"


def python_to_type() -> str:
    """What calls this interpreter in the caller's shell: `python`, or its path from here."""
    found = shutil.which("python")
    if found is not None and Path(found).absolute() == Path(sys.executable).absolute():
        return "python"
    path = os.path.relpath(sys.executable)
    return sys.executable if path.startswith("..") else path


def _driving_scores(episodes: Sequence[EpisodeResult]) -> np.ndarray:
    """(routes, seeds)."""
    return np.array([[run.driving_score for run in row] for row in as_grid(episodes)])


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _faults(infractions: Sequence[Infraction]) -> list[str]:
    """Infractions in their order, all quarters slower than traffic as one, at the end."""
    slow = InfractionKind.MINIMUM_SPEED
    faults = [_fault(one) for one in infractions if one.kind not in (*ROUTE_ENDS, slow)]
    shortfalls = [f"{shortfall_percent(one):.0f}" for one in infractions if one.kind is slow]
    if shortfalls:
        quarters = "a quarter" if len(shortfalls) == 1 else f"{len(shortfalls)} quarters"
        faults.append(f"{NAMES[slow]} in {quarters} of the route, by {_listed(shortfalls)} %")
    return faults


def _fault(infraction: Infraction) -> str:
    """One infraction; what sums up a stretch has no moment."""
    name = NAMES[infraction.kind]
    if infraction.kind is InfractionKind.OUTSIDE_ROUTE_LANES:
        return f"{name} ({infraction.percent:.0f} % of the way)"
    minutes, seconds = divmod(infraction.time_s, 60.0)
    return f"{name} at {minutes:.0f}:{seconds:02.0f}"
