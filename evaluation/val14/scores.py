"""Val14Scores: the figures of one planner over all scenarios, in percent.

Source: nuPlan devkit, weighted average aggregator: the overall score is the mean over scenarios,
which is the mean of the types' means weighted by their numbers of scenarios. Unlike its table,
ours gives means of the metrics for types, too, not sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.nuplan_metrics.scoring import (
    METRICS,
    MetricScores,
    ScenarioScores,
    scenario_score,
)
from evaluation.scoring.scores import FloatArray, Interval, mean_interval


@dataclass(frozen=True)
class TypeScores:
    """Means over the scenarios of one type."""

    num_scenarios: int
    num_done: int
    score: Interval | None  # None: none of them was done
    metrics: dict[str, float]


@dataclass(frozen=True)
class Val14Scores:
    """Means over scenarios, in [0, 100], with bootstrap intervals over scenarios."""

    num_scenarios: int
    num_done: int
    score: Interval
    metrics: dict[str, Interval]
    gains: dict[str, float]  # points the score would gain, were one metric perfect everywhere
    types: dict[str, TypeScores]

    @property
    def is_complete(self) -> bool:
        """Whether every scenario has a score."""
        return self.num_done == self.num_scenarios


def val14_scores(results: Sequence[ScenarioScores]) -> Val14Scores:
    """Aggregate the scenarios of one planner and mode.

    Raises:
        ValueError: no scenario was done.
    """
    done = [result for result in results if result.metrics is not None]
    if not done:
        reasons = sorted({result.failure for result in results})
        raise ValueError(f"none of {len(results)} scenarios has a score: {'; '.join(reasons[:3])}")
    metrics = np.array([result.metrics for result in done])
    score = np.array([result.score for result in done])
    types = sorted({result.scenario_type for result in results})
    return Val14Scores(
        num_scenarios=len(results),
        num_done=len(done),
        score=_percent(score),
        metrics={name: _percent(metrics[:, i]) for i, name in enumerate(METRICS)},
        gains={name: _gain(metrics, score, i) for i, name in enumerate(METRICS)},
        types={name: _of_type([r for r in results if r.scenario_type == name]) for name in types},
    )


def _percent(values: FloatArray) -> Interval:
    return mean_interval(100.0 * values[:, None])


def _gain(metrics: FloatArray, score: FloatArray, index: int) -> float:
    """Points gained with one metric set to 1 in all scenarios."""
    perfect = metrics.copy()
    perfect[:, index] = 1.0
    better = np.array([scenario_score(MetricScores(*row)) for row in perfect])
    return float(100.0 * (better - score).mean())


def _of_type(results: Sequence[ScenarioScores]) -> TypeScores:
    done = [result for result in results if result.metrics is not None]
    if not done:
        return TypeScores(len(results), 0, None, {})
    means = 100.0 * np.array([result.metrics for result in done]).mean(axis=0)
    return TypeScores(
        len(results),
        len(done),
        _percent(np.array([result.score for result in done])),
        dict(zip(METRICS, means.tolist(), strict=True)),
    )
