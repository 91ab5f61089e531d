"""Driving events in, reward and episode end out; knows no simulator."""
