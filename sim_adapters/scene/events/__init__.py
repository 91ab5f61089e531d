"""Detectors: the facts of each step that rewards and scores are made of, for every simulator."""
