"""Benchmarks, reports and speed measurements."""
