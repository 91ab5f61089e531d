"""Configuration for nuplan-devkit's own run_simulation.py: add pkg://configs.devkit to its path."""
