"""Drives of the embedded world written as nuPlan logs and maps (see docs/nuplan_export.md)."""
