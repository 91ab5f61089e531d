"""Paired comparison of both worlds: one driver on the routes that it has driven in both.

Several seeds of a route are averaged first, so that a route counts once; intervals are 95 %
bootstrap intervals over routes. Differences are embedded minus official.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.calibration.drives import CalibrationDrive
from evaluation.calibration.trigger_watch import TriggerOutcome
from evaluation.scoring.episode_result import InfractionKind
from evaluation.scoring.scores import (
    FloatArray,
    Interval,
    mean_interval,
    natural_key,
    ratio_difference_interval,
    ratio_interval,
)

AIM_HITS, AIM_SCORE = 0.12, 10.0  # most that an interval may reach to either side
AIM_ROUTES = 12  # at least, driven in both worlds
# Without a single difference among so many triggers the share of differing ones is below AIM_HITS
# with 95 % confidence, which a bootstrap of equal values cannot tell: 0.88^24 < 0.05
AIM_TRIGGERS = math.ceil(math.log(0.05) / math.log(1.0 - AIM_HITS))

Drives = Sequence[CalibrationDrive]


@dataclass(frozen=True)
class Paired:
    """A figure in both worlds."""

    embedded: float
    official: float
    difference: Interval


@dataclass(frozen=True)
class ScriptComparison:
    """What happened at the triggers of one type."""

    scenario_type: str
    brings_somebody: bool
    num_played: int  # triggers of the routes that both worlds play
    only_embedded: int  # played there alone
    only_official: int
    reached: Paired  # share of the drives, of all triggers that both play
    num_paired: int  # of them, reached in both worlds: the figures below are of these
    came: Paired
    met: Paired
    hit: Paired
    verdict: str  # on `hit`


@dataclass(frozen=True)
class DriverComparison:
    """One driver in both worlds."""

    driver: str
    routes: tuple[str, ...]
    scores: dict[str, Paired]  # driving score by route, differences without an interval
    driving_score: Paired
    score_verdict: str
    completion: Paired
    per_km: dict[InfractionKind, Paired]  # kinds that occurred
    scripts: tuple[ScriptComparison, ...]


def compare_driver(driver: str, embedded: Drives, official: Drives) -> DriverComparison | None:
    """Both worlds' drives of one driver on the routes of both; None if there is no such route."""
    worlds = by_route(embedded), by_route(official)
    routes = sorted(worlds[0].keys() & worlds[1].keys(), key=natural_key)
    if not routes:
        return None
    pairs = [(worlds[0][route], worlds[1][route]) for route in routes]
    score = paired_means(pairs, lambda drive: drive.result.driving_score)
    return DriverComparison(
        driver=driver,
        routes=tuple(routes),
        scores={
            route: paired_means([pair], lambda drive: drive.result.driving_score)
            for route, pair in zip(routes, pairs, strict=True)
        },
        driving_score=score,
        score_verdict=verdict(score.difference, AIM_SCORE, is_enough=len(routes) >= AIM_ROUTES),
        completion=paired_means(pairs, lambda drive: drive.result.route_completion),
        per_km=infraction_rates(pairs),
        scripts=tuple(script_comparisons(pairs)),
    )


def by_route(drives: Drives) -> dict[str, list[CalibrationDrive]]:
    """All seeds of each route."""
    found: dict[str, list[CalibrationDrive]] = defaultdict(list)
    for drive in drives:
        found[drive.result.route_id].append(drive)
    return dict(found)


def verdict(difference: Interval, aim: float, *, is_enough: bool) -> str:
    """Whether a paired difference is as small, and as well known, as is aimed at.

    Returns:
        "met", "missed", or "too few" where routes or triggers are too few to tell.
    """
    if math.isnan(difference.value) or not is_enough:
        return "too few"
    reach = max(difference.value - difference.low, difference.high - difference.value)
    return "met" if difference.low <= 0.0 <= difference.high and reach <= aim else "missed"


def paired_means(pairs: Sequence[tuple[Drives, Drives]], of: Any) -> Paired:
    """Mean over routes of a drive's figure."""
    embedded, official = (
        np.array([[np.mean([of(drive) for drive in pair[side]])] for pair in pairs])
        for side in (0, 1)
    )
    difference = mean_interval(embedded - official)
    return Paired(float(embedded.mean()), float(official.mean()), difference)


