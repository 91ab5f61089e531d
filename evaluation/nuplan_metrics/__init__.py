"""nuPlan's eight closed-loop metrics, by the devkit's definitions."""

from evaluation.nuplan_metrics.scenario_scores import MetricScores, ScenarioScores
from evaluation.nuplan_metrics.scoring import score_scenarios

__all__ = ["MetricScores", "ScenarioScores", "score_scenarios"]
