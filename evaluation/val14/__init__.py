"""nuPlan's closed-loop benchmark on a scenario cache, without the devkit."""
