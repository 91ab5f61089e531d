"""Reactive traffic: the devkit's IDM agents."""
