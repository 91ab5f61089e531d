"""Planners that nuPlan's devkit brings, for our batch simulation: tick by tick the same plans."""
