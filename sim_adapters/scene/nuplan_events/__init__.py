"""Detectors by the rules of nuPlan's planner."""
