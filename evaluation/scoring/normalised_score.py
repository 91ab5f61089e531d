"""The length-normalised driving score of CaRL's result parser.

A driving score multiplies a penalty for every infraction, so long routes score low however well
they are driven. Here each penalty's exponent is the number of infractions per driven kilometre.
Penalties are five times as strong; those for slow driving and foreign lanes, which are shares of a
route already, stay as they are.
"""

from __future__ import annotations

from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.infractions import FIXED_PENALTIES, InfractionKind, penalty_factor
from evaluation.scoring.minimum_speed import NUM_CHECKPOINTS

STRENGTH = 0.2  # factor on the leaderboard's penalties


def normalised_score(result: EpisodeResult) -> float:
    """Route completion times the normalised infraction score, in [0, 100]."""
    if result.driven_km <= 0.0:
        return 0.0
    score = result.route_completion
    for infraction in result.infractions:
        if infraction.kind in FIXED_PENALTIES:
            score *= (STRENGTH * FIXED_PENALTIES[infraction.kind]) ** (1.0 / result.driven_km)
        else:
            score *= penalty_factor(infraction)
    return score


def slowness_percent(result: EpisodeResult) -> float:
    """Shortfall on the traffic's mean speed [%], averaged over the route's quarters."""
    shortfalls = [
        100.0 - min(infraction.percent, 100.0)
        for infraction in result.infractions
        if infraction.kind is InfractionKind.MINIMUM_SPEED
    ]
    return sum(shortfalls) / NUM_CHECKPOINTS
