"""Compares a CARLA server with this project's maps, tables and dynamics."""
