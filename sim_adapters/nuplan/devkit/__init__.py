"""nuPlan's own devkit behind our protocols; the only place that imports it for simulation."""