def infraction_rates(
    pairs: Sequence[tuple[Drives, Drives]],
) -> dict[InfractionKind, Paired]:
    """Infractions per driven kilometre of the kinds that occurred in either world."""

    def column(side: int, of: Any) -> FloatArray:
        means = [float(np.mean([of(drive.result) for drive in pair[side]])) for pair in pairs]
        return np.array(means)[:, None]

    km = [column(side, lambda result: result.driven_km) for side in (0, 1)]
    rates = {}
    for kind in InfractionKind:
        counts = [column(side, lambda result, kind=kind: result.count(kind)) for side in (0, 1)]
        if not np.any(counts):
            continue
        difference = ratio_difference_interval((counts[1], km[1]), (counts[0], km[0]))
        embedded, official = (
            float(count.sum() / way.sum()) if way.sum() else math.nan
            for count, way in zip(counts, km, strict=True)
        )
        rates[kind] = Paired(embedded, official, difference)
    return rates


# At the triggers ---------------------------------------------------------------------------------

Visits = tuple[list[TriggerOutcome], list[TriggerOutcome]]  # of one trigger in both worlds


def script_comparisons(
    pairs: Sequence[tuple[Drives, Drives]],
) -> Iterable[ScriptComparison]:
    """A comparison for each type of trigger on the routes."""
    routes = [visits_of(pair) for pair in pairs]
    types = sorted({one[0][0].scenario_type for visits in routes for one in visits})
    for scenario_type in types:
        yield _compare_type(
            scenario_type,
            [
                [one for one in visits if one[0][0].scenario_type == scenario_type]
                for visits in routes
            ],
        )


def visits_of(pair: tuple[Drives, Drives]) -> list[Visits]:
    """Of each trigger of a route, what happened there in every drive of either world.

    Raises:
        ValueError: two drives of the route have different triggers.
    """
    names = {tuple(one.name for one in drive.triggers) for drive in (*pair[0], *pair[1])}
    if len(names) != 1:
        route = pair[0][0].result.route_id
        raise ValueError(
            f"drives of route {route} have different triggers: is it the same route file? Remove "
            "the drives of the older one"
        )
    (named,) = names
    return [
        ([drive.triggers[i] for drive in pair[0]], [drive.triggers[i] for drive in pair[1]])
        for i in range(len(named))
    ]


def _compare_type(scenario_type: str, routes: Sequence[Sequence[Visits]]) -> ScriptComparison:
    every = [one for visits in routes for one in visits]
    played = [(one[0][0].is_played, one[1][0].is_played) for one in every]
    both = [
        [one for one in visits if one[0][0].is_played and one[1][0].is_played] for visits in routes
    ]
    met = [[_reached(one) for one in visits if all(_reached(one))] for visits in both]
    hit = _paired_shares(met, lambda one: one.is_hit)
    num_paired = sum(map(len, met))
    brings = any(outcome.brings_somebody for one in every for outcome in one[0])
    is_enough = len(routes) >= AIM_ROUTES and num_paired >= AIM_TRIGGERS
    return ScriptComparison(
        scenario_type,
        brings,
        num_played=sum(map(len, both)),
        only_embedded=played.count((True, False)),
        only_official=played.count((False, True)),
        reached=_paired_shares(both, lambda one: one.reached_s is not None),
        num_paired=num_paired,
        came=_paired_shares(met, lambda one: one.came_s is not None),
        met=_paired_shares(met, lambda one: one.is_met),
        hit=hit,
        verdict=verdict(hit.difference, AIM_HITS, is_enough=is_enough) if brings else "-",
    )


def _reached(visits: Visits) -> Visits:
    """The visits in which the ego came to the trigger."""
    first, second = ([one for one in side if one.reached_s is not None] for side in visits)
    return first, second


def _paired_shares(routes: Sequence[Sequence[Visits]], of: Any) -> Paired:
    """Share of visits, averaged over triggers; each trigger counts once whatever the seeds."""
    sums = np.zeros((3, len(routes), 1))  # embedded, official, number of triggers
    for row, visits in enumerate(routes):
        for one in visits:
            shares = [float(np.mean([of(outcome) for outcome in side])) for side in one]
            sums[:, row, 0] += np.array([*shares, 1.0])
    total = sums[2].sum()
    embedded, official = (float(sums[i].sum() / total) if total else math.nan for i in (0, 1))
    return Paired(embedded, official, ratio_interval(sums[0] - sums[1], sums[2]))
