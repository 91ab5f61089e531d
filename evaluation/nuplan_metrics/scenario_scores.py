"""ScenarioScores: eight metrics of one scenario and the score they make.

score = product of the multipliers x weighted mean of the rest.
Source: nuPlan devkit, weighted average aggregator of the closed-loop challenges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple


class MetricScores(NamedTuple):
    """Scores in [0, 1] by the devkit's names: four multipliers, then four weighted ones."""

    no_ego_at_fault_collisions: float
    drivable_area_compliance: float
    driving_direction_compliance: float
    ego_is_making_progress: float
    ego_progress_along_expert_route: float
    time_to_collision_within_bound: float
    speed_limit_compliance: float
    ego_is_comfortable: float


METRICS = MetricScores._fields
MULTIPLIERS = METRICS[:4]
WEIGHTS = dict(zip(METRICS[4:], (5.0, 5.0, 4.0, 2.0), strict=True))


def scenario_score(metrics: MetricScores) -> float:
    """The score in [0, 1] that these metrics make."""
    values = metrics._asdict()
    weighted = sum(weight * values[name] for name, weight in WEIGHTS.items())
    return math.prod(values[name] for name in MULTIPLIERS) * weighted / sum(WEIGHTS.values())


@dataclass(frozen=True)
class ScenarioScores:
    """How one scenario was driven, or why that can't be said."""

    token: str
    scenario_type: str
    log_name: str
    metrics: MetricScores | None  # None: failed
    details: dict[str, float] = field(default_factory=dict)  # what the scores come from, by name
    failure: str = ""  # why there are no metrics

    @property
    def score(self) -> float:
        """Score in [0, 1].

        Raises:
            ValueError: the scenario failed.
        """
        if self.metrics is None:
            raise ValueError(f"scenario {self.token} has no score: {self.failure}")
        return scenario_score(self.metrics)
