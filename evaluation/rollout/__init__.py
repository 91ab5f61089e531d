"""Driving all routes of a benchmark, many worlds at a time."""
