"""A drive in words."""

from __future__ import annotations

from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult
from evaluation.scoring.infractions import NAMES, ROUTE_ENDS, Infraction, InfractionKind

ENDS = {
    EpisodeEnd.COMPLETED: "arrived",
    EpisodeEnd.ROUTE_DEVIATION: "left its route",
    EpisodeEnd.BLOCKED: "stood still for three minutes",
    EpisodeEnd.TIMEOUT: "ran out of time",
    EpisodeEnd.SIMULATOR_FAILED: "lost its simulator",
    EpisodeEnd.STOPPED: "was stopped",
}


def drive_in_words(result: EpisodeResult) -> str:
    """How a drive went, in one line."""
    way = f"{result.route_completion:.0f} % of {result.length_m:.0f} m"
    faults = [_fault(one) for one in result.infractions if one.kind not in ROUTE_ENDS]
    flaws = "; ".join(faults) if faults else "no infraction"
    return (
        f"{result.town}, route {result.route_id}: {ENDS[result.end]} after {way} and "
        f"{result.duration_s:.0f} s, {result.driving_score:.0f} of 100 points: {flaws}"
    )


def _fault(infraction: Infraction) -> str:
    """One infraction; those that sum up a stretch have no moment."""
    name = NAMES[infraction.kind]
    if infraction.kind is InfractionKind.MINIMUM_SPEED:
        return f"{name} ({infraction.percent:.0f} % of the traffic's speed)"
    if infraction.kind is InfractionKind.OUTSIDE_ROUTE_LANES:
        return f"{name} ({infraction.percent:.0f} % of the way)"
    minutes, seconds = divmod(infraction.time_s, 60.0)
    return f"{name} at {minutes:.0f}:{seconds:02.0f}"
