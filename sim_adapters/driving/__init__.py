"""Driving worlds: the one loop of act, advance and observe, and the environment made of it."""
