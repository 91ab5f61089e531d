"""nuPlan: logs and maps read directly, replayed and driven in batches."""
