"""nuPlan's eight closed-loop metrics, by the devkit's definitions."""

from evaluation.nuplan_metrics.scoring import MetricScores, ScenarioScores, score_scenarios

__all__ = ["MetricScores", "ScenarioScores", "score_scenarios"]
