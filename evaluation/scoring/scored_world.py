"""ScoredWorld: where scores come from, in the words that every table and report says it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.scoring.infractions import InfractionKind


@dataclass(frozen=True)
class ScoredWorld:
    """Names of a world, and what its scores are not.

    Args:
        place: Ends the sentence "scored by the rules of CARLA leaderboard 2.0 ...".
        score_title: First row of the tables.
        warning: One sentence, below every table.
        limits: What differs from the real thing.
        column_suffix: Added to each planner's name at the head of its column.
        unmeasured: Columns that nobody has measured yet, which the tables show as such.
        more_rates: Infractions per kilometre that occur in this world alone, with their titles.
    """

    place: str
    score_title: str
    warning: str
    limits: Sequence[str]
    column_suffix: str = ""
    unmeasured: Sequence[str] = ()
    more_rates: Mapping[InfractionKind, str] = field(default_factory=dict)

    def column(self, planner: str) -> str:
        """Head of a planner's column."""
        return planner + self.column_suffix


NOT_MEASURED = "not measured"
EMBEDDED = ScoredWorld(
    place="in carl-planner's embedded world",
    score_title="embedded driving score",
    warning="These are embedded scores, not CARLA or longest6 results.",
    limits=(
        "The towns are CARLA's road maps; traffic, pedestrians, lights' timing, scenarios and "
        "contacts are this project's own world.",
        "The ego moves by a kinematic model fitted to CARLA's car; there is no tyre, suspension "
        "or weather.",
        "Planners see the true state of the world, no sensors.",
        "Scenario timeouts and emergency vehicles do not occur here, so they cannot cost points.",
    ),
)
