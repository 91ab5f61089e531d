"""Dynamics, traffic, pedestrians, signals and scenarios of the embedded world."""
