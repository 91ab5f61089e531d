"""The embedded simulator: CARLA towns without CARLA."""
